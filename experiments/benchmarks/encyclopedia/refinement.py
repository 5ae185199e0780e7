"""Where the time of a round of refinement goes, and what it writes down of what it decided."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import wraps
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from experiments.benchmarks.rounds import Ratio
from experiments.benchmarks.rows import Row
from hsae import build
from hsae.execute import execute

PARTS = {
    "read by the model": "hsae.encyclopedia.refinement.rounds.read_block",
    "shards written": "hsae.encyclopedia.refinement.rounds.save",
    "contexts made": "hsae.contexts.chosen.chosen_contexts",
    "evidence": "hsae.encyclopedia.refinement.evidence.evidence",
    "confusers": "hsae.encyclopedia.refinement.evidence.confusers_of",
    "policy": "hsae.policies.retrieval_margin.score",
}
"""What a round calls, by the names under which it does."""


def measure(concepts: Sequence[str], *, scratch: Path) -> Iterator[Row]:
    """One round of stage generated without a model that writes, on top of the stages before it. The overrides
    choose the concepts."""
    with TemporaryDirectory(dir=scratch) as folder:
        common = ["job=bootstrap", "hardware=cpu", f"outputs={folder}", *concepts]
        for stage in ("raw", "templates"):
            execute(build.compose([*common, f"stage={stage}"]))
        last = [*common, "stage=generated", "stage.contexts=[natural,grammar]", "stage.rounds=1"]
        spent: defaultdict[str, float] = defaultdict(float)
        with ExitStack() as patches:
            for name, place in PARTS.items():
                patches.enter_context(_timed(place, name, spent))
            start = time.perf_counter()
            made = execute(build.compose(last))
            whole = time.perf_counter() - start
        assert made.folder is not None
        plan = (made.folder / "round-00.json").stat().st_size
        book = sum(path.stat().st_size for path in made.folder.iterdir() if path.is_file())
    spent["else"] = whole - sum(spent.values())
    named = f"{made.metrics['concepts']:,} concepts, one round: {whole:.1f} s"
    for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        share = seconds / whole
        yield Row("refinement", "tiny", f"{name}: {seconds:.2f} s", named, Ratio(share, share, share, 1))
    each, share = plan / int(made.metrics["concepts"]), plan / book
    said = f"what a round decides: {each:.0f} bytes a concept, {each * 0.05:.1f} MB for 50,000"
    yield Row("refinement", "tiny", said, f"all files: {book / 1e6:.1f} MB", Ratio(share, share, share, 1))


def _timed(place: str, name: str, spent: defaultdict[str, float]) -> Any:
    """The function at this place, and the seconds inside it counted; what it yields is made at once."""
    module, _, function = place.rpartition(".")
    inner: Callable[..., Any] = getattr(import_module(module), function)

    @wraps(inner)
    def outer(*args: Any, **named: Any) -> Any:
        start = time.perf_counter()
        try:
            found = inner(*args, **named)
            return iter(list(found)) if isinstance(found, Iterator) else found
        finally:
            spent[name] += time.perf_counter() - start

    return patch(place, outer)
