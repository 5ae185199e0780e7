"""A document is the unit that splits follow: no text of one document stands in two splits."""

from typing import NamedTuple

from hsae.seeding import split_of

SHARES = {"train": 0.9, "valid": 0.05, "test": 0.05}


class Document(NamedTuple):
    """`id` is stable across runs: it decides the split, before anything is tokenised."""

    id: str
    text: str


class Skipped(NamedTuple):
    """Stands in the place of a document that cannot be used: its id, or the file that it would be in."""

    id: str
    why: str


def printable(name: object) -> str:
    """The name as an id: names of files may hold bytes, and those of JSON halves of characters, that no text
    can."""
    return str(name).encode(errors="backslashreplace").decode()


def split(document_id: str) -> str:
    """train, valid or test, by a hash of the id alone."""
    return split_of(document_id, salt="document split", shares=SHARES)


def fault(text: object) -> str | None:
    """Why this cannot be the text of a document, or None."""
    if text is None:
        return "it has no text"
    if not isinstance(text, str):
        return f"its text is {type(text).__name__}, not text"
    if "\0" in text:
        return "it holds binary data"
    try:
        text.encode()
    except UnicodeEncodeError as problem:
        return f"it is not valid Unicode: {problem.reason}"
    return None if text.strip() else "it is empty"
