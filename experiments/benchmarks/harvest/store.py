"""What writing a store and streaming cost beside the bare forward pass, both end to end from text."""

import os
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from experiments.benchmarks.harvest.capture import bare, settle
from experiments.benchmarks.harvest.worlds import World, documents
from experiments.benchmarks.rounds import Contender, median, rates
from experiments.benchmarks.rows import Row, speed
from hsae.activations.harvest import Reading, finish, harvest, result
from hsae.activations.stream import Stream
from hsae.activations.writer import StoreWriter

BATCH = 4096


def write(world: World, reading: Reading, folder: Path, *, shard_rows: int | None = None) -> int:
    """The whole of a harvest: text to finished shards. Says how many rows it wrote."""
    writer = StoreWriter(folder)
    behind = result(harvest(world.lm, documents, writer, reading, limits={}, rows=shard_rows))
    finish(writer, world.lm, reading, limits={}, skipped=behind)
    return sum(line["rows"] for line in writer.finished.values())


def written(world: World, reading: Reading, scratch: Path) -> Contender:
    """A store, written and thrown away."""

    def run() -> int:
        with TemporaryDirectory(dir=scratch) as folder:
            # eight shards at least: while one is written the next is filled, but not behind the last
            return write(world, reading, Path(folder), shard_rows=max(1024, min(world.rows // 8, 1 << 16)))

    return run


def streamed(
    world: World, sites: Sequence[str], *, rows: int, pool: int | None = None, dtype: str = "float16"
) -> Contender:
    """So many rows in shuffled float32 batches; as one pool if no other is named."""
    stream = Stream(world.lm, documents, world.reading(*sites, dtype=dtype), limits={}, pool=pool or rows)
    batches = stream.batches(list(sites), batch=min(BATCH, rows), seed=0)

    def run() -> int:
        found = islice(batches, max(1, rows // BATCH))
        return sum(len(next(iter(batch.values()))) for batch in found)

    return run


def measure(world: World, rounds: int, *, sites: Sequence[str], scratch: Path) -> Iterator[Row]:
    """Writing a store of these sites (0.8 of the bare pass at least), and streaming them."""
    dtype = "bfloat16" if world.lm.model.dtype == torch.bfloat16 else "float16"
    layer = int(sites[-1].rpartition(".")[2])
    reading = world.reading(*sites, dtype=dtype, tokens=world.rows)
    found = rates(
        {
            "bare": bare(world, layer),
            "store": written(world, reading, scratch),
            "stream": streamed(world, sites, rows=world.rows, dtype=dtype),
        },
        rounds=rounds,
        settle=settle,
    )
    nothing = (f"bare pass through {layer + 1} layers", found["bare"])
    a_row = sum(2 * width for width in world.lm.widths(sites).values())
    wrote = median(found["store"]) * a_row / 1e6
    named = f"{len(sites)} sites written, {wrote:,.0f} MB/s; the disk takes {disk(scratch):,.0f}"
    yield speed("store", world.name, (named, found["store"]), nothing, 0.8)
    yield speed("stream", world.name, (f"{len(sites)} sites streamed", found["stream"]), nothing)


def disk(scratch: Path, megabytes: int = 512) -> float:
    """MB/s at which a file is written here and is safe."""
    block = os.urandom(1 << 20)
    with TemporaryDirectory(dir=scratch) as folder, (Path(folder) / "file").open("wb") as file:
        start = time.perf_counter()
        for _ in range(megabytes):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        return megabytes * 1.048576 / (time.perf_counter() - start)
