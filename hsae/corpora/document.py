"""A document is the unit that splits follow: no text of one document stands in two splits."""

from typing import NamedTuple

from hsae.seeding import split_of

SHARES = {"train": 0.9, "valid": 0.05, "test": 0.05}


class Document(NamedTuple):
    """`id` is stable across runs: it decides the split, before anything is tokenised."""

    id: str
    text: str


def split(document_id: str) -> str:
    """train, valid or test, by a hash of the id alone."""
    return split_of(document_id, salt="document split", shares=SHARES)
