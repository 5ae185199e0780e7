"""Every row is judged once, by an interpreter that was fitted without its template, or without its source.

A fold is judged by what is fitted on all others; of these a quarter of the templates tunes. What an
encyclopedia calls roles plays no part: all its raw rows are dealt anew. Whoever chose contexts, a stopping
rule or an interpreter by the roles fit and tune has looked at rows that are judged here, while those of the
role test are judged once by job=interpret: k-fold uses more rows, and a sceptic prefers the other.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Int64, Shaped

from hsae import json_file
from hsae.errors import UserError
from hsae.interpreters.base import BATCH, Interpreter, Rows
from hsae.interpreters.judging.crossed import crossed, macro
from hsae.seeding import numpy_stream
from hsae.stats import holm

FILE = "crossvalidation.json"
TUNE = 4
"""One in so many templates of those that are not judged tunes."""

Unit = Literal["template", "source"]


@final
class Fold(NamedTuple):
    """Which rows are for what, one fold being judged."""

    fit: Int64[np.ndarray, " row"]
    tune: Int64[np.ndarray, " row"]
    test: Int64[np.ndarray, " row"]
    left_out: Int64[np.ndarray, " row"]
    """Of the fold, but of concepts without a row to be fitted on: no closed softmax can name them."""


def dealt(template: Shaped[np.ndarray, " row"], *, folds: int, seed: int) -> Int64[np.ndarray, " row"]:
    """The fold of each row: templates in an order of the seed go, largest first, to the smallest fold.

    Raises UserError where there are fewer templates than folds.
    """
    names, place, count = np.unique(template, return_inverse=True, return_counts=True)
    if len(names) < folds:
        raise UserError(
            f"{len(names)} templates cannot be dealt into job.folds={folds}.\n"
            f"Type job.folds={len(names)}, or bootstrap a stage with more: stage=templates"
        )
    shuffled = numpy_stream(seed, "folds").permutation(len(names))
    fold, size = np.zeros(len(names), np.int64), np.zeros(folds, np.int64)
    for number in shuffled[np.argsort(-count[shuffled], kind="stable")]:
        fold[number] = size.argmin()
        size[fold[number]] += count[number]
    return fold[place]


def folds_of(rows: Rows, fold: Int64[np.ndarray, " row"], *, seed: int) -> Iterator[Fold]:
    """Each fold in turn. Raises UserError where nothing is left to fit or to tune on."""
    template, concept = rows.template.numpy(), rows.concept.numpy()
    for number in np.unique(fold):
        others = np.unique(template[fold != number])
        if len(others) < 2:
            raise UserError(
                f"without the {int((fold == number).sum()):,} rows of one fold {len(others)} templates are "
                "left, too few to fit and to tune on.\nBootstrap a stage with more: stage=templates"
            )
        order = numpy_stream(seed, f"tune of fold {number}").permutation(others)
        tune = np.isin(template, order[: max(1, len(others) // TUNE)]) & (fold != number)
        fit = (fold != number) & ~tune
        seen = np.isin(concept, concept[fit])
        rows_of = lambda mask: np.flatnonzero(mask)
        test = fold == number
        yield Fold(rows_of(fit), rows_of(tune & seen), rows_of(test & seen), rows_of(test & ~seen))


def judge(interpreter: Interpreter, rows: Rows, fold: Fold, *, device: str) -> Bool[np.ndarray, " test"]:
    """Fits the interpreter anew, and says which rows of the fold it names rightly."""
    of = lambda places: rows.chosen(torch.from_numpy(places))
    for _ in interpreter.fit(of(fold.fit), of(fold.tune), device=device, checkpoint=None):
        pass
    test = of(fold.test)
    right = [
        interpreter.log_posterior(part.x).argmax(1).cpu() == part.concept for part in test.batches(BATCH)
    ]
    return torch.cat(right).numpy() if right else np.zeros(0, bool)


def judge_all(
    make: dict[str, Callable[[], Interpreter]], rows: Rows, folds: list[Fold], *, device: str
) -> Iterator[tuple[int, str, Bool[np.ndarray, " test"]]]:
    """Every interpreter in every fold: number of the fold, name, which rows were right."""
    for number, fold in enumerate(folds):
        for name, blank in make.items():
            yield number, name, judge(blank(), rows, fold, device=device)


def summary(
    right: dict[str, Bool[np.ndarray, " row"]],
    concept: Int64[np.ndarray, " row"],
    unit: Shaped[np.ndarray, " row"],
    *,
    candidates: int,
    seed: int,
) -> dict[str, Any]:
    """Accuracy of each interpreter, the mean over concepts, with intervals over concepts and units (templates
    or sources) at once; and of the first less each other, with p corrected for their number (Holm)."""
    weights = macro(concept)
    over = lambda values: crossed(values, concept, unit, weights=weights, seed=seed)
    known = lambda v: float(v) if np.isfinite(v) else None
    said = lambda found: dict(zip(("value", "low", "high"), map(known, found.interval()[:3]), strict=True))
    first, *others = right
    difference = {
        name: over(right[first].astype(np.float64) - right[name].astype(np.float64)) for name in others
    }
    corrected = holm([found.p for found in difference.values()]) if difference else []
    return {
        "n": len(concept),
        "concepts": len(np.unique(concept)),
        "units": len(np.unique(unit)),
        "chance": 1 / candidates,
        "accuracy": {name: said(over(values)) for name, values in right.items()},
        "against": {
            name: {**said(found), "p": found.p, "p_holm": float(p)}
            for (name, found), p in zip(difference.items(), corrected, strict=True)
        },
    }


def load(folder: Path) -> dict[str, Any]:
    """What `job=crossvalidate` found: accuracies over all folds, comparisons, and a table of folds."""
    return json_file.read(Path(folder) / FILE)
