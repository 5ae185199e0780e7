"""Means of rows that stand in two kinds of clusters at once: of a concept, and of a template.

Both are drawn, each on its own, and a row counts as often as its concept was drawn times its template:

    mean = sum of a_c b_t w v / sum of a_c b_t w          a, b: how often each was drawn, w: weight of a row

An interval over concepts alone would take the templates that happened to be there for all there are.
Source: Owen 2007, "The pigeonhole bootstrap"; it errs, if at all, on the wide side.
"""

import math
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Float, Float64, Shaped
from scipy.sparse import coo_matrix

from hsae.seeding import numpy_stream
from hsae.stats import Interval

CHUNK = 50
"""Draws that are computed at once."""


@final
class Crossed(NamedTuple):
    """A mean, and what it is in each draw; `n` counts the clusters of the kind that has fewer."""

    value: float
    draws: Float64[np.ndarray, " draw"]
    n: int

    def interval(self, *, level: float = 0.95) -> Interval:
        """Percentiles of the draws; unbounded where one kind has a single cluster."""
        if self.n < 2:
            return Interval(self.value, -math.inf, math.inf, self.n)
        tail = (1 - level) / 2
        low, high = np.quantile(self.draws, [tail, 1 - tail])
        return Interval(self.value, float(low), float(high), self.n)

    @property
    def p(self) -> float:
        """Two-sided, that the mean is 0: twice the share of draws on the lesser side of it, never 0."""
        if self.n < 2:
            return 1.0
        lesser = min((self.draws <= 0).sum(), (self.draws >= 0).sum())
        return min(1.0, 2 * (1 + int(lesser)) / (1 + len(self.draws)))


def crossed(
    values: Shaped[np.ndarray, " row"],
    first: Shaped[np.ndarray, " row"],
    second: Shaped[np.ndarray, " row"],
    *,
    weights: Float[np.ndarray, " row"] | None = None,
    seed: int,
    draws: int = 1000,
) -> Crossed:
    """The weighted mean of rows, each in one of the `first` clusters and one of the `second`."""
    rows = np.ones(len(values)) if weights is None else weights.astype(np.float64)
    (a, of_first), (b, of_second) = (np.unique(kind, return_inverse=True) for kind in (first, second))
    cells = [
        coo_matrix((column, (of_first, of_second)), shape=(len(a), len(b))).tocsr()
        for column in (rows * values, rows)
    ]
    rng = numpy_stream(seed, "crossed bootstrap")
    found = []
    for start in range(0, draws, CHUNK):
        size = min(CHUNK, draws - start)
        times = [
            rng.multinomial(n, np.full(n, 1 / n), size=size).astype(np.float64) for n in (len(a), len(b))
        ]
        total, weight = (((cell.T @ times[0].T).T * times[1]).sum(1) for cell in cells)
        # a draw may miss every cell of a thin table: it has no mean, and cannot vote
        found.append((total / np.where(weight > 0, weight, np.nan))[weight > 0])
    value = float((rows * values).sum() / rows.sum())
    return Crossed(value, np.concatenate(found), min(len(a), len(b)))


def macro(concept: Shaped[np.ndarray, " row"]) -> Float64[np.ndarray, " row"]:
    """Weights by which every concept counts alike, however many rows it has."""
    _, place, count = np.unique(concept, return_inverse=True, return_counts=True)
    return 1 / count[place]
