"""Stage raw beside the bare passes over the batches that it makes, and how long all of it takes."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from experiments.benchmarks.encyclopedia.subject import Subject, read_raw
from experiments.benchmarks.harvest.capture import passes, settle
from experiments.benchmarks.harvest.worlds import Batch
from experiments.benchmarks.rounds import Ratio, rates
from experiments.benchmarks.rows import Row, speed
from hsae.concepts import Taxonomy


def measure(subject: Subject, taxonomy: Taxonomy, rounds: int, *, scratch: Path) -> Iterator[Row]:
    """From concepts to a finished encyclopedia, beside the passes alone (0.85 of their speed at least)."""
    batches, tokens = batches_of(subject, taxonomy, scratch)
    layer = int(subject.sites[-1].rpartition(".")[2])

    def bare() -> int:
        passes(subject.lm, batches, layer)
        return tokens

    def stage() -> int:
        with TemporaryDirectory(dir=scratch) as folder:
            return read_raw(subject, taxonomy, Path(folder))

    found = rates({"bare": bare, "stage": stage}, rounds=rounds, settle=settle)
    padding = 1 - sum(batch.rows for batch in batches) / sum(batch.ids.numel() for batch in batches)
    named = f"stage raw, {len(taxonomy):,} synsets, {len(subject.sites)} sites"
    beside = f"bare passes over the same {len(batches)} batches ({padding:.0%} padding)"
    yield speed("raw", subject.name, (named, found["stage"]), (beside, found["bare"]), 0.85)


def whole(subject: Subject, taxonomy: Taxonomy, limit: float, *, scratch: Path) -> Iterator[Row]:
    """All of it once, against a limit in seconds."""
    settle()
    with TemporaryDirectory(dir=scratch) as folder:
        start = time.perf_counter()
        tokens = read_raw(subject, taxonomy, Path(folder))
        settle()
        seconds = time.perf_counter() - start
    share = seconds / limit
    said = f"stage raw, {len(taxonomy):,} synsets, {len(subject.sites)} sites: {seconds:.0f} s"
    said += f" for {tokens:,} tokens on {torch.get_num_threads()} threads"
    yield Row("raw", subject.name, said, f"{limit:.0f} s", Ratio(share, share, share, 1), 1, most=True)


def batches_of(subject: Subject, taxonomy: Taxonomy, scratch: Path) -> tuple[list[Batch], int]:
    """The batches that the stage makes, and how many tokens of the contexts' own are in them."""
    subject.lm.widths(subject.sites)  # else a pass over one token would be among them
    capture, seen = subject.lm.capture, list[Batch]()

    def noted(ids: Tensor, mask: Tensor, sites: Any, keep: Tensor) -> Any:
        seen.append(Batch(*(part.to(subject.lm.device) for part in (ids, mask, keep)), rows=int(mask.sum())))
        return capture(ids, mask, sites, keep=keep)

    with TemporaryDirectory(dir=scratch) as folder, patch.object(subject.lm, "capture", noted):
        tokens = read_raw(subject, taxonomy, Path(folder))
    return seen, tokens
