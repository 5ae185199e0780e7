"""Concept -> statistics of its activations over many contexts -> vector."""

from hsae.encyclopedia.encyclopedia import Encyclopedia, load

__all__ = ["Encyclopedia", "load"]
