"""Batches come in an order that is known in advance, holds every row once, and mixes the whole split."""

from itertools import pairwise

import pytest
import torch

from hsae.activations.pool import BLOCK, Order, cut, stretches
from hsae.seeding import stream

CASES = [(5000, 100, 1000), (5000, 97, 1000), (1000, 1000, 10), (129, 2, 40), (4096, 64, 1 << 17), (7, 3, 1)]


def batches(order, count, skip=0):
    """Numbers of the rows of each batch."""
    found = []
    for turn in order.turns(skip):
        runs = order.runs(order.blocks(turn.epoch), turn)
        assert all(one[1] < next[0] for one, next in pairwise(runs)), "stretches that touch are one"
        rows = torch.cat([torch.arange(start, stop) for start, stop in runs])
        found += [batch["row"] for batch in cut({"row": rows}, order.mixed(turn), order.batch, turn.first)]
        if len(found) >= count:
            return found[:count]
    raise AssertionError("the order is endless")


def slow_batches(rows, batch, pool, seed):
    """The same, from the definition."""
    size = max(1, pool // batch) * batch
    epoch = 0
    while True:
        order = torch.randperm(rows // BLOCK, generator=stream(seed, f"order of train, epoch {epoch}"))
        line = [row for block in order.tolist() for row in range(block * BLOCK, (block + 1) * BLOCK)]
        line += range(rows // BLOCK * BLOCK, rows)
        for number, start in enumerate(range(0, rows, size)):
            members = sorted(line[start : start + size])
            purpose = f"order of train, epoch {epoch}, pool {number}"
            mixed = torch.randperm(len(members), generator=stream(seed, purpose)).tolist()
            for first in range(0, len(members) - batch + 1, batch):
                yield torch.tensor([members[place] for place in mixed[first : first + batch]])
        epoch += 1


@pytest.mark.parametrize(("rows", "batch", "pool"), CASES)
def test_the_order_is_the_one_that_is_written_down(rows, batch, pool):
    order = Order(rows, batch, pool, "train", seed=3)
    count = 2 * order.each + 3
    for fast, slow in zip(batches(order, count), slow_batches(rows, batch, pool, 3), strict=False):
        assert torch.equal(fast, slow)


@pytest.mark.parametrize(("rows", "batch", "pool"), CASES)
def test_an_epoch_holds_no_row_twice_and_drops_less_than_a_batch(rows, batch, pool):
    order = Order(rows, batch, pool, "train", seed=0)
    epoch = torch.cat(batches(order, order.each))
    assert len(epoch) == len(epoch.unique()) == rows // batch * batch
    assert epoch.min() >= 0 and epoch.max() < rows


@pytest.mark.parametrize(("rows", "batch", "pool"), CASES)
def test_skipping_goes_on_where_reading_stopped(rows, batch, pool):
    order = Order(rows, batch, pool, "train", seed=1)
    count = 3 * order.each
    whole = batches(order, count)
    for skip in {1, order.each - 1, order.each, order.each + 1, 2 * order.each} - {0}:
        rest = batches(order, count - skip, skip)
        assert all(torch.equal(*pair) for pair in zip(whole[skip:], rest, strict=True))


def test_seed_split_and_epoch_give_orders_of_their_own():
    first = lambda split, seed: batches(Order(5000, 100, 1000, split, seed), 60)
    whole = first("train", 0)
    for other in (first("train", 1), first("test", 0), whole[50:] + whole[:50]):
        assert not torch.equal(whole[0], other[0])
    assert all(torch.equal(*pair) for pair in zip(whole, first("train", 0), strict=True))


def test_a_pool_is_no_larger_than_asked_unless_a_batch_is():
    for batch in (1, 97, 1000):
        for pool in (1000, 1001, 5555):
            assert pool - batch < Order(10**6, batch, pool, "train", 0).size <= pool
    assert Order(10**6, 1000, 10, "train", 0).size == 1000


def test_stretches_are_the_numbers_without_their_gaps():
    assert stretches(torch.tensor([2, 3, 4, 9, 11, 12])) == [(2, 5), (9, 10), (11, 13)]
    assert stretches(torch.tensor([], dtype=torch.long)) == []
    assert stretches(torch.tensor([5])) == [(5, 6)]


def test_what_is_cut_is_a_copy_of_each_tensor_in_the_order_given():
    pool = {"x": torch.arange(20.0).view(10, 2), "scale": torch.arange(10)}
    order = torch.randperm(10, generator=stream(0, "toy order"))
    found = list(cut(pool, order, 3))
    assert len(found) == 3
    assert torch.equal(torch.cat([part["scale"] for part in found]), order[:9])
    assert torch.equal(torch.cat([part["x"] for part in found]), pool["x"][order[:9]])
    assert torch.equal(list(cut(pool, order, 3, 2))[0]["x"], found[2]["x"])
    pool["x"].zero_()
    assert found[0]["x"].any()


@pytest.mark.parametrize(
    ("batch", "length", "shard"), [(512, 50, 8000), (512, 500, 8000), (1024, 40, 30_000), (64, 20, 1000)]
)
def test_a_batch_holds_nearly_as_many_documents_as_a_random_sample(batch, length, shard):
    """At least 0.9 of those in rows that are drawn one by one from the whole split."""
    rows, pool, g = 400_000, 1 << 16, stream(0, "toy documents")
    number = torch.arange(rows)
    # as they stand in the shards: shuffled within each
    shuffled = [part[torch.randperm(len(part), generator=g)] for part in number.split(shard)]
    document = torch.cat(shuffled) // length
    distinct = lambda chosen: sum(len(document[of].unique()) for of in chosen) / len(chosen)
    ours = distinct(batches(Order(rows, batch, pool, "train", 0), 200))
    drawn = distinct([torch.randint(rows, (batch,), generator=g) for _ in range(200)])
    assert ours >= 0.9 * drawn
