"""Shuffled reading of a store beside a plain read of the same rows from the first to the last."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import torch

from experiments.benchmarks.harvest.capture import settle
from experiments.benchmarks.rounds import Contender, rates
from experiments.benchmarks.rows import Row, speed
from hsae.activations.encoding import Rows
from hsae.activations.shard import Shard
from hsae.activations.store import Store
from hsae.activations.windows import START, Cursor
from hsae.activations.writer import StoreWriter

SITE, D, BATCH = "resid_post.0", 768, 4096


def fill(folder: Path, *, shards: int, rows: int) -> Store:
    """A store of random rows, of documents of 500 tokens each; all of them in the split `train`."""
    writer = StoreWriter(folder)
    values = torch.randn(rows, D).half()
    for number in range(shards):
        at = np.arange(number * rows, (number + 1) * rows, dtype=np.int32)
        document = at // 500
        names = {index: f"document {index}" for index in np.unique(document).tolist()}
        of_train = np.zeros(rows, np.uint8)
        shard = Shard({SITE: Rows(values, None)}, at % 8192, document, at % 500, of_train, names)
        end = Cursor(int(document[-1]), int(at[-1] % 500) + 1)
        writer.write(number, shard, start=START, next=end, skipped=[], dropped=0)
    writer.finish(
        model="random",
        widths={SITE: D},
        context=128,
        packing="documents",
        dtype="float16",
        limits={},
        skipped=[],
    )
    return Store(folder)


def forget(store: Store) -> None:
    """Have the system drop the store's pages, so that they come from the disk again."""
    for path in store.folder.glob("*.h5"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def shuffled(store: Store, device: str, *, cold: bool) -> Contender:
    """An epoch in mixed batches, of one reader that goes on from round to round."""
    batches = store.batches(SITE, batch=BATCH, seed=0, device=device)

    def run() -> int:
        if cold:
            forget(store)
        return sum(len(batch) for batch in islice(batches, store.count("train") // BATCH))

    return run


def plain(store: Store, device: str, *, cold: bool) -> Contender:
    """The same rows in their order on the disk, in the same batches, float32, on the same device."""

    def run() -> int:
        if cold:
            forget(store)
        done = 0
        for path in sorted(store.folder.glob("*.h5")):
            with h5py.File(path) as file:
                rows = file[f"sites/{SITE}"]
                for start in range(0, len(rows), BATCH):
                    batch = torch.from_numpy(rows[start : start + BATCH]).to(device).float()
                    done += len(batch)  # kept while the next is read, as whoever trains on it does
        return done

    return run


def measure(
    rounds: int, *, device: str, scratch: Path, shards: int = 16, rows: int = 1 << 16
) -> Iterator[Row]:
    """Shuffled reading (0.7 of plain reading at least), from the system's cache and from the disk."""
    with TemporaryDirectory(dir=scratch) as folder:
        store = fill(Path(folder), shards=shards, rows=rows)
        for cold in (False, True) if hasattr(os, "posix_fadvise") else (False,):
            found = rates(
                {
                    "shuffled": shuffled(store, device, cold=cold),
                    "plain": plain(store, device, cold=cold),
                },
                rounds=rounds,
                settle=settle,
            )
            where = "from the disk" if cold else "from memory"
            yield speed(
                "read",
                f"d={D} {where}",
                ("shuffled", found["shuffled"]),
                ("in order", found["plain"]),
                0.7,
                unit="rows/s",
            )
