"""How sure an interpreter is of what is no concept: noise, and words without meaning.

A closed softmax must name some concept. What it may not do is to be as sure of nothing as it is of something:
    t = the largest confidence that at least 95 % of test rows reach,
    fired = share of the other rows that reach it too (FPR95).
An interpreter that is equally sure of everything fires on 95 % of anything.
Source: Hendrycks & Gimpel 2017, arXiv:1610.02136; FPR95 as in Liang, Li & Srikant 2018, arXiv:1706.02690.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from hsae.concepts.controls import kind_of
from hsae.encyclopedia import Encyclopedia
from hsae.interpreters.base import BATCH, Interpreter, Rows
from hsae.interpreters.calibration import top_probability
from hsae.interpreters.judging.assessment import interval
from hsae.interpreters.roles import rows_of
from hsae.seeding import stream
from hsae.stats import wilson

PASSING = 0.95
NOISE = 2048
"""Rows of noise, and at most twice as many test rows that it is mixed from."""

MEANINGLESS = ("noise", "pseudo_word", "placeholder")
"""Kinds of rows that nothing should be said of. A shuffled gloss stands beside a real word, which may well be
recognised."""


def firing(
    interpreter: Interpreter,
    confidence: Float64[np.ndarray, " row"],
    others: Mapping[str, Rows],
    *,
    null: Mapping[str, float] | None,
    seed: int,
) -> dict[str, Any]:
    """For each kind of `others`: rows, the share that fires, and the mean confidence, with intervals over
    their strings (of noise: rows). `confidence` is that of the test rows; `null` the mean confidence, with
    its interval, of an interpreter that was fitted on permuted labels: `surer_than_null` says whether that
    of a kind lies wholly above it."""
    t = float(np.sort(confidence)[len(confidence) - math.ceil(PASSING * len(confidence))])
    lines = {}
    for kind, rows in others.items():
        sure, owner = _confidence(interpreter, rows), rows.concept.numpy()
        mean = interval(sure, owner, seed=seed)
        surer = None if null is None else mean["low"] > null["high"]
        lines[kind] = {
            "n": len(sure),
            **_rate(sure >= t, owner),
            "confidence": mean,
            "surer_than_null": surer,
        }
    passing = float((confidence >= t).mean())
    return {"threshold": t, "test": {"n": len(confidence), "value": passing}, "kinds": lines}


def alarms(found: Mapping[str, Any]) -> list[str]:
    """In words, each kind of rows without meaning that is named with more confidence than permuted labels
    leave."""
    return [
        f"{kind} is taken for a concept: mean confidence {line['confidence']['value']:.3g}, above that of "
        f"permuted labels; on {100 * line['value']:.0f} % of it the answer is as sure as on 95 % of test rows"
        for kind, line in found["kinds"].items()
        if kind in MEANINGLESS and line["surer_than_null"]
    ]


def noise(test: Rows, *, seed: int) -> Rows:
    """Gaussian rows with the mean and the covariance of test rows, each an owner of its own.

    mean + g (x - mean) / sqrt(n - 1), g standard normal: the covariance itself, [width width], is not
    needed.
    """
    g = stream(seed, "noise")
    chosen = torch.randperm(len(test.concept), generator=g)[: 2 * NOISE]
    x = test.x[chosen].flatten(1)
    centre = x.mean(0)
    mixed = torch.randn(NOISE, len(x), generator=g) @ (x - centre) / max(len(x) - 1, 1) ** 0.5
    number = torch.arange(NOISE)
    return Rows((centre + mixed).reshape(NOISE, *test.x.shape[1:]), number, number)


def words(book: Encyclopedia, sites: list[str]) -> dict[str, Rows]:
    """The strings that are no concepts, by their kind; none where the encyclopedia read none."""
    if book.controls is None:
        return {}
    rows = rows_of(book.controls, sites, "all")
    kinds = [kind_of(concept.id) for concept in book.controls.taxonomy]
    return {
        kind: rows.chosen(torch.tensor([kinds[row] == kind for row in rows.concept.tolist()]))
        for kind in dict.fromkeys(kinds)
        if kind is not None
    }


def _rate(fired: Bool[np.ndarray, " row"], owner: Int64[np.ndarray, " row"]) -> dict[str, float]:
    """Share of rows, with Wilson's interval as if there were one row for each owner: a bootstrap of a share
    of 0 would be sure of it."""
    share, owners = float(fired.mean()), len(np.unique(owner))
    low, high = wilson(share * owners, owners)
    return {"value": share, "low": low, "high": high}


@torch.no_grad()
def _confidence(interpreter: Interpreter, rows: Rows) -> Float64[np.ndarray, " row"]:
    parts: list[Float[Tensor, " row"]] = [
        top_probability(interpreter.log_posterior(part.x)).double().cpu() for part in rows.batches(BATCH)
    ]
    return torch.cat(parts).numpy()
