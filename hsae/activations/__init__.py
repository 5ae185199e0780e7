"""Activations of a language model: harvested once for all sites, kept on disk or streamed, read in any order.

The names below load on first use, so that a writer needs no reader and neither needs the LM.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsae.activations.harvest import Reading, outlier_limits
    from hsae.activations.store import Store
    from hsae.activations.stream import Stream

_HOMES = {"Reading": "harvest", "Store": "store", "Stream": "stream", "outlier_limits": "harvest"}
__all__ = ["Reading", "Store", "Stream", "outlier_limits"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"hsae.activations has no {name!r}")
    return getattr(import_module(f"hsae.activations.{_HOMES[name]}"), name)
