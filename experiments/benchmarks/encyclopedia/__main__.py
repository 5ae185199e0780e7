"""Speed and memory of the encyclopedia beside the bare model and the bare product, in one run.

make bench-encyclopedia
python -m experiments.benchmarks.encyclopedia --device cuda      (stage raw and monitoring)
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from experiments.benchmarks.command import Task, run
from experiments.benchmarks.encyclopedia import memory, monitor, raw, refinement, sizes, subject
from experiments.benchmarks.encyclopedia.subject import Subject
from experiments.benchmarks.harvest import worlds
from experiments.benchmarks.harvest.worlds import World

PARTS = ("raw", "memory", "bytes", "monitor", "refinement")
PACKAGES = ("torch", "transformers", "tokenizers", "h5py", "numpy", "scipy")
FEW, MANY, SOME = 5_000, 50_000, 2_000


def main(words: Sequence[str]) -> int:
    """Measures and shows the table; 1 where something could not be measured."""
    asked = _arguments(words)
    with TemporaryDirectory(dir=asked.scratch) as scratch:
        tasks = {"cpu": _on_cpu, "cuda": _on_cuda}[asked.device]
        tasks = (_toy if asked.toy else tasks)(asked, Path(scratch))
        return run(tasks, asked.parts, out=asked.out, device=asked.device, packages=PACKAGES)


def _arguments(words: Sequence[str]) -> Any:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.encyclopedia", description=__doc__
    )
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--parts", help=f"some of {','.join(PARTS)}; all, but on a GPU raw and monitor")
    parser.add_argument("--rounds", type=int, default=9, help="paired rounds behind each ratio")
    parser.add_argument("--out", help="folder that the table is written into")
    parser.add_argument("--scratch", help="folder for encyclopedias; the system's own if none is named")
    parser.add_argument("--toy", action="store_true", help="a few dozen concepts: does it run?")
    asked = parser.parse_args(words)
    usual = PARTS if asked.device == "cpu" else ("raw", "monitor")
    asked.parts = asked.parts.split(",") if asked.parts else usual
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"there is no part {sorted(unknown)[0]!r}; parts are {', '.join(PARTS)}")
    return asked


def _on_cpu(asked: Any, scratch: Path) -> Iterator[Task]:
    """The model inside the package, and synsets of WordNet."""
    rounds, synsets = asked.rounds, cache(subject.synsets)
    tiny = cache(subject.tiny)
    yield Task("raw", "tiny", lambda: raw.measure(tiny(), synsets(FEW), rounds, scratch=scratch))
    yield Task("raw", "tiny", lambda: raw.whole(tiny(), synsets(MANY), 180, scratch=scratch))
    # statistics weigh as much as a small model's pass; beside a larger one it shows what they cost
    larger = cache(lambda: subject.of_shape("gpt2-small", device="cpu", dtype="float32", batch_tokens=2048))
    yield Task(
        "raw", "gpt2-small", lambda: raw.measure(larger(), synsets(150), min(rounds, 3), scratch=scratch)
    )
    yield Task("memory", "tiny", lambda: memory.measure(synsets(FEW), synsets(MANY), scratch=scratch))
    yield Task("bytes", "tiny", lambda: sizes.measure(tiny(), synsets(SOME), scratch=scratch))
    yield Task("monitor", "tiny", lambda: monitor.measure(worlds.tiny(rows=1 << 12), rounds))
    yield Task("monitor", "d=640", lambda: monitor.of_width(640, rounds))
    chosen = ["concepts=wordnet", f"concepts.n={SOME}"]
    yield Task("refinement", "tiny", lambda: refinement.measure(chosen, scratch=scratch))


def _on_cuda(asked: Any, scratch: Path) -> Iterator[Task]:
    """A model of random weights in bfloat16, of the shape that HatCat's encyclopedia was planned for."""

    shape, most = "gemma-3-270m", 1 << 16

    @cache
    def model() -> Subject:
        return subject.of_shape(shape, device="cuda", dtype="bfloat16", batch_tokens=most)

    @cache
    def world() -> World:
        return worlds.random(shape, rows=1 << 14, batch_tokens=most, device="cuda", dtype="bfloat16")

    synsets = cache(subject.synsets)
    yield Task("raw", shape, lambda: raw.measure(model(), synsets(FEW), asked.rounds, scratch=scratch))
    yield Task("raw", shape, lambda: raw.whole(model(), synsets(MANY), 60, scratch=scratch))
    yield Task("monitor", shape, lambda: monitor.measure(world(), asked.rounds, device="cuda"))


def _toy(asked: Any, scratch: Path) -> Iterator[Task]:
    """Concepts inside the package, and so few that each part takes seconds."""
    few, many, tiny = subject.concepts(30), subject.concepts(60), cache(subject.tiny)
    yield Task("raw", "tiny", lambda: raw.measure(tiny(), few, asked.rounds, scratch=scratch))
    yield Task("raw", "tiny", lambda: raw.whole(tiny(), many, 180, scratch=scratch))
    yield Task("memory", "tiny", lambda: memory.measure(few, many, scratch=scratch))
    yield Task("bytes", "tiny", lambda: sizes.measure(tiny(), many, scratch=scratch, most=1000))
    world = cache(lambda: worlds.random("toy", rows=300, batch_tokens=512))
    yield Task("monitor", "toy", lambda: monitor.measure(world(), asked.rounds, concepts=500))
    chosen = ["concepts=builtin", "concepts.n=40"]
    yield Task("refinement", "tiny", lambda: refinement.measure(chosen, scratch=scratch))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
