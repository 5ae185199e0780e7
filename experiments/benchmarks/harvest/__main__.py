"""Speed and memory of the harvest beside the bare model and beside the peers, in one run.

make bench-harvest
python -m experiments.benchmarks.harvest --device cuda      (no peers needed)
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from experiments.benchmarks.command import Task, run
from experiments.benchmarks.harvest import capture, limit, memory, peers, reading, store, worlds
from experiments.benchmarks.harvest.worlds import World
from experiments.benchmarks.rows import Row

PARTS = ("capture", "store", "read", "memory", "peers", "limit")
PACKAGES = ("torch", "transformers", "h5py", "sae-lens", "transformer-lens", "dictionary-learning", "nnsight")


def main(words: Sequence[str]) -> int:
    """Measures and shows the table; 1 where something could not be measured."""
    asked = _arguments(words)
    with TemporaryDirectory(dir=asked.scratch) as scratch:
        tasks = {"cpu": _on_cpu, "cuda": _on_cuda}["cpu" if asked.toy else asked.device](asked, Path(scratch))
        return run(tasks, asked.parts, out=asked.out, device=asked.device, packages=PACKAGES)


def _arguments(words: Sequence[str]) -> Any:
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.harvest", description=__doc__)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--parts", help=f"some of {','.join(PARTS)}; all, but on a GPU without the peers")
    parser.add_argument("--rounds", type=int, default=9, help="paired rounds behind each ratio")
    parser.add_argument("--out", help="folder that the table is written into")
    parser.add_argument("--scratch", help="folder for stores; the system's own if none is named")
    parser.add_argument("--toy", action="store_true", help="a toy model and next to no rows: does it run?")
    asked = parser.parse_args(words)
    usual = PARTS if asked.device == "cpu" else ("capture", "store", "read", "limit")
    asked.parts = asked.parts.split(",") if asked.parts else usual
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"there is no part {sorted(unknown)[0]!r}; parts are {', '.join(PARTS)}")
    return asked


def _on_cpu(asked: Any, scratch: Path) -> Iterator[Task]:
    """The model inside the package, and GPT-2 small, in fewer rounds for it is twenty times the work."""
    rounds, few, toy = asked.rounds, max(1, asked.rounds // 3), asked.toy

    @cache
    def small() -> World:
        return _toy() if toy else worlds.tiny(rows=1 << 15)

    @cache
    def large() -> World:
        return _toy() if toy else worlds.random("gpt2-small", rows=1 << 12, batch_tokens=1024)

    def stored(world: World, times: int) -> Iterator[Row]:
        sites = world.layers(world.lm.layers)
        return store.measure(world.of(times * world.rows), few, sites=sites, scratch=scratch)

    yield Task("capture", "tiny", lambda: capture.measure(small(), rounds))
    yield Task("capture", "gpt2-small", lambda: capture.measure(large(), few))
    yield Task("store", "tiny", lambda: stored(small(), 8))
    yield Task("store", "gpt2-small", lambda: stored(large(), 2))
    size = {"shards": 2, "rows": 1 << 13} if toy else {}
    yield Task("read", "", lambda: reading.measure(rounds, device="cpu", scratch=scratch, **size))
    once = {"once": 6000} if toy else {}
    yield Task("memory", "tiny", lambda: memory.measure(scratch=scratch, **once))
    yield Task("limit", "tiny", lambda: limit.measure(small(), few, device="cpu"))
    yield Task("limit", "gpt2-small", lambda: limit.measure(large(), few, device="cpu"))
    yield Task("peers", "tiny", lambda: peers.measure(small().of(2 * small().rows), few, apart=True))
    yield Task("peers", "gpt2-small", lambda: peers.measure(large().of(2 * large().rows), few))


def _on_cuda(asked: Any, scratch: Path) -> Iterator[Task]:
    """Two shapes of random weights in bfloat16."""

    @cache
    def world(shape: str) -> World:
        rows = {"gpt2-small": 1 << 19, "gemma-2-2b": 1 << 16}[shape]
        return worlds.random(shape, rows=rows, batch_tokens=1 << 16, device="cuda", dtype="bfloat16")

    def stored(shape: str) -> Iterator[Row]:
        much = world(shape).of(2 * world(shape).rows)
        return store.measure(much, asked.rounds, sites=much.layers(1), scratch=scratch)

    for shape in ("gpt2-small", "gemma-2-2b"):
        yield Task("capture", shape, lambda shape=shape: capture.measure(world(shape), asked.rounds))
        yield Task("store", shape, lambda shape=shape: stored(shape))
        yield Task(
            "limit", shape, lambda shape=shape: limit.measure(world(shape), asked.rounds, device="cuda")
        )
    yield Task("read", "", lambda: reading.measure(asked.rounds, device="cuda", scratch=scratch))
    yield Task("peers", "gpt2-small", lambda: peers.measure(world("gpt2-small"), max(1, asked.rounds // 3)))


def _toy() -> World:
    return worlds.random("toy", rows=1 << 11, batch_tokens=1024)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
