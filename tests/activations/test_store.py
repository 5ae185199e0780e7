"""A store gives back what was written, in any order that is asked for, and survives whatever kills its
writer."""

from itertools import islice

import numpy as np
import pytest
import torch

from hsae.activations.store import Cursor, Shard, Store, StoreWriter
from hsae.errors import UserError

ROWS, D = 500, 4


def shard(rows=ROWS, first=0):
    """Row i holds i in every unit of `a`, and -i in `b`; every fifth document is not for training."""
    number = np.arange(first, first + rows)
    document = (number // 10).astype(np.int32)
    values = np.repeat(number[:, None], D, axis=1).astype(np.float16)
    return Shard(
        sites={"a": values, "b": -values},
        token=number.astype(np.int32),
        document=document,
        position=(number % 10).astype(np.int32),
        split=np.where(document % 5 == 4, 2, 0).astype(np.uint8),
        documents={int(n): f"document {n}" for n in np.unique(document)},
    )


@pytest.fixture
def store(tmp_path):
    writer = StoreWriter(tmp_path)
    for first in (0, ROWS):
        writer.write(shard(first=first), next=Cursor(first + ROWS, 0), skipped=[])
    writer.finish(model="m", sites={"a": D, "b": D}, context=8)
    return Store(tmp_path)


def test_rows_of_all_sites_are_the_same_tokens(store):
    for split in ("train", "test"):
        assert torch.equal(store.rows("a", split)[:, 0].int(), store.tokens(split))
        assert torch.equal(store.rows("b", split), -store.rows("a", split))
        assert torch.equal(store.documents(split) * 10 + store.positions(split), store.tokens(split))
    assert (store.count("train"), store.count("valid"), store.count("test"), store.count()) == (
        800,
        0,
        200,
        1000,
    )
    assert store.document_ids()[99] == "document 99"
    assert torch.equal(store.rows("a", "test", 5, 9), store.rows("a", "test")[5:9])


def test_only_the_site_that_is_asked_for_is_loaded(store):
    store.rows("a", "test")
    assert set(store._loaded) == {("sites/a", "test")}


def test_an_epoch_holds_every_row_once_in_an_order_of_its_own(store):
    batches = list(islice(store.batches("a", batch=100, seed=0), 16))
    epochs = [torch.cat(batches[start : start + 8])[:, 0] for start in (0, 8)]
    for epoch in epochs:
        assert torch.equal(epoch.sort().values, store.rows("a", "train")[:, 0])
    assert not torch.equal(*epochs)
    assert batches[0].dtype == torch.float32


def test_the_order_depends_on_the_seed_and_not_on_the_site(store):
    first = lambda site, seed: next(store.batches(site, batch=100, seed=seed))
    assert torch.equal(first("a", 0), -first("b", 0))
    assert not torch.equal(first("a", 0), first("a", 1))


@pytest.mark.parametrize("skip", [1, 7, 8, 9, 20])
def test_skipping_goes_on_exactly_where_reading_stopped(store, skip):
    whole = list(islice(store.batches("a", batch=97, seed=3), 24))
    rest = list(islice(store.batches("a", batch=97, seed=3, skip=skip), 24 - skip))
    assert all(torch.equal(*pair) for pair in zip(whole[skip:], rest, strict=True))


def test_a_batch_larger_than_the_split_is_a_user_error(store):
    with pytest.raises(UserError, match="800 rows of the split train, fewer than one batch of 801"):
        store.batches("a", batch=801, seed=0)


def test_what_the_store_does_not_have_is_a_user_error(store, tmp_path):
    with pytest.raises(UserError, match=r"no site 'c', only a, b(.|\n)*layers\.sites=\[a,b,c\]"):
        store.rows("c")
    with pytest.raises(UserError, match="no split 'dev'"):
        store.count("dev")
    with pytest.raises(UserError, match="job=extract"):
        Store(tmp_path / "elsewhere")
    (tmp_path / "shard-00001.h5").write_bytes(b"damaged")
    with pytest.raises(UserError, match="shard-00001"):
        Store(tmp_path).rows("a")


def test_a_store_of_another_model_is_refused(store):
    assert Store(store.folder, model="m").model == "m"
    with pytest.raises(UserError, match="of the model m, not of n"):
        Store(store.folder, model="n")


def test_a_shard_without_its_journal_line_is_written_again(tmp_path):
    writer = StoreWriter(tmp_path)
    writer.write(shard(), next=Cursor(5, 1), skipped=[("x", "why")])
    journal = (tmp_path / "journal.jsonl").read_text()
    (tmp_path / "shard-00001.h5").write_bytes(b"half a shard")
    (tmp_path / "journal.jsonl").write_text(journal + '{"shard": "shard-00001.h5", "by')
    again = StoreWriter(tmp_path)
    assert (again.rows, again.cursor) == (ROWS, Cursor(5, 1))
    assert (tmp_path / "journal.jsonl").read_text() == journal


def test_a_shard_that_lost_bytes_is_not_trusted_nor_what_came_after(tmp_path):
    writer = StoreWriter(tmp_path)
    for number in range(3):
        writer.write(shard(first=number * ROWS), next=Cursor(number + 1, 0), skipped=[])
    with (tmp_path / "shard-00001.h5").open("r+b") as file:
        file.truncate(100)
    again = StoreWriter(tmp_path)
    assert (again.rows, again.cursor) == (ROWS, Cursor(1, 0))
