"""Which concept an activation is of: one final class a file, held to tests/interpreters/test_contract.py.

What a fitted one is worth is asked in `judging`; what can be said of concepts that none was fitted on, in
`unseen`. The names below load on first use, so that `judging.judged` stays cheap for those who only compare
what was judged.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsae.interpreters.base import Interpreter, Rows, Step, check_seen
    from hsae.interpreters.files import load, save

_HOMES = {
    "Interpreter": "hsae.interpreters.base",
    "Rows": "hsae.interpreters.base",
    "Step": "hsae.interpreters.base",
    "check_seen": "hsae.interpreters.base",
    "load": "hsae.interpreters.files",
    "save": "hsae.interpreters.files",
}
__all__ = ["Interpreter", "Rows", "Step", "check_seen", "load", "save"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"hsae.interpreters has no {name!r}")
    return getattr(import_module(_HOMES[name]), name)
