"""Documents -> windows of tokens, as the LM reads them, in portions that one shard or one pool is made of.

All of it follows from the corpus and the tokenizer alone: where a portion starts and ends is known before the
model has run, so that portions can be made in any order, by any process, again and again.
"""

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal, NamedTuple, final

import numpy as np
from jaxtyping import Bool, Int32

from hsae.corpora import Document, Skipped, fault, split
from hsae.lm.tokens import Reader

_TOGETHER = 256  # documents in one call of the tokenizer

Ints = Int32[np.ndarray, " token"]


@final
class Cursor(NamedTuple):
    """A place in a corpus: the next token to read is number `position` of document number `document`."""

    document: int
    position: int


START = Cursor(0, 0)


@final
class Window(NamedTuple):
    """Tokens that the model reads at once, without those that the reader puts around every text."""

    ids: Ints
    document: Ints
    """Number in the corpus of the document that each token is of."""
    position: Ints
    """Of each token in its document."""
    kept: Bool[np.ndarray, " token"]
    """False for special tokens, which give no rows."""
    split: str
    names: dict[int, str]
    """The id of each document in it."""

    @property
    def rows(self) -> int:
        return int(self.kept.sum())

    @property
    def next(self) -> Cursor:
        """The place behind its last token."""
        return Cursor(int(self.document[-1]), int(self.position[-1]) + 1)

    def part(self, start: int, stop: int) -> "Window":
        """Tokens [start, stop) of it."""
        cut = slice(start, stop)
        document = self.document[cut]
        names = {number: self.names[number] for number in np.unique(document).tolist()}
        return Window(self.ids[cut], document, self.position[cut], self.kept[cut], self.split, names)

    def with_rows(self, start: int, stop: int) -> "Window":
        """All its tokens, of which only the rows [start, stop) are kept."""
        kept = np.zeros_like(self.kept)
        kept[np.flatnonzero(self.kept)[start:stop]] = True
        return self._replace(kept=kept)

    def followed_by(self, other: "Window", separator: Ints) -> "Window":
        """Both, with the separator between them, which belongs to the second but gives no rows."""
        between = len(separator)
        document = np.full(between, other.document[0], np.int32)
        position = np.full(between, other.position[0], np.int32)
        return Window(
            np.concatenate([self.ids, separator, other.ids]),
            np.concatenate([self.document, document, other.document]),
            np.concatenate([self.position, position, other.position]),
            np.concatenate([self.kept, np.zeros(between, bool), other.kept]),
            self.split,
            self.names | other.names,
        )


Packing = Literal["documents", "concatenated"]


def windows(
    reader: Reader,
    documents: Iterable[Document | Skipped],
    *,
    room: int,
    packing: Packing = "documents",
    start: Cursor = START,
) -> Iterator[Window | Skipped]:
    """The documents from `start` on, cut into windows of at most `room` tokens that cover them without
    overlap.

    `documents`: a window holds a piece of one document. `concatenated`: it is filled up with the documents
    that follow, as far as they are of the same split, each behind the reader's prefix; tokens then see the
    documents before theirs. A document that the corpus passes over, or that has no tokens, is named in its
    place instead.
    """
    if packing == "documents":
        yield from _pieces(reader, documents, room, start)
    else:
        undivided = _pieces(reader, documents, sys.maxsize, start)
        yield from _filled(undivided, room, np.array(reader.prefix, np.int32))


def _pieces(
    reader: Reader, documents: Iterable[Document | Skipped], room: int, start: Cursor
) -> Iterator[Window | Skipped]:
    special = np.array(sorted(reader.special), np.int32)
    for number, document, ids in _tokenised(reader, documents, start.document):
        if isinstance(document, Skipped):
            yield document
            continue
        first = start.position if number == start.document else 0
        of = split(document.id)
        for position in range(first, len(ids), room):
            piece = ids[position : position + room]
            yield Window(
                piece,
                np.full(len(piece), number, np.int32),
                np.arange(position, position + len(piece), dtype=np.int32),
                ~np.isin(piece, special),
                of,
                {number: document.id},
            )


def _tokenised(
    reader: Reader, documents: Iterable[Document | Skipped], first: int
) -> Iterator[tuple[int, Document | Skipped, Ints]]:
    """Every document's number and tokens."""
    none = np.zeros(0, np.int32)
    numbered = islice(enumerate(map(_sound, documents)), first, None)
    while group := list(islice(numbered, _TOGETHER)):
        texts = [document.text for _, document in group if isinstance(document, Document)]
        found = iter(reader.ids(texts) if texts else [])
        for number, document in group:
            ids = next(found) if isinstance(document, Document) else []
            if isinstance(document, Document) and not ids:
                document = Skipped(document.id, "it has no tokens")
            yield number, document, np.array(ids, np.int32) if ids else none


def _sound(document: Document | Skipped) -> Document | Skipped:
    if isinstance(document, Document) and (why := fault(document.text)) is not None:
        return Skipped(document.id, why)
    return document


def _filled(documents: Iterator[Window | Skipped], room: int, separator: Ints) -> Iterator[Window | Skipped]:
    """Documents joined until a window is full, the split changes or the corpus ends.

    One that is passed over comes behind the window that ends before it: whoever goes on from the place behind
    that window meets it there, and nowhere else.
    """
    joined: Window | None = None
    passed: list[Skipped] = []
    for document in documents:
        if isinstance(document, Skipped):
            passed.append(document)
            continue
        rest: Window | None = document
        while rest is not None:
            left = room if joined is None else room - len(joined.ids) - len(separator)
            if joined is not None and (joined.split != rest.split or left < 1):
                yield joined
                joined = None
                continue
            yield from passed
            passed = []
            head, rest = _cut(rest, left)
            joined = head if joined is None else joined.followed_by(head, separator)
    if joined is not None:
        yield joined
    yield from passed


def _cut(window: Window, tokens: int) -> tuple[Window, Window | None]:
    if len(window.ids) <= tokens:
        return window, None
    return window.part(0, tokens), window.part(tokens, len(window.ids))


@final
class Chunk(NamedTuple):
    """Windows that become one shard, or one pool."""

    number: int
    windows: list[Window]
    rows: int
    start: Cursor
    next: Cursor
    """Where the chunk after it starts."""
    skipped: list[Skipped]
    """Documents passed over since the chunk before it."""


def chunks(
    reading: Iterator[Window | Skipped],
    *,
    rows: int,
    most: int | None,
    only: str | None = None,
    exactly: bool = False,
    number: int = 0,
    start: Cursor = START,
) -> Iterator[Chunk]:
    """The windows in portions of at least `rows` rows, of the split `only` if one is named.

    `most` bounds the rows of all splits together: the window that would go beyond it is cut. `exactly` lets
    two chunks share the window that would go beyond `rows`: both hold all its tokens, so that no row misses
    its context, and each gives some of its rows. Documents that are skipped behind the last row come in a
    chunk without windows.
    """
    budget, taken, count = most, list[Window](), 0
    skipped, behind = list[Skipped](), list[Skipped]()
    end = begin = start
    queue = list[Window]()
    while budget is None or budget > 0:
        item = queue.pop() if queue else next(reading, None)
        if item is None:
            break
        if isinstance(item, Skipped):
            behind.append(item)
            continue
        skipped += behind
        behind = []
        if budget is not None:
            item = _at_most(item, budget)
            budget -= item.rows
        if only is None or item.split == only:
            if exactly and count + item.rows > rows:
                queue.append(item.with_rows(rows - count, item.rows))
                item = item.with_rows(0, rows - count)
                budget = None if budget is None else budget + queue[0].rows
            taken.append(item)
            count += item.rows
        end = item.next
        if count >= rows:
            yield Chunk(number, taken, count, begin, end, skipped)
            number, begin, taken, count, skipped = number + 1, end, [], 0, []
    if taken:
        yield Chunk(number, taken, count, begin, end, skipped)
        number, begin, skipped = number + 1, end, []
    if skipped or behind:
        # not with the last rows: who goes on from the place behind those meets these again
        yield Chunk(number, [], 0, begin, end, skipped + behind)


def _at_most(window: Window, rows: int) -> Window:
    """As much of the window's beginning as holds at most so many rows, special tokens before the next row
    left out."""
    if window.rows <= rows:
        return window
    return window.part(0, int(np.flatnonzero(window.kept)[rows - 1]) + 1)
