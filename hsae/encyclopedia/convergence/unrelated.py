"""The null that a cosine needs: how alike are concepts that have nothing to do with each other?

All activations share a large mean and a few strong directions, so that any two concepts have a raw cosine
near one. What counts is how far the two halves of one concept's contexts stand out from that.
"""

from typing import NamedTuple, final

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from hsae.seeding import numpy_stream
from hsae.stats import Interval, separation


@final
class UnrelatedNull(NamedTuple):
    """Cosines in one space: of pairs of different concepts, and of the two halves of each concept."""

    between: Float[np.ndarray, " pair"]
    within: Float[np.ndarray, " concept"]
    separation: float
    """P(within > between): .5 where the halves of a concept are no more alike than two concepts."""


def unrelated_nulls(
    first: Float[np.ndarray, "concept d"],
    second: Float[np.ndarray, "concept d"],
    whitener: Float[np.ndarray, "d d"],
    *,
    seed: int,
    pairs: int = 10_000,
) -> dict[str, UnrelatedNull]:
    """Cosines raw, centred, and whitened, by these names.

    `first` and `second` are means over disjoint contexts of the same concepts (two roles). A pair takes
    one concept's first half and another's second, so that both cosines carry the same noise. Centring takes
    off each half's own average. Concepts that lack a half (NaN) are left out. Raises `ValueError` below two.
    """
    known = ~(np.isnan(first).any(1) | np.isnan(second).any(1))
    halves = first[known].astype(np.float64), second[known].astype(np.float64)
    if (concepts := len(halves[0])) < 2:
        raise ValueError(f"{concepts} concepts with both halves: no two to compare")
    centred = tuple(half - half.mean(0) for half in halves)
    spaces = {"raw": halves, "centred": centred, "whitened": tuple(half @ whitener for half in centred)}
    rng = numpy_stream(seed, "unrelated pairs")
    one = rng.integers(concepts, size=pairs)
    other = (one + rng.integers(1, concepts, size=pairs)) % concepts
    return {name: _null(_unit(a), _unit(b), one, other) for name, (a, b) in spaces.items()}


def _null(
    a: Float[np.ndarray, "concept d"], b: Float[np.ndarray, "concept d"], one: np.ndarray, other: np.ndarray
) -> UnrelatedNull:
    between, within = np.einsum("pd,pd->p", a[one], b[other]), np.einsum("cd,cd->c", a, b)
    same = np.repeat([True, False], [len(within), len(between)])
    return UnrelatedNull(between, within, separation(np.concatenate([within, between]), same))


def _unit(rows: Float[np.ndarray, "row d"]) -> Float[np.ndarray, "row d"]:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(float).tiny)


@final
class SimilarityAgreement(NamedTuple):
    """Whether two halves of the contexts agree about which concepts are alike."""

    spearman: Interval
    """Rank correlation of the halves' cosines over all pairs of concepts; the interval is over concepts."""
    ceiling: float
    """sqrt(2 r / (1 + r)): how well another matrix of similarities could at most agree with all contexts'."""


def similarity_agreement(
    first: Float[np.ndarray, "concept d"],
    second: Float[np.ndarray, "concept d"],
    *,
    seed: int,
    concepts: int = 300,
    resamples: int = 200,
    level: float = 0.95,
) -> SimilarityAgreement:
    """Spearman correlation of the concepts' similarity matrices between halves (representational similarity
    analysis), on up to `concepts` concepts drawn at random, with the noise ceiling it implies.

    Give centred or whitened means: raw ones share a direction that all pairs have in common. The interval
    draws concepts with replacement, leaving out pairs of a concept with itself. Source: Kriegeskorte, Mur &
    Bandettini 2008; the ceiling is Spearman-Brown of the halves' correlation.
    """
    rng = numpy_stream(seed, "similarity agreement")
    known = np.flatnonzero(~(np.isnan(first).any(1) | np.isnan(second).any(1)))
    if len(known) < 3:
        raise ValueError(f"{len(known)} concepts with both halves have no order of similarities")
    drawn = rng.permutation(known)[:concepts]
    a, b = (_unit(half[drawn].astype(np.float64)) for half in (first, second))
    matrices = a @ a.T, b @ b.T
    value = _correlate(*matrices, np.arange(len(drawn)))
    draws = [_correlate(*matrices, rng.integers(len(drawn), size=len(drawn))) for _ in range(resamples)]
    tail = (1 - level) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    ceiling = float(np.sqrt(2 * value / (1 + value))) if value > 0 else 0.0
    return SimilarityAgreement(Interval(value, float(low), float(high), len(drawn)), ceiling)


def _correlate(
    a: Float[np.ndarray, "concept concept"], b: Float[np.ndarray, "concept concept"], rows: np.ndarray
) -> float:
    """Spearman correlation over pairs of different concepts among `rows`; NaN where one side never varies."""
    i, j = np.triu_indices(len(rows), 1)
    i, j = rows[i], rows[j]
    i, j = i[i != j], j[i != j]
    x, y = (rankdata(matrix[i, j]) for matrix in (a, b))
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale > 0 else np.nan
