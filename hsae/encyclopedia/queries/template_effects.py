"""What the templates that serve many concepts add to every concept's mean.

    x = concept + template + rest

All concepts are read in these templates, so their effects are common and centring takes most of them away:
to count them as noise of a single concept would hide what moved. Effects are the means by template over all
concepts, from the mean over everything; a template of few contexts counts as rest.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Float, Int

from hsae.encyclopedia.encyclopedia import Encyclopedia
from hsae.encyclopedia.statistics import ROLES

SERVED = 20
"""Contexts from which the effect of a template is known well enough."""


@final
class TemplateEffects(NamedTuple):
    """What templates add to means, and what noise is left without it."""

    effect: Float[np.ndarray, "concept d"]
    """The mean effect of the templates that each concept was read in, standardised."""
    left: float
    """Share of the scatter within concepts that is left without the effects."""
    trace: Float[np.ndarray, " concept"]
    """T of each concept without the effects, from its raw rows; NaN below two of them."""
    effective: float
    """Dimensions of what is left within a concept; see `dimensions`."""


def pooled(books: Sequence[Encyclopedia], site: str) -> dict[str, Float[np.ndarray, " d"]]:
    """Template -> its effect, over all books of the same model together: the same sentence does the same in
    each. Templates of fewer than SERVED contexts are left out."""
    count: Counter[str] = Counter()
    total: dict[str, np.ndarray] = {}
    for book in books:
        for name, n, mean in zip(book.templates, *book.effects(site), strict=True):
            count[name] += int(n)
            total[name] = total.get(name, 0) + n * mean
    everything = sum(total.values()) / max(1, count.total())
    return {name: total[name] / n - everything for name, n in count.items() if n >= SERVED}


def template_effects(
    book: Encyclopedia,
    site: str,
    rows: Int[np.ndarray, " concept"],
    scale: Float[np.ndarray, " d"],
    *,
    known: Mapping[str, Float[np.ndarray, " d"]],
) -> TemplateEffects:
    """Of the concepts in `rows`, whose units are divided by `scale`, from the `known` effects and the raw
    rows of the role fit."""
    effects = np.stack([known.get(name, np.zeros(len(scale))) for name in book.templates]) / scale
    place = {name: number for number, name in enumerate(book.templates)}
    by_concept, n = np.zeros((len(book.taxonomy), effects.shape[1])), np.zeros(len(book.taxonomy))
    for number in range(len(book.shards)):
        table = book.table(number)
        fit = table["role"] == ROLES.index("fit")
        own = np.array([place[name] for name in table.names["template"]], np.int64)
        concept = table["concept"][fit].astype(np.int64) + number * book.block_size
        np.add.at(by_concept, concept, effects[own[table["template"][fit]]])
        np.add.at(n, concept, 1)
    sample = book.rows(site)
    x = sample.x / scale
    before, after = (_within(rows, sample.concept) for rows in (x, x - effects[sample.template]))
    effect = (by_concept / np.maximum(n, 1)[:, None])[rows]
    left = float(np.square(after).sum() / np.square(before).sum()) if before.any() else 1.0
    n = np.bincount(sample.concept, minlength=len(book.taxonomy))[rows]
    squares = np.bincount(sample.concept, np.square(after).sum(1), minlength=len(book.taxonomy))[rows]
    trace = np.where(n > 1, squares / np.maximum(n - 1, 1), np.nan)
    return TemplateEffects(effect, min(1.0, left), trace, dimensions(after, sample.concept))


def dimensions(x: Float[np.ndarray, "row d"], concept: Int[np.ndarray, " row"]) -> float:
    """Effective dimensions tr(S)^2 / tr(S^2) of the scatter within a single concept, its S not pooled: pooled
    over concepts that each scatter along lines of their own it would be far too large.

    sum |u|^2 |v|^2 / sum (u . v)^2 over pairs of differences u, v between four rows of a concept, which are
    independent; 1 where no concept has four.
    """
    lengths = products = 0.0
    order = np.argsort(concept, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(concept[order])) + 1):
        even = len(rows) - len(rows) % 2
        step = x[rows[:even:2]] - x[rows[1:even:2]]
        square = np.square(step @ step.T)
        own = np.sqrt(square.diagonal())
        lengths += float(own.sum() ** 2 - np.square(own).sum())
        products += float(square.sum() - square.diagonal().sum())
    return max(1.0, min(lengths / products, float(x.shape[1]))) if products > 0 else 1.0


def _within(x: np.ndarray, concept: Int[np.ndarray, " row"]) -> np.ndarray:
    """The rows without their concept's own mean."""
    _, group = np.unique(concept, return_inverse=True)
    total = np.zeros((int(group.max(initial=-1)) + 1, x.shape[1]))
    np.add.at(total, group, x)
    return x - (total / np.bincount(group)[:, None])[group]
