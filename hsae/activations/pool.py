"""The order in which rows are read: mixed over the whole split, and known in advance for every batch.

An epoch permutes blocks of BLOCK rows that follow each other. As many blocks of that order as fit into a pool
are in memory at once, and all rows of a pool are permuted before batches are cut from it. Reading in blocks
keeps a disk busy; the pool takes the blocks apart again: of batches that fill a share r of the pool, a block
gives r * BLOCK rows to each on average.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import lcm
from typing import NamedTuple, final

import torch
from jaxtyping import Int64
from torch import Tensor

from hsae.seeding import stream

BLOCK = 16


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
    """Rows that may be in memory at once; less than whole blocks and batches fill is not possible."""
    split: str
    seed: int

    @property
    def each(self) -> int:
        """Batches of an epoch."""
        return self.rows // self.batch

    @property
    def size(self) -> int:
        """Rows of a full pool: as many whole blocks and whole batches as `pool` holds."""
        least = lcm(BLOCK, self.batch)
        return max(1, self.pool // least) * least

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
        """First rows of the blocks in the order of an epoch; one that is not full is always the last."""
        return BLOCK * torch.cat(
            [
                torch.randperm(
                    self.rows // BLOCK, generator=stream(self.seed, f"order of {self.split}, epoch {epoch}")
                ),
                torch.arange(self.rows // BLOCK, -(-self.rows // BLOCK)),
            ]
        )

    def size_of(self, turn: Turn) -> int:
        """Rows of a pool: the last one of an epoch may not be full."""
        return min(self.size, self.rows - turn.number * self.size)

    def runs(self, blocks: Int64[Tensor, " block"], turn: Turn) -> list[tuple[int, int]]:
        """The rows of a pool as stretches [start, stop) of the split, in the order of the split."""
        each = self.size // BLOCK
        starts = blocks[turn.number * each : (turn.number + 1) * each].sort().values
        heads = torch.cat([torch.tensor([0]), (starts.diff() != BLOCK).nonzero()[:, 0] + 1])
        lengths = BLOCK * heads.diff(append=torch.tensor([len(starts)]))
        pairs = zip(starts[heads].tolist(), lengths.tolist(), strict=True)
        return [(start, min(start + length, self.rows)) for start, length in pairs]

    def mixed(self, turn: Turn) -> Int64[Tensor, " row"]:
        """The permutation of the rows of a pool."""
        purpose = f"order of {self.split}, epoch {turn.epoch}, pool {turn.number}"
        return torch.randperm(self.size_of(turn), generator=stream(self.seed, purpose))


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
