"""The order in which rows are read: mixed over the whole split, and known in advance for every batch.

The rows of a split, as they stand in the shards, are a ring, which each epoch cuts into blocks from another
place on; the blocks are permuted, and batches are cut from the row of them. The rows of a shard lie shuffled
in it, so a block is no stretch of a text but a sample of the shard's documents, and a batch is a sample of as
many shards as it has blocks. Nothing is mixed in memory: what is read is what is used.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
import torch
from jaxtyping import Int32, Int64
from torch import Tensor

from hsae.seeding import numpy_stream

BLOCKS = 64
"""A batch is made of so many blocks at least, as far as they need not be smaller than the least."""
LEAST, MOST = 4, 128
"""Rows of a block: fewer are slow to read, and more would not be faster."""
OF_A_SHARD = 512
"""A shard is cut into so many blocks at least: each then holds few rows of one document."""


def block_of(batch: int, shard: int) -> int:
    """Rows of a block, for batches and shards of so many rows."""
    return max(LEAST, min(MOST, batch // BLOCKS, shard // OF_A_SHARD))


@final
@dataclass(frozen=True)
class Order:
    """The order of the rows of a split: batch n follows from these facts and n alone.

    What does not fill a batch at the end of an epoch is dropped; it is another in every epoch.
    """

    rows: int
    batch: int
    block: int
    split: str
    seed: int

    @property
    def each(self) -> int:
        """Batches of an epoch."""
        return self.rows // self.batch

    def runs(self, number: int) -> list[tuple[int, int]]:
        """The rows of batch `number`, ascending, as stretches [start, stop)."""
        epoch, within = divmod(number, self.each)
        blocks, shift = _drawn(self, epoch)
        first, last = within * self.batch, (within + 1) * self.batch
        starts = self.block * blocks[first // self.block : -(-last // self.block)].astype(np.int64)
        stops = starts + self.block
        # a batch may begin and end within a block; the last block of all, which may be short, ends it there
        stops[-1] = starts[-1] + (last - 1) % self.block + 1
        starts[0] += first % self.block
        starts, stops = starts + shift, stops + shift
        over = starts >= self.rows
        starts[over] -= self.rows
        stops[over] -= self.rows
        found: list[tuple[int, int]] = []
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            if stop <= self.rows:
                found.append((start, stop))
            else:  # the end of the split is within it
                found += [(start, self.rows), (0, stop - self.rows)]
        return sorted(found)


@lru_cache(4)  # readers of the same rows side by side, each in an epoch of its own
def _drawn(order: Order, epoch: int) -> tuple[Int32[np.ndarray, " block"], int]:
    """The blocks in the order of an epoch, one that is not full behind the others, and where the ring is
    cut."""
    draw = numpy_stream(order.seed, f"order of {order.split}, epoch {epoch}")
    whole = np.arange(order.rows // order.block, dtype=np.int32)
    draw.shuffle(whole)
    short = [] if order.rows % order.block == 0 else [len(whole)]
    return np.append(whole, np.array(short, np.int32)), int(draw.integers(order.rows))


def stretches(rows: Int64[Tensor, " row"]) -> list[tuple[int, int]]:
    """Ascending numbers as stretches [start, stop) without a gap."""
    if not len(rows):
        return []
    heads = torch.cat([torch.tensor([0]), (rows.diff() != 1).nonzero()[:, 0] + 1])
    lengths = heads.diff(append=torch.tensor([len(rows)]))
    return [(start, start + length) for start, length in torch.stack([rows[heads], lengths], 1).tolist()]
