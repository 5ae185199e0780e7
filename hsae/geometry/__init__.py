from hsae.geometry.patterns import Patterns, load

__all__ = ["Patterns", "load"]
