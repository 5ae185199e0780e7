"""Peak memory of one pass over so many tokens, each in a process of its own.

python -m experiments.benchmarks.harvest.memory store|read|stream TOKENS FOLDER
"""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from experiments.benchmarks.process import peak_of, peak_of_this
from experiments.benchmarks.rounds import Ratio
from experiments.benchmarks.rows import Row

BATCH = 4096
ONCE, POOL = 400_000, 1 << 15
"""Tokens of the smaller pass: six full shards, or a dozen pools, until which the heap finds its size."""
SITES = ("resid_post.0", "mlp_out.0")
"""In the first layer, for the model is not what is measured."""


def peak(what: str, tokens: int, folder: Path) -> int:
    """Bytes that a new process of this file held at most."""
    return peak_of("experiments.benchmarks.harvest.memory", what, str(tokens), str(folder))


def measure(*, scratch: Path, once: int = ONCE) -> Iterator[Row]:
    """Peak memory with ten times the tokens over that with as many (1.1 at most)."""
    for what in ("store", "read", "stream"):
        with TemporaryDirectory(dir=scratch) as folder:
            found = []
            for tokens in (once, 10 * once):
                place = Path(folder) / str(tokens)
                if what == "read":
                    peak("store", tokens, place)
                found.append(peak(what, tokens, place))
        said = [
            f"{tokens:,} tokens: {size / 1e6:,.0f} MB"
            for tokens, size in zip((10 * once, once), reversed(found), strict=True)
        ]
        growth = found[1] / found[0]
        ratio = Ratio(growth, growth, growth, 1)
        yield Row("memory", f"tiny, {what}", said[0], said[1], ratio, 1.1, most=True)


def main(what: str, tokens: int, folder: Path) -> int:
    """One pass; the peak of this process in bytes."""
    from experiments.benchmarks.harvest.store import streamed, write
    from experiments.benchmarks.harvest.worlds import tiny
    from hsae.activations.store import Store

    if what == "read":
        store = Store(folder)
        for _ in islice(store.batches(store.sites, batch=BATCH, seed=0), tokens // BATCH):
            pass
    else:
        world = tiny(rows=tokens)
        if what == "store":
            folder.mkdir(exist_ok=True)
            write(world, world.reading(*SITES, tokens=tokens), folder)
        else:
            streamed(world, SITES, rows=tokens, pool=POOL)()
    return peak_of_this()


if __name__ == "__main__":
    sys.stdout.write(f"{main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))}\n")
