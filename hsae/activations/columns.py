"""Stretches of rows out of the shards of a store, by plain reads of the bytes in question.

A mapped file, or HDF5's own cache, would fill the memory with what has been read before. Every read of a
damaged shard ends in a UserError that names it.
"""

import os
import sys
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from threading import local
from typing import Any, NamedTuple, final
from weakref import finalize

import torch
from jaxtyping import Int64
from torch import Tensor

from hsae.activations.shard import SPLITS, documents, offsets
from hsae.errors import UserError
from hsae.journal import checksum

CHECKED = 1 << 30
"""Bytes of a store up to which each shard is compared with its checksum when it is first read (less than a
second for them all). The shards of a larger store are held to their sizes here, to the rest by `verify`."""

OPEN = 256
"""Shards that are open at once, at most."""

Runs = Iterable[tuple[int, int]]
"""Stretches [start, stop) of the rows of a split, in its order."""


@final
class Damage(NamedTuple):
    """A shard that is not what was written."""

    number: int
    file: str
    rows: tuple[int, int]
    """Its rows of the store: the first, and the one behind the last."""
    why: str


@final
class Files(local):
    """Files that stay open from one read to the next: a batch takes some rows of each of many shards, and on
    a network's disk opening costs more than reading them. Each thread has its own, so that none closes what
    another reads from; all are closed when nobody holds them any more."""

    def __init__(self):
        self._open: dict[int, int] = {}
        finalize(self, _close_all, self._open)

    def of(self, number: int, path: str) -> int:
        """The descriptor of a file; of more than OPEN, that which was opened first is closed."""
        if number not in self._open:
            if len(self._open) >= OPEN:
                self.close(next(iter(self._open)))
            self._open[number] = os.open(path, os.O_RDONLY)
        return self._open[number]

    def close(self, number: int) -> None:
        """Close a file, if it is open."""
        if (file := self._open.pop(number, None)) is not None:
            os.close(file)


def _close_all(files: dict[int, int]) -> None:
    while files:
        os.close(files.popitem()[1])


@final
class Columns:
    """Reads the datasets of a store's shards as one column each. `lines` are what store.json says of them."""

    def __init__(self, folder: Path, lines: Sequence[Mapping[str, Any]]):
        self._folder, self._lines = folder, lines
        self._paths = [str(folder / line["file"]) for line in lines]
        self._bounds = {split: [0, *accumulate(line["splits"][split] for line in lines)] for split in SPLITS}
        # what a row's number in its split has to grow by to be its number in the shard's file
        self._heads = {
            split: [
                sum(line["splits"][earlier] for earlier in SPLITS[:place]) - bound
                for line, bound in zip(lines, self._bounds[split], strict=False)
            ]
            for place, split in enumerate(SPLITS)
        }
        self._check_whole = sum(line["bytes"] for line in lines) <= CHECKED
        self._starts: dict[int, dict[str, int]] = {}
        self._files = Files()

    def documents(self, number: int) -> dict[int, str]:
        """The number and id of every document with a row in a shard. Raises UserError if it is damaged."""
        self._known(number)
        with self._readable(number) as path:
            return documents(path)

    def read(self, room: Mapping[str, Tensor], split: str, runs: Runs) -> float:
        """Fill tensors [row ...], by the names of their datasets, with the stretches one behind the other.
        Says how many seconds the disk took, or the system's memory of it.

        Each tensor is contiguous and has the dtype of its dataset.
        """
        views = [(name, _bytes(part), part[:1].nbytes) for name, part in room.items()]
        done, seconds = 0, 0.0
        for number, pieces in self._by_shard(split, runs):
            end = done + sum(rows for _, rows in pieces)
            with self._open(number) as (file, starts):
                begun = time.perf_counter()
                for name, view, row in views:
                    _fill(file, view[done * row : end * row], starts[name], row, pieces)
                seconds += time.perf_counter() - begun
            done = end
        return seconds

    def announce(self, rows: Mapping[str, int], split: str, runs: Runs) -> None:
        """Tell the disk of stretches that will be read, so that nobody waits for one read after the other.
        `rows` are the bytes of a row of each dataset. Systems other than Linux are told nothing."""
        if sys.platform != "linux":
            return
        for number, pieces in self._by_shard(split, runs):
            with self._open(number) as (file, starts):
                for name, row in rows.items():
                    for first, many in pieces:
                        place = starts[name] + first * row
                        os.posix_fadvise(file, place, many * row, os.POSIX_FADV_WILLNEED)

    def in_corpus_order(
        self, split: str, start: int, stop: int
    ) -> Iterator[tuple[int, Int64[Tensor, " row"]]]:
        """Shard by shard, where its rows of a split begin and which of them, counted from there, are the
        rows [start, stop) of the split as the corpus has them, in that order."""
        for number, _ in self._by_shard(split, [(start, stop)]):
            begin, end = self._bounds[split][number : number + 2]
            room = {name: torch.empty(end - begin, dtype=torch.int32) for name in ("document", "position")}
            self.read(room, split, [(begin, end)])
            place = (room["document"].long() << 32) + room["position"]
            yield begin, place.argsort()[max(0, start - begin) : stop - begin]

    def damage(self, number: int, *, whole: bool = True) -> Damage | None:
        """What is wrong with a shard: with its size and, if `whole`, with any of its bytes."""
        line = self._lines[number]
        path = self._folder / line["file"]
        before = sum(earlier["rows"] for earlier in self._lines[:number])
        of = number, line["file"], (before, before + line["rows"])
        if not path.is_file():
            return Damage(*of, "it is missing")
        if (size := path.stat().st_size) != line["bytes"]:
            return Damage(*of, f"it has {size:,} bytes and was written with {line['bytes']:,}")
        if whole and checksum(path) != line["checksum"]:
            return Damage(*of, "its bytes are not those that were written")
        return None

    def _by_shard(self, split: str, runs: Runs) -> Iterator[tuple[int, list[tuple[int, int]]]]:
        """Shard by shard, the pieces of it: first row in its file, and how many."""
        bounds, heads = self._bounds[split], self._heads[split]
        of, pieces = -1, list[tuple[int, int]]()
        for start, stop in runs:
            number = bisect_right(bounds, start) - 1
            while start < stop:
                end = min(stop, bounds[number + 1])
                if end > start:
                    if number != of:
                        if pieces:
                            yield of, pieces
                        of, pieces = number, []
                    pieces.append((start + heads[number], end - start))
                start, number = end, number + 1
        if pieces:
            yield of, pieces

    def forget(self, number: int) -> None:
        """Close a shard that another file takes the place of."""
        self._starts.pop(number, None)
        self._files.close(number)

    @contextmanager
    def _open(self, number: int) -> Iterator[tuple[int, dict[str, int]]]:
        """The shard's file, and where in it each dataset starts."""
        starts = self._known(number)
        try:
            yield self._files.of(number, self._paths[number]), starts
        except (OSError, EOFError, KeyError) as problem:  # a broken directory may lack a dataset
            self._files.close(number)
            raise self._unusable(number, f"it cannot be read ({problem})") from problem

    def _known(self, number: int) -> dict[str, int]:
        """Where the shard's datasets start, which is looked up, and the shard checked, when it is first
        read."""
        if number not in self._starts:
            if damage := self.damage(number, whole=self._check_whole):
                raise self._unusable(number, damage.why)
            with self._readable(number) as path:
                self._starts[number] = offsets(path)
        return self._starts[number]

    @contextmanager
    def _readable(self, number: int) -> Iterator[Path]:
        """The shard's file, for HDF5 to read."""
        try:
            yield self._folder / self._lines[number]["file"]
        except Exception as problem:  # HDF5 tells of damage by errors of any kind
            raise self._unusable(number, f"it cannot be read ({problem})") from problem

    def _unusable(self, number: int, why: str) -> UserError:
        before = sum(line["rows"] for line in self._lines[:number])
        line = self._lines[number]
        return UserError(
            f"{self._folder / line['file']} is damaged: {why}.\n"
            f"It holds the rows {before:,} to {before + line['rows'] - 1:,} of the store. Type the command "
            "that made the store with job=verify job.repair=true, which harvests damaged shards again, or "
            "make all of it again: hsae job=extract force=true"
        )


def _bytes(part: Tensor) -> memoryview:
    return part.flatten().view(torch.uint8).numpy().data


def _fill(file: int, room: memoryview, start: int, row: int, pieces: Sequence[tuple[int, int]]) -> None:
    """Read pieces of a dataset that starts at byte `start` one behind the other; other threads run meanwhile.
    Raises EOFError where the file ends first."""
    done = 0
    for first, rows in pieces:
        end, offset = done + rows * row, start + first * row
        while done < end:
            if not (got := os.preadv(file, [room[done:end]], offset)):
                raise EOFError("it ends too early")
            done, offset = done + got, offset + got
