"""Activations of a language model: harvested once for all sites, kept on disk, read back in any order."""

from hsae.activations.store import Store

__all__ = ["Store"]
