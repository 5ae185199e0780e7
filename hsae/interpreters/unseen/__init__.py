"""Concepts that an interpreter was never fitted on: named by their gloss, or registered by a few contexts."""
