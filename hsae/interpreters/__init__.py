"""Which concept an activation is of: one final class a file, held to tests/interpreters/test_contract.py."""

from hsae.interpreters.base import Interpreter, Rows, Step, check_seen
from hsae.interpreters.files import load, save

__all__ = ["Interpreter", "Rows", "Step", "check_seen", "load", "save"]
