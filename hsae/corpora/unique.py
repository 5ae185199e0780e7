"""A text that stands twice in a corpus is given once: a copy in another split would leak."""

import unicodedata
from array import array
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import final

from hsae.corpora.document import Document, Skipped, fault
from hsae.errors import UserError

COPY = "a copy of an earlier document"
PATIENCE = 10_000
"""Items without one document among them, after which a corpus counts as one without text."""


def unique(items: Iterable[Document | Skipped], *, source: str) -> Iterator[Document | Skipped]:
    """The items, with `Skipped` in the place of every document that is faulty or a copy.

    Two texts are copies if they are equal when normalised: in Unicode's form NFC, runs of whitespace as one
    space. Raises `UserError`, which names the `source`, where there is no document among the items.
    """
    seen, passed, given = Seen(), list[Skipped](), False
    for item in items:
        if isinstance(item, Document):
            item = _sound(item, seen)
        if isinstance(item, Document):
            given = True
        elif not given:
            passed.append(item)
            if len(passed) == PATIENCE:
                break
        yield item
    if not given:
        named = "".join(f"\n  {item.id}: {item.why}" for item in passed[:3])
        raise UserError(
            f"{source} holds no text: {len(passed):,} documents or files were passed over.{named}"
        )


def _sound(document: Document, seen: "Seen") -> Document | Skipped:
    if (why := fault(document.text)) is not None:
        return Skipped(document.id, why)
    return document if seen.add(normalised(document.text)) else Skipped(document.id, COPY)


def normalised(text: str) -> str:
    """What two copies of a text have in common: NFC, one space for each run of whitespace."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


@final
class Seen:
    """Remembers texts by 64 bits of their hashes, in 11 to 22 bytes each.

    Of n different texts, about n^2 / 2^65 are taken for copies: of a hundred million, none with probability
    0.9997.
    """

    def __init__(self) -> None:
        self._table, self._count = array("Q", bytes(8 << 10)), 0

    def __len__(self) -> int:
        return self._count

    def add(self, text: str) -> bool:
        """Whether the text is new."""
        if 4 * self._count > 3 * len(self._table):
            self._grow()
        digest = blake2b(text.encode(), digest_size=8).digest()
        return self._put(int.from_bytes(digest, "little") or 1)  # 0 is an empty place

    def _put(self, number: int) -> bool:
        table, last = self._table, len(self._table) - 1
        place = number & last
        while there := table[place]:
            if there == number:
                return False
            place = (place + 1) & last
        table[place] = number
        self._count += 1
        return True

    def _grow(self) -> None:
        old, self._count = self._table, 0
        self._table = array("Q", bytes(16 * len(old)))
        for number in filter(None, old):
            self._put(number)
