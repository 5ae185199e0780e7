"""Language models: load one, capture activations at named sites, edit it inside a `with`.

No other floor knows transformers.

The names below load on first use, so that `hsae.lm.files` stays cheap for those who only need a model's
facts.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsae.lm.loading import chosen_lm, load, load_network
    from hsae.lm.model import LM
    from hsae.lm.network import Network
    from hsae.lm.tokens import Tokens

_HOMES = {
    "chosen_lm": "hsae.lm.loading",
    "load": "hsae.lm.loading",
    "load_network": "hsae.lm.loading",
    "LM": "hsae.lm.model",
    "Network": "hsae.lm.network",
    "Tokens": "hsae.lm.tokens",
}
__all__ = ["LM", "Network", "Tokens", "chosen_lm", "load", "load_network"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"hsae.lm has no {name!r}")
    return getattr(import_module(_HOMES[name]), name)
