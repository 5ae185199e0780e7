"""Rounds that add contexts where they are worth most, and the rule that ends them concept by concept."""
