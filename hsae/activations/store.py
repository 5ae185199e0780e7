"""A store: activations of many sites on disk, where row i of every site is the same token.

Its shards are described in `hsae.activations.shard`, its journals and store.json in
`hsae.activations.writer`.
`document` counts the documents of the corpus in its order; `position` counts the tokens of a document from 0.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, final, overload

import torch
from jaxtyping import Float32, Int32
from torch import Tensor

from hsae.activations import shard as shards
from hsae.activations.background import ahead
from hsae.activations.columns import Columns, Damage
from hsae.activations.encoding import Rows, decode
from hsae.activations.order import Order, block_of, stretches
from hsae.activations.shard import SPLITS, Shard
from hsae.activations.writer import INDEX, SKIPPED, Line
from hsae.errors import UserError

AHEAD, AHEAD_BYTES = 16, 256 << 20
"""Batches that the disk is told of before they are read, at most, and their bytes."""
FAST = 2e9
"""Bytes per second that only the system's memory gives: as long as it does, there is nothing to tell."""
PATIENCE = 1000
"""Batches that the disk is told of after one that had to be waited for."""

_TOGETHER = 1 << 14  # rows that are decoded at once


@final
class Store:
    """Reads a finished store.

    `model` is the fingerprint of the LM whose activations are wanted; a store of another is refused. Whatever
    reads rows raises UserError for a shard that is missing or damaged.
    """

    def __init__(self, folder: Path, *, model: str | None = None):
        self.folder = Path(folder)
        if not (self.folder / INDEX).is_file():
            raise UserError(
                f"{folder} is no finished store: it has no {INDEX}.\nMake one with: hsae job=extract"
            )
        try:
            self._index: dict[str, Any] = json.loads((self.folder / INDEX).read_text())
        except ValueError as problem:
            raise UserError(
                f"{self.folder / INDEX} is damaged: {problem}.\nExtract again: hsae job=extract force=true"
            ) from problem
        self.model: str = self._index["model"]
        if model is not None and model != self.model:
            raise UserError(
                f"the store {folder} holds activations of the model {self.model}, not of {model}.\n"
                "Extract again with the model that is meant, or name the store's own."
            )
        self.sites: list[str] = list(self._index["sites"])
        self.reasons: dict[str, int] = self._index["skipped"]
        """How many documents were passed over, by the reason."""
        self.dropped: int = self._index["dropped"]
        self.limits: dict[str, float] = self._index["limits"]
        self.shards: list[Line] = self._index["shards"]
        """What the journals say of each: where in the corpus it starts, its rows, size and checksum."""
        self._columns = Columns(self.folder, self.shards)

    def skipped(self) -> Iterator[tuple[str, str]]:
        """Id and reason of every document that was passed over."""
        with (self.folder / SKIPPED).open() as stream:
            for line in stream:
                id, why = json.loads(line)
                yield id, why

    def d(self, site: str) -> int:
        """Width of the site."""
        self._check(site)
        return self._index["sites"][site]

    def count(self, split: str | None = None) -> int:
        """Rows of a split, or of all."""
        return self._index["rows"] if split is None else self._index["splits"][_known(split)]

    def rows(
        self, site: str, split: str = "train", start: int = 0, stop: int | None = None
    ) -> Float32[Tensor, "row d"]:
        """Rows of a split in the order of the corpus; `start` and `stop` as in a slice. No other is read."""
        self._check(site)
        wanted = range(self.count(split))[start:stop]
        out = torch.empty(len(wanted), self.d(site))
        done = 0
        for begin, rows in self._columns.in_corpus_order(split, wanted.start, wanted.stop):
            there, place = rows.sort()  # as they stand in the file, and where each belongs
            for some, places in zip(there.split(_TOGETHER), place.split(_TOGETHER), strict=True):
                held, runs = self._room([site], len(some)), stretches(begin + some)
                if len(runs) > 1:
                    bytes = {name: part[:1].nbytes for name, part in held.items()}
                    self._columns.announce(bytes, split, runs)
                self._columns.read(held, split, runs)
                out.index_copy_(0, done + places, _decoded(held, site))
            done += len(rows)
        return out

    def tokens(self, split: str) -> Int32[Tensor, " row"]:
        """The token of each row of a split."""
        return self._column("token", split)

    def positions(self, split: str) -> Int32[Tensor, " row"]:
        """Where in its document each row's token stands."""
        return self._column("position", split)

    def documents(self, split: str) -> Int32[Tensor, " row"]:
        """The document of each row of a split: the unit that intervals resample. Its id is in
        `document_ids`."""
        return self._column("document", split)

    def document_ids(self) -> dict[int, str]:
        """The id of every document that has rows."""
        found: dict[int, str] = {}
        for number in range(len(self.shards)):
            found |= self._columns.documents(number)
        return found

    @overload
    def batches(
        self,
        sites: str,
        *,
        split: str = ...,
        batch: int,
        seed: int,
        skip: int = ...,
        device: str = ...,
    ) -> Iterator[Tensor]: ...
    @overload
    def batches(
        self,
        sites: Sequence[str],
        *,
        split: str = ...,
        batch: int,
        seed: int,
        skip: int = ...,
        device: str = ...,
    ) -> Iterator[dict[str, Tensor]]: ...
    def batches(
        self,
        sites: str | Sequence[str],
        *,
        split: str = "train",
        batch: int,
        seed: int,
        skip: int = 0,
        device: str = "cpu",
    ) -> Iterator[Any]:
        """Endless batches of a split, float32, on `device`: [batch d] of one site, or a dictionary of
        several.

        Batch n depends on seed, split, batch and n alone: `batches(skip=n)` goes on where n batches ended,
        without reading them, and all sites give the same rows. Every epoch has an order of its own and drops
        the few rows that do not fill a batch (see `hsae.activations.order`). One or, for a GPU, three batches
        are in memory, which a thread then reads ahead; a disk that is waited for is told of those to come.
        """
        chosen = [sites] if isinstance(sites, str) else list(sites)
        for site in chosen:
            self._check(site)
        rows = self.count(split)
        block = block_of(batch, rows // max(1, len(self.shards)))
        order = Order(rows=rows, batch=batch, block=block, split=split, seed=seed)
        if order.each == 0:
            raise UserError(
                f"the store has {rows} rows of the split {split}, "
                f"fewer than one batch of {batch}.\n"
                "Extract more (corpus.tokens=...), or take a smaller train.batch."
            )
        kept = self._read(chosen, order, skip, torch.device(device))
        found = ({site: _decoded(batch, site) for site in chosen} for batch in kept)
        return (batch[sites] for batch in found) if isinstance(sites, str) else found

    def damage(self, number: int) -> Damage | None:
        """What is wrong with a shard, found by reading all of it."""
        return self._columns.damage(number)

    def verify(self) -> list[Damage]:
        """Every shard that is not what was written."""
        return [damage for number in range(len(self.shards)) if (damage := self.damage(number))]

    def repair(self, number: int, shard: Shard) -> None:
        """Put a shard that was harvested again in the place of a damaged one.

        Raises UserError, and changes nothing, if it is not the same to the byte.
        """
        line = self.shards[number]
        self._columns.forget(number)
        if shards.write(self.folder / line["file"], shard, only=line["checksum"]) != line["checksum"]:
            raise UserError(
                f"{line['file']} was harvested again and has other bytes than it was written with.\n"
                "Repair it on the hardware, with the hardware.batch_tokens, the hardware.threads of each "
                "process and the package versions that made the store, or make all of it again: "
                "hsae job=extract force=true"
            )

    def _read(
        self, sites: Sequence[str], order: Order, skip: int, device: torch.device
    ) -> Iterator[dict[str, Tensor]]:
        """The batches from number `skip` on as they are kept, on the device."""
        if device.type == "cuda":
            for room in ahead(self._filled(sites, order, skip, pin=True)):
                yield {name: part.to(device, non_blocking=True) for name, part in room.items()}
        else:
            for room in self._filled(sites, order, skip, pin=False):
                yield {name: part.to(device) for name, part in room.items()}

    def _filled(
        self, sites: Sequence[str], order: Order, skip: int, *, pin: bool
    ) -> Iterator[dict[str, Tensor]]:
        """The batches in memory: pinned, each in its own; else all of them in the same."""
        room, told, until = self._room(sites, order.batch, pin=pin), skip, skip
        row_bytes = {name: part[:1].nbytes for name, part in room.items()}
        size = order.batch * sum(row_bytes.values())
        depth = max(1, min(AHEAD, AHEAD_BYTES // size))
        for number in count(skip):
            while number < until and told <= number + depth:
                self._columns.announce(row_bytes, order.split, order.runs(told))
                told += 1
            told = max(told, number + 1)
            if size < FAST * self._columns.read(room, order.split, order.runs(number)):
                until = number + 1 + PATIENCE
            yield room
            room = self._room(sites, order.batch, pin=True) if pin else room

    def _room(self, sites: Sequence[str], rows: int, *, pin: bool = False) -> dict[str, Tensor]:
        """Room for rows of the sites as they are on the disk, by the names of their datasets; pinned, a GPU
        copies from it while the CPU goes on."""
        dtype = self._index["dtype"]
        room = {
            f"sites/{site}": torch.empty(rows, self.d(site), dtype=getattr(torch, dtype), pin_memory=pin)
            for site in sites
        }
        scales = {f"scales/{site}": torch.empty(rows, pin_memory=pin) for site in sites}
        return room | (scales if dtype == "int8" else {})

    def _column(self, name: str, split: str) -> Int32[Tensor, " row"]:
        out = torch.empty(self.count(split), dtype=torch.int32)
        self._columns.read({name: out}, split, [(0, len(out))])
        for begin, rows in self._columns.in_corpus_order(split, 0, len(out)):
            out[begin : begin + len(rows)] = out[begin + rows]
        return out

    def _check(self, site: str) -> None:
        if site not in self.sites:
            raise UserError(
                f"the store {self.folder} has no site {site!r}, only {', '.join(self.sites)}.\n"
                f"Extract it too: layers.sites=[{','.join([*self.sites, site])}]"
            )


def load(folder: Path) -> Store:
    """The store in a result folder of `job=extract`."""
    return Store(folder)


def _decoded(room: Mapping[str, Tensor], site: str) -> Float32[Tensor, "row d"]:
    return decode(Rows(room[f"sites/{site}"], room.get(f"scales/{site}")))


def _known(split: str) -> str:
    if split not in SPLITS:
        raise UserError(f"there is no split {split!r}; there are {', '.join(SPLITS)}.")
    return split
