"""Peak memory of one pass over so many tokens, each in a process of its own.

python -m experiments.benchmarks.harvest.memory store|read|stream TOKENS FOLDER
"""

import resource
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from experiments.benchmarks.harvest.rows import Row
from experiments.benchmarks.rounds import Ratio

BATCH = 4096
ONCE, POOL = 400_000, 1 << 15
"""Tokens of the smaller pass: six full shards, or a dozen pools, until which the heap finds its size."""
SITES = ("resid_post.0", "mlp_out.0")
"""In the first layer, for the model is not what is measured."""


def peak(what: str, tokens: int, folder: Path) -> int:
    """Bytes that a new process of this file held at most."""
    words = [sys.executable, "-m", __spec__.name, what, str(tokens), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[2:5])} ended with {done.returncode}: {done.stderr[-500:]}")
    return int(done.stdout.split()[-1])


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
    return _peak_of_this_process()


def _peak_of_this_process() -> int:
    """Bytes. On Linux `ru_maxrss` would not do: a child starts with what its parent held at the fork."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.stdout.write(f"{main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))}\n")
