"""Mistakes that the person at the keyboard can mend.

Their text says what was asked, what was found and what to type; the command line prints it without a
traceback. Everything else that goes wrong is a fault of ours and keeps its traceback.
"""


class UserError(Exception):
    """The run cannot go on, and the message says what would let it."""

    exit_code = 1


class ConfigError(UserError):
    """The composed configuration cannot run; nothing was started."""

    exit_code = 2


class MissingInput(UserError):
    """A job needs an artifact that is not there; the message holds the command that makes it."""
