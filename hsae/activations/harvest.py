"""LM + documents -> rows: all chosen sites from one forward pass, nothing computed twice.

The same code fills the shards of a store and the pools of a stream. A shard's content follows from its place
in the corpus alone, so several processes can share the work, a killed one can be gone on with and a damaged
shard can be made again, to the same bytes.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, cycle
from typing import Any, TypeVar, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hsae.activations.background import ahead
from hsae.activations.encoding import Dtype, Rows, broken, encode
from hsae.activations.shard import SPLITS, Shard
from hsae.activations.sizes import row_bytes, shard_rows
from hsae.activations.space import Space
from hsae.activations.windows import START, Chunk, Cursor, Packing, Window, chunks, windows
from hsae.activations.writer import Line, StoreWriter
from hsae.config import Config
from hsae.corpora import Document, Skipped
from hsae.errors import UserError
from hsae.lm import LM
from hsae.lm.batching import by_length

T = TypeVar("T")

SAMPLE = 4096
"""Rows of the split train, from the corpus's beginning on, whose norms tell what an outlier is."""

Documents = Callable[[], Iterable[Document | Skipped]]
"""Gives the corpus from its beginning, each time it is called."""


@final
@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a corpus is read, and what is kept of it."""

    sites: Sequence[str]
    context: int
    """Tokens that the model sees at once, the reader's own included."""
    tokens: int | None
    """Rows to take, before outliers are dropped; None takes the whole corpus."""
    packing: Packing = "documents"
    dtype: Dtype = "float16"
    outliers: float | None = None
    """Rows whose norm is above so many times the site's median are dropped."""
    batch_tokens: int = 8192
    """Tokens in one forward pass; it changes no row but in the last bits."""

    @classmethod
    def of(cls, config: Config, layers: int) -> "Reading":
        """The reading that a configuration asks for, of a model of `layers` layers."""
        return cls(
            sites=config.layers.resolve(layers),
            tokens=config.corpus.tokens,
            batch_tokens=config.hardware.batch_tokens,
            **config.capture.model_dump(exclude={"name"}),
        )

    def windows(
        self, lm: LM, documents: Iterable[Document | Skipped], start: Cursor = START
    ) -> Iterator[Window | Skipped]:
        """The corpus as windows that fit into the model. Raises `UserError` for a context that it does not
        have."""
        around = len(lm.reader.prefix) + len(lm.reader.suffix)
        if self.context <= around:
            raise UserError(
                f"capture.context={self.context} leaves no room for a text: {around} tokens are put around "
                f"each.\nType capture.context={around + 1} or more."
            )
        if self.context > lm.context:
            raise UserError(
                f"capture.context={self.context} was asked for, and the model reads at most {lm.context} "
                f"tokens at once.\nType capture.context={lm.context} or less."
            )
        room = self.context - around
        return windows(lm.reader, documents, room=room, packing=self.packing, start=start)


def harvest(
    lm: LM,
    documents: Documents,
    writer: StoreWriter,
    reading: Reading,
    *,
    limits: Mapping[str, float],
    rows: int | None = None,
    process: int = 0,
    processes: int = 1,
) -> Generator[int, None, list[Skipped]]:
    """Write every shard of the corpus that is not there yet and whose number is `process` modulo `processes`,
    each of about so many rows (as many as suit their size, if that is not said).

    Yields the rows done so far in this call, after every forward pass; returns the documents that were passed
    over behind the last row. Raises `UserError` where the corpus gives no row at all, and for an activation
    that is no number or that the dtype cannot hold, naming row, site and document.
    """
    lm.check_sites(reading.sites)
    finished = writer.finished
    number, start, before = _gap(finished)
    most = None if reading.tokens is None else reading.tokens - before
    left = chunks(
        reading.windows(lm, documents(), start),
        rows=rows or _rows(lm, reading),
        most=most,
        number=number,
        start=start,
    )
    behind, done, seen = list[Skipped](), 0, before
    spaces = cycle((Space(), Space()))  # one is filled while the other is written
    with _Writing(writer) as writing:
        for chunk in ahead(left, depth=2):
            if not chunk.windows:
                behind = chunk.skipped
            elif chunk.number % processes == process and chunk.number not in finished:
                passes = fill(lm, chunk, reading, limits, next(spaces), before=seen)
                shard, dropped = yield from _counted(passes, done)
                done += chunk.rows
                writing.write(chunk, shard, dropped)
            seen += chunk.rows
    if seen == 0:
        named = "".join(f"\n  {id}: {why}" for id, why in behind[:3])
        raise UserError(
            f"the corpus gives no rows: {len(behind)} documents were skipped, and there is no other.{named}"
        )
    return behind


def _gap(finished: Mapping[int, Line]) -> tuple[int, Cursor, int]:
    """Number, place and rows before it of the first shard that is not there."""
    number, start, before = 0, START, 0
    while line := finished.get(number):
        number, start, before = number + 1, Cursor(*line["next"]), before + line["rows"] + line["dropped"]
    return number, start, before


def _rows(lm: LM, reading: Reading) -> int:
    return shard_rows(sum(row_bytes(reading.dtype, width) for width in lm.widths(reading.sites).values()))


def _counted(
    passes: Generator[int, None, tuple[Shard, int]], done: int
) -> Generator[int, None, tuple[Shard, int]]:
    while True:
        try:
            yield done + next(passes)
        except StopIteration as end:
            return end.value


@final
class _Writing:
    """Writes one shard in a thread while the model fills the next."""

    def __init__(self, writer: StoreWriter):
        self._writer, self._pool = writer, ThreadPoolExecutor(1, "shards")
        self._last: Future[None] | None = None

    def __enter__(self) -> "_Writing":
        return self

    def write(self, chunk: Chunk, shard: Shard, dropped: int) -> None:
        self._wait()
        self._last = self._pool.submit(self._write, chunk, shard, dropped)

    def _write(self, chunk: Chunk, shard: Shard, dropped: int) -> None:
        self._writer.write(
            chunk.number,
            shard,
            start=chunk.start,
            next=chunk.next,
            skipped=chunk.skipped,
            dropped=dropped,
        )

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()

    def __exit__(self, kind: object, *_: object) -> None:
        self._pool.shutdown()
        if kind is None:
            self._wait()


def fill(
    lm: LM,
    chunk: Chunk,
    reading: Reading,
    limits: Mapping[str, float],
    space: Space,
    *,
    before: int = 0,
) -> Generator[int, None, tuple[Shard, int]]:
    """Run the model over a chunk's windows, those of like length together, and put each row in its place.

    Yields the rows so far, returns the rows and how many outliers were dropped. The activations lie where the
    model lies, in `space`, until it is filled again. `before`: rows in front of the chunk, for the message
    about one that cannot be kept.
    """
    room = _Room(lm, chunk, reading, space)
    lengths = [len(window.ids) for window in chunk.windows]
    done = 0
    for batch in by_length(lengths, tokens=reading.batch_tokens):
        done += room.take(batch, limits)
        yield done
    room.check(before)
    return room.shard(limits)


@final
class _Room:
    """All rows of a chunk, while they come."""

    def __init__(self, lm: LM, chunk: Chunk, reading: Reading, space: Space):
        self._lm, self._windows, self._reading = lm, chunk.windows, reading
        self._starts = np.cumsum([0, *(window.rows for window in chunk.windows)])
        widths = lm.widths(reading.sites)
        self._sites = {
            site: space.of(site, chunk.rows, width, reading.dtype, lm.device)
            for site, width in widths.items()
        }
        self._outlier = torch.zeros(chunk.rows, dtype=torch.bool, device=lm.device)

    @torch.no_grad()
    def take(self, batch: Sequence[int], limits: Mapping[str, float]) -> int:
        """One forward pass over the windows of these numbers; says how many rows it gave."""
        lm = self._lm
        ids, mask, keep = _rectangle(lm, [self._windows[number] for number in batch])
        at = np.concatenate([np.arange(self._starts[n], self._starts[n + 1]) for n in batch])
        place = torch.from_numpy(at).to(lm.device)
        for site, found in lm.capture(ids, mask, self._reading.sites, keep=keep).items():
            rows, room = encode(found, self._reading.dtype), self._sites[site]
            room.values.index_copy_(0, place, rows.values)
            if room.scale is not None and rows.scale is not None:
                room.scale.index_copy_(0, place, rows.scale)
            if limits:
                self._outlier[place] |= found.float().norm(dim=1) > limits[site]
        return len(at)

    def check(self, before: int) -> None:
        """Raise `UserError` for the first activation that is no number or that the dtype cannot hold."""
        for site, rows in self._sites.items():
            if (row := broken(rows)) is not None:
                raise self._faulty(site, row, before)

    def _faulty(self, site: str, row: int, before: int) -> UserError:
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        window = self._windows[number]
        token = int(np.flatnonzero(window.kept)[row - self._starts[number]])
        dtype = self._reading.dtype
        holds = ", which holds numbers up to 65504" if dtype == "float16" else ""
        return UserError(
            f"an activation is not finite as {dtype}{holds}: row {before + row} of the site {site}, "
            f"token {window.position[token]} of the document "
            f"{window.names[int(window.document[token])]!r}.\n"
            "If the numbers are only too large, type capture.dtype=bfloat16; if the model itself overflows "
            "in half precision, hardware.dtype=float32; else choose another site."
        )

    def shard(self, limits: Mapping[str, float]) -> tuple[Shard, int]:
        """The rows that are no outliers, and how many were."""
        together = {
            name: np.concatenate([getattr(window, name)[window.kept] for window in self._windows])
            for name in ("ids", "document", "position")
        }
        split = np.repeat(
            np.array([SPLITS.index(window.split) for window in self._windows], np.uint8),
            np.diff(self._starts),
        )
        names = dict(chain.from_iterable(window.names.items() for window in self._windows))
        stays = ~self._outlier
        dropped = int((~stays).sum()) if limits else 0
        if not dropped:
            return _shard(self._sites, together, split, names), 0
        sites = {
            site: Rows(rows.values[stays], None if rows.scale is None else rows.scale[stays])
            for site, rows in self._sites.items()
        }
        here = stays.cpu().numpy()
        kept = {name: column[here] for name, column in together.items()}
        return _shard(sites, kept, split[here], names), dropped


def _rectangle(lm: LM, windows: Sequence[Window]) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, the mask of what is not padding, and the mask of what gives rows."""
    ids, mask = lm.reader.pad([window.ids.tolist() for window in windows])
    keep = torch.zeros_like(mask)
    first = len(lm.reader.prefix)
    for row, window in enumerate(windows):
        keep[row, first : first + len(window.kept)] = torch.from_numpy(window.kept)
    return ids, mask, keep


def _shard(
    sites: Mapping[str, Rows], columns: Mapping[str, np.ndarray], split: np.ndarray, names: dict[int, str]
) -> Shard:
    return Shard(
        sites=sites,
        token=columns["ids"],
        document=columns["document"],
        position=columns["position"],
        split=split,
        documents={number: names[number] for number in np.unique(columns["document"]).tolist()},
    )


def outlier_limits(lm: LM, documents: Documents, reading: Reading) -> dict[str, float]:
    """The norm above which a row of each site is an outlier: `reading.outliers` times the median norm of the
    corpus's first rows of the split train. Empty where none are to be dropped.

    The first token of a text, to which others attend for want of anything better, can have a hundred times
    the norm of the rest, and would then be most of what a dictionary learns. Raises `UserError` where the
    split train has no rows.
    """
    if reading.outliers is None:
        return {}
    norms: dict[str, list[Float[Tensor, " row"]]] = {site: [] for site in reading.sites}
    read = reading.windows(lm, documents())
    found = chunks(read, rows=SAMPLE, most=reading.tokens, only="train", exactly=True)
    chunk = next((chunk for chunk in found if chunk.rows), None)
    if chunk is None:
        raise UserError(
            "the corpus has no row of the split train, which tells what norm an outlier has.\n"
            "Read more of it (corpus.tokens=...), or drop none: capture.outliers=null"
        )
    for batch in by_length([len(window.ids) for window in chunk.windows], tokens=SAMPLE):
        ids, mask, keep = _rectangle(lm, [chunk.windows[number] for number in batch])
        for site, rows in lm.capture(ids, mask, reading.sites, keep=keep).items():
            norms[site].append(rows.float().norm(dim=1))
    return {site: reading.outliers * torch.cat(of).median().item() for site, of in norms.items()}


def again(
    lm: LM,
    documents: Documents,
    reading: Reading,
    *,
    start: Cursor,
    stop: Cursor,
    limits: Mapping[str, float],
) -> Shard:
    """The rows of one shard once more, from the place where it starts to the one where the next does."""
    taken: list[Window] = []
    for item in reading.windows(lm, documents(), start):
        if isinstance(item, Skipped):
            continue
        inside = (item.document < stop.document) | (
            (item.document == stop.document) & (item.position < stop.position)
        )
        if not inside.any():
            break
        taken.append(item if inside.all() else item.part(0, int(inside.sum())))
    chunk = Chunk(0, taken, sum(window.rows for window in taken), start, stop, [])
    shard, _ = result(fill(lm, chunk, reading, limits, Space()))
    return shard


def result(passes: Generator[Any, None, T]) -> T:
    """What `fill` or `harvest` returns, for whoever does not count its passes."""
    while True:
        try:
            next(passes)
        except StopIteration as end:
            return end.value


def finish(
    writer: StoreWriter,
    lm: LM,
    reading: Reading,
    *,
    limits: Mapping[str, float],
    skipped: Sequence[tuple[str, str]],
) -> None:
    """Write the index of a store whose shards are all there; `skipped` are documents behind the last row."""
    writer.finish(
        model=lm.fingerprint,
        widths=lm.widths(reading.sites),
        context=reading.context,
        packing=reading.packing,
        dtype=reading.dtype,
        limits=limits,
        skipped=skipped,
    )
