"""A shard's file holds exactly the rows it was given, each split in one stretch, always in the same bytes."""

import errno
import os

import h5py
import numpy as np
import pytest
import torch
from worlds_store import noise
from xxhash import xxh3_128_hexdigest

from hsae.activations import shard as shards
from hsae.activations.encoding import DTYPES, Rows, decode
from hsae.activations.shard import SPLITS
from hsae.journal import checksum


def slow_read(path):
    """All rows as whoever has HDF5 would read them, in the order of the corpus."""
    kinds = {"bfloat16": torch.bfloat16, "float16": torch.float16, "int8": torch.int8}
    with h5py.File(path) as file:
        order = np.lexsort((file["position"][()], file["document"][()]))
        found = {name: torch.from_numpy(file[name][()][order]) for name in ("token", "document", "position")}
        for site, data in file["sites"].items():
            values = torch.from_numpy(data[()][order]).view(kinds[data.attrs["dtype"]])
            scale = torch.from_numpy(file[f"scales/{site}"][()][order]) if "scales" in file else None
            found[site] = decode(Rows(values, scale))
        pairs = zip(file["documents/index"][()], file["documents/id"][()], strict=True)
        found["documents"] = {int(number): id.decode() for number, id in pairs}
    return found


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_written_is_what_hdf5_reads(tmp_path, dtype):
    given = noise(500, first=40, dtype=dtype)
    shards.write(tmp_path / "shard.h5", given)
    found = slow_read(tmp_path / "shard.h5")
    for site, rows in given.sites.items():
        assert torch.equal(found[site], decode(rows))
    for name in ("token", "document", "position"):
        assert found[name].tolist() == getattr(given, name).tolist()
    assert found["documents"] == given.documents == shards.documents(tmp_path / "shard.h5")


def test_each_split_is_one_stretch_and_shuffled(tmp_path):
    given = noise(1000)
    shards.write(tmp_path / "shard.h5", given)
    with h5py.File(tmp_path / "shard.h5") as file:
        token = file["token"][()]
    assert given.splits == {"train": 800, "valid": 0, "test": 200}
    start = 0
    for code, count in enumerate(given.splits.values()):
        stretch = token[start : start + count]
        assert sorted(stretch) == given.token[given.split == code].tolist()
        assert count < 2 or (np.diff(stretch) == 1).mean() < 0.05
        start += count
    assert list(given.splits) == list(SPLITS)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bytes_of_a_dataset_lie_where_it_is_said(tmp_path, dtype):
    given = noise(300, dtype=dtype)
    shards.write(tmp_path / "shard.h5", given)
    data = (tmp_path / "shard.h5").read_bytes()
    with h5py.File(tmp_path / "shard.h5") as file:
        for name, start in shards.offsets(tmp_path / "shard.h5").items():
            held = file[name][()].tobytes()
            assert data[start : start + len(held)] == held
    scales = {"scales/a", "scales/b"} if dtype == "int8" else set()
    expected = {"sites/a", "sites/b", "token", "document", "position"} | scales
    assert set(shards.offsets(tmp_path / "shard.h5")) == expected


def test_the_same_rows_give_the_same_bytes_and_others_give_others(tmp_path):
    said = [
        shards.write(tmp_path / f"{number}.h5", given)
        for number, given in enumerate((noise(300), noise(300), noise(300, first=10)))
    ]
    assert said[0] == said[1] != said[2]
    for number, told in enumerate(said):
        data = (tmp_path / f"{number}.h5").read_bytes()
        assert told == xxh3_128_hexdigest(data) == checksum(tmp_path / f"{number}.h5")


def test_a_file_bears_no_trace_of_the_one_whose_room_it_took(tmp_path):
    image = shards.Image()
    for number, given in enumerate((noise(900), noise(300, dtype="int8"), noise(1200), noise(300))):
        shards.write(tmp_path / "kept.h5", given, image=image)
        shards.write(tmp_path / "new.h5", given)
        assert (tmp_path / "kept.h5").read_bytes() == (tmp_path / "new.h5").read_bytes(), number


def test_a_shard_that_is_not_the_one_wanted_changes_nothing(tmp_path):
    path = tmp_path / "shard.h5"
    wanted = shards.write(path, noise(300))
    path.write_bytes(b"damaged")
    assert shards.write(path, noise(299), only=wanted) != wanted
    assert path.read_bytes() == b"damaged" and len(list(tmp_path.iterdir())) == 1
    assert shards.write(path, noise(300), only=wanted) == wanted == checksum(path)


def test_its_size_is_foretold(tmp_path):
    for dtype in DTYPES:
        given = noise(5000, d=32, dtype=dtype)
        shards.write(tmp_path / "shard.h5", given)
        assert given.bytes == pytest.approx((tmp_path / "shard.h5").stat().st_size, rel=0.1)


def test_a_disk_that_cannot_be_written_straight_gets_the_same_bytes(tmp_path, monkeypatch):
    shards.write(tmp_path / "straight.h5", noise(3000, d=16))
    opened, refused = os.open, []

    def refuse(path, flags, *mode):
        if flags & shards._DIRECT:
            refused.append(path)
            raise OSError(errno.EINVAL, "not here")
        return opened(path, flags, *mode)

    monkeypatch.setattr(shards.os, "open", refuse)
    shards.write(tmp_path / "plain.h5", noise(3000, d=16))
    assert (tmp_path / "plain.h5").read_bytes() == (tmp_path / "straight.h5").read_bytes()
    assert refused or not shards._DIRECT
