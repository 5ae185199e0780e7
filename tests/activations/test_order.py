"""Batches come in an order that is known in advance, holds every row once, and mixes the whole split."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from hsae.activations.order import Order, block_of, stretches
from hsae.seeding import numpy_stream, stream

CASES = [
    (5000, 100, 4),
    (5000, 97, 128),
    (1000, 1000, 15),
    (129, 2, 4),
    (4096, 64, 8),
    (7, 3, 4),
    (640, 64, 64),
]


def batches(order, count, skip=0):
    """Numbers of the rows of each batch."""
    found = []
    for number in range(skip, skip + count):
        runs = order.runs(number)
        assert all(one[1] <= next[0] for one, next in pairwise(runs)), "ascending"
        found.append(torch.cat([torch.arange(start, stop) for start, stop in runs]))
    return found


def slow_batches(rows, batch, block, seed):
    """The same, from the definition."""
    epoch = 0
    while True:
        draw = numpy_stream(seed, f"order of train, epoch {epoch}")
        blocks = np.arange(rows // block, dtype=np.int32)
        draw.shuffle(blocks)
        shift = int(draw.integers(rows))
        line = [row for number in blocks for row in range(number * block, (number + 1) * block)]
        line += range(rows // block * block, rows)
        ring = [(row + shift) % rows for row in line]
        for start in range(0, rows - batch + 1, batch):
            yield torch.tensor(sorted(ring[start : start + batch]))
        epoch += 1


@pytest.mark.parametrize(("rows", "batch", "block"), CASES)
def test_the_order_is_the_one_that_is_written_down(rows, batch, block):
    order = Order(rows, batch, block, "train", seed=3)
    count = 2 * order.each + 3
    for fast, slow in zip(batches(order, count), slow_batches(rows, batch, block, 3), strict=False):
        assert torch.equal(fast, slow)


@pytest.mark.parametrize(("rows", "batch", "block"), CASES)
def test_an_epoch_holds_no_row_twice_and_drops_less_than_a_batch(rows, batch, block):
    order = Order(rows, batch, block, "train", seed=0)
    epoch = torch.cat(batches(order, order.each))
    assert len(epoch) == len(epoch.unique()) == rows // batch * batch
    assert epoch.min() >= 0 and epoch.max() < rows


def test_no_row_is_dropped_in_every_epoch():
    order = Order(103, 10, 4, "train", seed=0)
    assert len(torch.cat(batches(order, 10 * order.each)).unique()) == 103


@pytest.mark.parametrize(("rows", "batch", "block"), CASES)
def test_a_batch_follows_from_its_number_alone(rows, batch, block):
    order, other = (Order(rows, batch, block, "train", seed=1) for _ in range(2))
    count = 3 * order.each
    whole = batches(order, count)
    for skip in {1, order.each - 1, order.each, order.each + 1, 2 * order.each} - {0}:
        rest = batches(other, count - skip, skip)
        assert all(torch.equal(*pair) for pair in zip(whole[skip:], rest, strict=True))


def test_seed_split_and_epoch_give_orders_of_their_own():
    first = lambda split, seed: batches(Order(5000, 100, 8, split, seed), 60)
    whole = first("train", 0)
    for other in (first("train", 1), first("test", 0), whole[50:] + whole[:50]):
        assert not torch.equal(whole[0], other[0])
    assert all(torch.equal(*pair) for pair in zip(whole, first("train", 0), strict=True))


def test_a_block_is_as_large_as_batch_and_shard_allow():
    assert block_of(4096, 1 << 16) == 64
    assert block_of(1 << 20, 1 << 20) == 128
    assert block_of(4096, 5000) == 9, "shards of many wide sites have few rows"
    assert block_of(32, 1 << 16) == block_of(4096, 100) == 4


def test_stretches_are_the_numbers_without_their_gaps():
    assert stretches(torch.tensor([2, 3, 4, 9, 11, 12])) == [(2, 5), (9, 10), (11, 13)]
    assert stretches(torch.tensor([], dtype=torch.long)) == []
    assert stretches(torch.tensor([5])) == [(5, 6)]


@pytest.mark.parametrize(
    ("batch", "length", "shard", "share"),
    [(4096, 300, 1 << 16, 0.9), (512, 50, 8000, 0.9), (1024, 40, 30_000, 0.9), (64, 20, 1000, 0.9)]
    + [(512, 500, 8000, 0.8)],  # a shard of sixteen documents
)
def test_a_batch_holds_nearly_as_many_documents_as_a_random_sample(batch, length, shard, share):
    """Of rows that are drawn one by one from the whole split."""
    rows, g = 20 * (1 << 16), stream(0, "toy documents")
    number = torch.arange(rows)
    # as they stand in the shards: shuffled within each
    shuffled = [part[torch.randperm(len(part), generator=g)] for part in number.split(shard)]
    document = torch.cat(shuffled) // length
    distinct = lambda chosen: sum(len(document[of].unique()) for of in chosen) / len(chosen)
    ours = distinct(batches(Order(rows, batch, block_of(batch, shard), "train", 0), 200))
    drawn = distinct([torch.randint(rows, (batch,), generator=g) for _ in range(200)])
    assert ours >= share * drawn
