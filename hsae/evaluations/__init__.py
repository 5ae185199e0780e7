"""One question a file: dictionaries, store and LM in; scores with intervals, nulls and verdicts out.

The names below load on first use: whoever checks an evaluation's settings need not import what it runs on.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsae.evaluations.findings import Findings, Score, load
    from hsae.evaluations.subject import Subject

_HOMES = {
    "Findings": "hsae.evaluations.findings",
    "Score": "hsae.evaluations.findings",
    "Subject": "hsae.evaluations.subject",
    "load": "hsae.evaluations.findings",
}
__all__ = ["Findings", "Score", "Subject", "load"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"hsae.evaluations has no {name!r}")
    return getattr(import_module(_HOMES[name]), name)
