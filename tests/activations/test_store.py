"""A store gives back what was written, in any order that is asked for, and says when that is not possible."""

import gc
import os
import subprocess
import sys
from itertools import count, islice

import h5py
import numpy as np
import pytest
import torch
from worlds_store import noise, shard, store

from hsae.activations import columns
from hsae.activations.encoding import DTYPES, decode
from hsae.activations.order import Order, block_of
from hsae.activations.store import Store
from hsae.errors import UserError
from hsae.seeding import stream

SHARDS, ROWS = 3, 700
SPLITS = ("train", "valid", "test")


def counting(first=0, rows=500):
    """Row i holds i at the site a, and -i at b."""
    number = torch.arange(first, first + rows)[:, None].expand(-1, 4).float()
    return shard({"a": number, "b": -number}, first=first)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return store(tmp_path_factory.mktemp("store"), [counting(first) for first in (0, 500, 1000)])


@pytest.fixture(scope="module", params=DTYPES)
def noisy(request, tmp_path_factory):
    shards = [noise(ROWS, first=number * ROWS, dtype=request.param) for number in range(SHARDS)]
    return store(tmp_path_factory.mktemp(request.param), shards)


@pytest.fixture
def own(tmp_path):
    """A store to damage."""
    return store(tmp_path, [noise(ROWS, first=number * ROWS) for number in range(SHARDS)])


def test_rows_of_all_sites_are_the_same_tokens_in_the_order_of_the_corpus(small):
    for split in ("train", "test"):
        assert torch.equal(small.rows("a", split)[:, 0].int(), small.tokens(split))
        assert torch.equal(small.rows("b", split), -small.rows("a", split))
        assert torch.equal(small.documents(split) * 10 + small.positions(split), small.tokens(split))
        assert (small.tokens(split).diff() > 0).all()
    counts = [small.count(split) for split in (*SPLITS, None)]
    assert counts == [1200, 0, 300, 1500]
    assert small.document_ids() == {number: f"document {number}" for number in range(150)}


def test_what_was_encoded_is_what_is_read(noisy):
    for site in ("a", "b"):
        given = [noise(ROWS, first=number * ROWS, dtype=noisy._index["dtype"]) for number in range(SHARDS)]
        whole = torch.cat([decode(part.sites[site]) for part in given])
        codes = np.concatenate([part.split for part in given])
        for code, split in enumerate(SPLITS):
            assert torch.equal(noisy.rows(site, split), whole[codes == code])


@pytest.mark.parametrize(
    "cut", [(5, 9), (0, 0), (395, 405), (400, 400), (1190, 9000), (-7, None), (3, -1000), (9, 5), (0, None)]
)
def test_a_slice_of_the_rows_is_what_python_means_by_it(small, monkeypatch, cut):
    monkeypatch.setattr("hsae.activations.store._TOGETHER", 64)
    assert torch.equal(small.rows("a", "train", *cut), small.rows("a", "train")[slice(*cut)])


def test_no_more_is_read_than_is_asked_for(small, monkeypatch):
    read, preadv = [], columns.os.preadv

    def spy(file, room, offset):
        read.append(sum(map(len, room)))
        return preadv(file, room, offset)

    monkeypatch.setattr(columns.os, "preadv", spy)
    small.rows("a", "train", 410, 420)
    assert sum(read) == 10 * 4 * 2 + 400 * 8  # its site, and where in the corpus the rows of the shard belong


def test_a_read_that_comes_in_parts_is_put_together(small, monkeypatch):
    expected, preadv = small.rows("a", "train"), columns.os.preadv
    monkeypatch.setattr(columns.os, "preadv", lambda file, room, at: preadv(file, [room[0][:7]], at))
    assert torch.equal(small.rows("a", "train"), expected)


def slow_batches(store, sites, split, batch, seed):
    """What the docs say, by h5py and numpy, of rows that all lie in memory."""
    found = {}
    for site in sites:
        parts = []
        for line in store.shards:
            start = sum(line["splits"][name] for name in SPLITS[: SPLITS.index(split)])
            with h5py.File(store.folder / line["file"]) as file:
                data = file[f"sites/{site}"]
                values = torch.from_numpy(data[start : start + line["splits"][split]])
                values = values.view(torch.bfloat16) if data.attrs["dtype"] == "bfloat16" else values
                values = values.float()
                if "scales" in file:
                    values *= torch.from_numpy(file[f"scales/{site}"][start : start + len(values)])[:, None]
            parts.append(values)
        found[site] = torch.cat(parts)
    rows = len(found[sites[0]])
    order = Order(rows, batch, block_of(batch, rows // len(store.shards)), split, seed)
    for number in count():
        chosen = [row for start, stop in order.runs(number) for row in range(start, stop)]
        yield {site: found[site][chosen] for site in sites}


@pytest.mark.parametrize("batch", [97, 64, 256, 300])
@pytest.mark.parametrize("split", ["train", "test"])
def test_batches_are_those_of_the_slow_reader(noisy, split, batch):
    fast = noisy.batches(["b", "a"], split=split, batch=batch, seed=5)
    slow = slow_batches(noisy, ["b", "a"], split, batch, 5)
    for ours, theirs in islice(zip(fast, slow, strict=True), 40):
        assert list(ours) == ["b", "a"]
        for site in ours:
            assert ours[site].dtype == torch.float32
            assert torch.equal(ours[site], theirs[site])


def test_an_epoch_holds_every_row_once_in_an_order_of_its_own(small):
    batches = list(islice(small.batches("a", batch=100, seed=0), 24))
    epochs = [torch.cat(batches[start : start + 12])[:, 0] for start in (0, 12)]
    for epoch in epochs:
        assert torch.equal(epoch.sort().values, small.rows("a", "train")[:, 0])
    assert not torch.equal(*epochs)


def test_one_site_or_many_read_the_same_rows(small):
    alone = islice(small.batches("a", batch=100, seed=0), 30)
    both = islice(small.batches(["b", "a"], batch=100, seed=0), 30)
    for one, many in zip(alone, both, strict=True):
        assert torch.equal(one, many["a"]) and torch.equal(one, -many["b"])


@pytest.mark.parametrize("skip", [1, 11, 12, 13, 30])
def test_skipping_goes_on_exactly_where_reading_stopped(small, skip):
    chosen = {"batch": 97, "seed": 3}
    whole = list(islice(small.batches("a", **chosen), 36))
    rest = list(islice(small.batches("a", **chosen, skip=skip), 36 - skip))
    assert all(torch.equal(*pair) for pair in zip(whole[skip:], rest, strict=True))


def test_a_batch_is_the_readers_own(small):
    """Nothing that is read later, nor what a reader does to a batch, changes another."""
    batches = small.batches("a", batch=100, seed=0)
    kept = [batch.clone() for batch in islice(small.batches("a", batch=100, seed=0), 20)]
    found = []
    for batch in islice(batches, 20):
        found.append(batch.clone())
        batch.zero_()
    assert all(torch.equal(*pair) for pair in zip(kept, found, strict=True))


def spied(store, monkeypatch, *, fast):
    """What a reader of 40 batches does, in order: `told` or `read`, and which bytes of which shard."""
    done, preadv = [], columns.os.preadv

    def read(file, room, at):
        done.append(("read", os.fstat(file).st_ino, at, sum(map(len, room))))
        return preadv(file, room, at)

    def advise(file, at, length, _):
        done.append(("told", os.fstat(file).st_ino, at, length))

    monkeypatch.setattr(columns.os, "posix_fadvise", advise, raising=False)
    monkeypatch.setattr(columns.os, "preadv", read)
    monkeypatch.setattr(columns.sys, "platform", "linux")
    monkeypatch.setattr("hsae.activations.store.FAST", 0 if fast else 1e15)
    for _ in islice(store.batches(["a", "b"], batch=97, seed=0), 40):
        pass
    return done


def test_a_disk_that_is_waited_for_is_told_of_what_will_be_read(noisy, monkeypatch):
    done = spied(noisy, monkeypatch, fast=False)
    reads = [at for at, (what, *_) in enumerate(done) if what == "read"]
    told = {tuple(place): at for at, (what, *place) in reversed([*enumerate(done)]) if what == "told"}
    unannounced = [at for at in reads if told.get(tuple(done[at][1:]), len(done)) > at]
    assert len(unannounced) < len(reads) / 20 and max(unannounced) < min(told.values()), (
        "the first batch alone"
    )


def test_the_memory_of_the_system_is_told_nothing(noisy, monkeypatch):
    assert {what for what, *_ in spied(noisy, monkeypatch, fast=True)} == {"read"}


@pytest.mark.parametrize(("limit", "batches"), [(1 << 40, 16), (3 * 100 * 4 * 2, 3), (1, 1)])
def test_how_far_ahead_the_disk_is_told_is_bounded_in_bytes(small, monkeypatch, limit, batches):
    told = []
    monkeypatch.setattr("hsae.activations.store.FAST", 1e15)
    monkeypatch.setattr("hsae.activations.store.AHEAD_BYTES", limit)
    monkeypatch.setattr(columns.Columns, "announce", lambda *asked: told.append(asked))
    reading = small.batches("a", batch=100, seed=0)
    next(reading)
    next(reading)
    assert len(told) == batches + 1, "itself, and those behind it"


def test_a_batch_larger_than_the_split_is_a_user_error(small):
    with pytest.raises(UserError, match="1200 rows of the split train, fewer than one batch of 1201"):
        small.batches("a", batch=1201, seed=0)


def test_what_the_store_does_not_have_is_a_user_error(small, tmp_path):
    with pytest.raises(UserError, match=r"no site 'c', only a, b(.|\n)*layers\.sites=\[a,b,c\]"):
        small.rows("c")
    with pytest.raises(UserError, match="no site 'c'"):
        small.batches(["a", "c"], batch=10, seed=0)
    with pytest.raises(UserError, match="no split 'dev'"):
        small.count("dev")
    with pytest.raises(UserError, match="no split 'dev'"):
        small.tokens("dev")
    with pytest.raises(UserError, match="job=extract"):
        Store(tmp_path / "elsewhere")
    (tmp_path / "store.json").write_text('{"model": ')
    with pytest.raises(UserError, match="store.json is damaged"):
        Store(tmp_path)


def test_a_store_of_another_model_is_refused(small):
    assert Store(small.folder, model="toy").model == "toy"
    with pytest.raises(UserError, match="of the model toy, not of another"):
        Store(small.folder, model="another")


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def read_all(store):
    """Every way to read a row."""
    yield lambda: store.rows("a", "train")
    yield lambda: next(store.batches(["b"], batch=1500, seed=0))
    yield lambda: store.documents("test")
    yield lambda: store.document_ids()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.999])
def test_one_flipped_bit_is_found_wherever_it_is(own, share):
    path = own.folder / "shard-00001.h5"
    flip(path, int(share * path.stat().st_size))
    (found,) = Store(own.folder).verify()
    assert (found.number, found.file, found.rows) == (1, "shard-00001.h5", (700, 1400))
    assert "not those that were written" in found.why
    for read in read_all(Store(own.folder)):
        with pytest.raises(UserError) as said:
            read()
        for words in (str(path), "rows 700 to 1,399", "job=verify job.repair=true", "job=extract force=true"):
            assert words in str(said.value)


def test_a_large_store_is_held_to_its_sizes_when_read_and_to_every_bit_by_verify(own, monkeypatch):
    monkeypatch.setattr(columns, "CHECKED", 1000)
    flip(own.folder / "shard-00001.h5", -40)
    store = Store(own.folder)
    assert len(store.rows("a", "train")) == store.count("train")
    assert [damage.number for damage in store.verify()] == [1]


def test_damage_in_a_large_store_s_directory_of_datasets_is_named_whatever_hdf5_calls_it(own, monkeypatch):
    monkeypatch.setattr(columns, "CHECKED", 0)
    path = own.folder / "shard-00000.h5"
    sound = path.read_bytes()
    for signature in (b"TREE", b"HEAP", b"SNOD", b"document", b"index"):
        path.write_bytes(sound.replace(signature, bytes(len(signature))))
        with pytest.raises(UserError, match="shard-00000.h5 is damaged: it cannot be read"):
            Store(own.folder).document_ids()


@pytest.mark.parametrize("checked", [0, 1 << 30])
def test_a_shard_that_is_missing_or_has_another_size_is_named(own, monkeypatch, checked):
    monkeypatch.setattr(columns, "CHECKED", checked)
    (own.folder / "shard-00002.h5").unlink()
    with (own.folder / "shard-00000.h5").open("r+b") as file:
        file.truncate(5000)
    found = Store(own.folder).verify()
    assert [(damage.number, damage.rows) for damage in found] == [(0, (0, 700)), (2, (1400, 2100))]
    assert "has 5,000 bytes" in found[0].why and "missing" in found[1].why
    for read in read_all(Store(own.folder)):
        with pytest.raises(UserError, match="shard-00000.h5 is damaged: it has 5,000 bytes"):
            read()


def test_a_shard_that_is_cut_while_it_is_read_is_named(own):
    own.rows("a", "train", 0, 10)
    with (own.folder / "shard-00000.h5").open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(UserError, match="shard-00000.h5 is damaged: it cannot be read"):
        own.rows("b", "train")


def test_shards_stay_open_no_more_of_them_than_is_said_and_none_for_ever(own, monkeypatch):
    gc.collect()  # what other tests left open
    opened, closed, real = [], [], (columns.os.open, columns.os.close)
    monkeypatch.setattr(columns, "OPEN", 2)
    monkeypatch.setattr(columns.os, "open", lambda *asked: opened.append(real[0](*asked)) or opened[-1])
    monkeypatch.setattr(columns.os, "close", lambda file: (closed.append(file), real[1](file))[1])
    store = Store(own.folder)
    for _ in range(3):
        store.tokens("test")
        assert len(opened) - len(closed) <= 2
    del store
    assert sorted(opened) == sorted(closed)


def test_a_repaired_shard_is_the_one_that_was_written_and_another_is_refused(own):
    flip(own.folder / "shard-00001.h5", -40)
    damaged = (own.folder / "shard-00001.h5").read_bytes()
    other = noise(ROWS, first=ROWS)
    other.sites["a"].values[5, 2] += 1
    with pytest.raises(UserError, match=r"shard-00001.h5(.|\n)*other bytes(.|\n)*force=true"):
        own.repair(1, other)
    assert (own.folder / "shard-00001.h5").read_bytes() == damaged
    again = noise(ROWS, first=ROWS)
    own.repair(1, again)
    assert own.verify() == []
    train = torch.from_numpy(again.split == 0)
    assert torch.equal(own.rows("a", "train", 560, 1120), decode(again.sites["a"])[train])


MEASURED = """
import re, sys
from itertools import islice
from pathlib import Path
from hsae.activations.store import Store

# of this program alone, which ru_maxrss is not: it starts with what the parent had
peak = lambda: 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
peaks = []
for folder in sys.argv[1:]:
    store = Store(folder)
    before = peak()
    for batch in islice(store.batches("a", batch=256, seed=0), 2 * store.count("train") // 256):
        pass
    store.rows("a", "train", 0, 1000)
    peaks.append(peak() - before)
print(*peaks)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_reading_ten_times_the_rows_takes_no_more_memory(tmp_path):
    d, rows, g = 64, 20_000, stream(0, "many rows")
    folders = [tmp_path / "one", tmp_path / "ten"]
    for folder, many in zip(folders, (4, 40), strict=True):
        folder.mkdir()
        some = torch.randn(rows, d, generator=g)
        store(folder, [shard({"a": some}, first=number * rows) for number in range(many)])
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, folders)], check=True, capture_output=True, text=True
    )
    first, more = map(int, done.stdout.split())
    slack = 40 * rows * d * 2 // 5  # torch's and the allocator's own
    assert first < slack and more < slack
