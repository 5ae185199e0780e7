"""The order in which rows are read: mixed over the whole split, and known in advance for every batch.

The rows of a split, as they stand in the shards, are taken in blocks of BLOCK. An epoch permutes the blocks;
a pool is a stretch of that order, and all its rows are permuted before batches are cut from them. Reading by
blocks keeps a disk busy; the rows of a shard are shuffled, so a block is no stretch of one document.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from jaxtyping import Int64
from torch import Tensor

from hsae.seeding import stream

BLOCK = 128


@final
class Turn(NamedTuple):
    """A pool whose turn it is."""

    epoch: int
    number: int
    """Of the pool in the epoch."""
    first: int
    """The batch of the pool to begin with."""


@final
@dataclass(frozen=True)
class Order:
    """The order of the rows of a split: batch n follows from these facts and n alone.

    What does not fill a batch at the end of an epoch is dropped.
    """

    rows: int
    batch: int
    pool: int
    """Rows that may be in memory at once."""
    split: str
    seed: int

    @property
    def each(self) -> int:
        """Batches of an epoch."""
        return self.rows // self.batch

    @property
    def size(self) -> int:
        """Rows of a full pool: as many batches as `pool` holds, but at least one."""
        return max(1, self.pool // self.batch) * self.batch

    def turns(self, skip: int) -> Iterator[Turn]:
        """The pools in their order, endless, from the one that batch number `skip` is cut from."""
        per_pool = self.size // self.batch
        epoch, within = divmod(skip, self.each)
        number, first = divmod(within, per_pool)
        while True:
            while number * per_pool < self.each:
                yield Turn(epoch, number, first)
                number, first = number + 1, 0
            epoch, number = epoch + 1, 0

    def blocks(self, epoch: int) -> Int64[Tensor, " block"]:
        """The blocks in the order of an epoch; one that is not full is always the last."""
        whole = self.rows // BLOCK
        mixed = torch.randperm(whole, generator=stream(self.seed, f"order of {self.split}, epoch {epoch}"))
        return torch.cat([mixed, torch.arange(whole, -(-self.rows // BLOCK))])

    def size_of(self, turn: Turn) -> int:
        """Rows of a pool: the last one of an epoch may not be full."""
        return min(self.size, self.rows - turn.number * self.size)

    def runs(self, blocks: Int64[Tensor, " block"], turn: Turn) -> list[tuple[int, int]]:
        """The rows of a pool, ascending, as stretches [start, stop)."""
        first = turn.number * self.size
        last = first + self.size_of(turn)
        starts = BLOCK * blocks[first // BLOCK : -(-last // BLOCK)]
        stops = starts + BLOCK
        # a pool may begin and end within a block, and the last of all blocks need not be full
        stops[-1] = starts[-1] + (last - 1) % BLOCK + 1
        starts[0] += first % BLOCK
        starts, order = starts.sort()
        stops = stops[order]
        apart = starts[1:] != stops[:-1]
        edge = torch.tensor([True])
        kept = starts[torch.cat([edge, apart])], stops[torch.cat([apart, edge])]
        return [(start, stop) for start, stop in torch.stack(kept, 1).tolist()]

    def mixed(self, turn: Turn) -> Int64[Tensor, " row"]:
        """The permutation of the rows of a pool."""
        purpose = f"order of {self.split}, epoch {turn.epoch}, pool {turn.number}"
        return torch.randperm(self.size_of(turn), generator=stream(self.seed, purpose))


def stretches(rows: Int64[Tensor, " row"]) -> list[tuple[int, int]]:
    """Ascending numbers as stretches [start, stop) without a gap."""
    if not len(rows):
        return []
    heads = torch.cat([torch.tensor([0]), (rows.diff() != 1).nonzero()[:, 0] + 1])
    lengths = heads.diff(append=torch.tensor([len(rows)]))
    return [(start, start + length) for start, length in torch.stack([rows[heads], lengths], 1).tolist()]


def cut(
    pool: Mapping[str, Tensor], order: Int64[Tensor, " row"], batch: int, first: int = 0, *, pin: bool = False
) -> Iterator[dict[str, Tensor]]:
    """Batches number `first`, `first + 1`, ... of a pool: rows of each of its tensors, copied, in the given
    order. Rows at the end that fill no batch are left out. `pin`: into memory that a GPU copies from while
    the CPU goes on."""
    for number in range(first, len(order) // batch):
        rows = order[number * batch : (number + 1) * batch]
        yield {name: _chosen(whole, rows, pin=pin) for name, whole in pool.items()}


def _chosen(whole: Tensor, rows: Int64[Tensor, " row"], *, pin: bool) -> Tensor:
    if not pin:
        return whole.index_select(0, rows)
    out = torch.empty(len(rows), *whole.shape[1:], dtype=whole.dtype, pin_memory=True)
    return torch.index_select(whole, 0, rows, out=out)
