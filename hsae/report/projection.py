"""Concept vectors [concept d] -> a plane, and the number that says how much of the taxonomy the vectors
hold.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from hsae.seeding import numpy_stream

NEIGHBOURS = 5
SPECTRUM = 30
"""Principal components kept before t-SNE, as its authors advise (van der Maaten & Hinton 2008)."""


class Kinship(NamedTuple):
    """Share of nearest neighbours that stand under the same parent; `chance` is the share among all pairs
    allowed.
    """

    share: float
    low: float
    high: float
    chance: float
    concepts: int
    parents: int


def neighbours(
    vectors: Float[np.ndarray, "concept d"], words: Sequence[frozenset[str]], *, k: int = NEIGHBOURS
) -> Int[np.ndarray, "concept k"]:
    """Rows of the k concepts nearest by cosine of the centred vectors; two senses of one word are no
    neighbours.

    They share their contexts' surface form, so their nearness would say nothing about meaning.
    """
    unit = _centred(vectors)
    near = unit @ unit.T
    near[_related(words)] = -np.inf
    return np.argsort(-near, axis=1, kind="stable")[:, : min(k, len(vectors) - 1)]


def kinship(
    near: Int[np.ndarray, "concept k"],
    parents: Sequence[int],
    words: Sequence[frozenset[str]],
    *,
    seed: int,
    resamples: int = 1000,
) -> Kinship | None:
    """Over concepts that have a sibling; the interval resamples parents. None where no two share a parent."""
    above = np.asarray(parents)
    allowed = ~_related(words)
    same = (above[:, None] == above) & (above[:, None] >= 0) & allowed
    rows = np.flatnonzero(same.any(1))
    if not len(rows):
        return None
    hits = np.take_along_axis(same, near, 1)[rows].mean(1)
    chance = (same.sum(1) / allowed.sum(1))[rows]
    families, family = np.unique(above[rows], return_inverse=True)
    sums = np.stack([np.bincount(family, weights=hits), np.bincount(family)], axis=1)
    drawn = numpy_stream(seed, "kinship").multinomial(
        len(families), np.full(len(families), 1 / len(families)), size=resamples
    )
    totals = drawn @ sums
    low, high = np.quantile(totals[:, 0] / totals[:, 1], [0.025, 0.975])
    return Kinship(
        float(hits.mean()), float(low), float(high), float(chance.mean()), len(rows), len(families)
    )


def plane(vectors: Float[np.ndarray, "concept d"], *, seed: int) -> Shaped[np.ndarray, "concept 2"]:
    """Centred unit vectors -> their first principal components -> t-SNE by cosine, started from the first
    two.

    Fewer than 10 concepts have no neighbourhoods to keep: those get their principal components.
    """
    unit = _centred(vectors)
    left, spectrum, _ = np.linalg.svd(unit, full_matrices=False)
    left = left * np.sign(
        left[np.abs(left).argmax(0), np.arange(left.shape[1])]
    )  # the sign of an SVD is arbitrary
    components = (left * spectrum)[:, :SPECTRUM]
    if len(vectors) < 10:
        return np.pad(components, ((0, 0), (0, 2)))[:, :2]
    # a second of import, needed by this one figure
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    machine = TSNE(
        perplexity=min(30, (len(vectors) - 1) / 3),
        init=(components[:, :2] / components[:, 0].std() * 1e-4).astype(np.float32),
        random_state=int(numpy_stream(seed, "concept map").integers(2**31)),
    )
    # the sum over threads rounds differently for each number of them, and t-SNE magnifies it
    with threadpool_limits(1):
        return machine.fit_transform(components)


def _centred(vectors: Float[np.ndarray, "concept d"]) -> Float[np.ndarray, "concept d"]:
    centred = vectors.astype(np.float64) - vectors.mean(0, dtype=np.float64)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)


def _related(words: Sequence[frozenset[str]]) -> Shaped[np.ndarray, "concept concept"]:
    """True where two concepts share a word, and on the diagonal."""
    holders: dict[str, list[int]] = {}
    for row, forms in enumerate(words):
        for form in forms:
            holders.setdefault(form, []).append(row)
    related = np.eye(len(words), dtype=bool)
    for rows in holders.values():
        related[np.ix_(rows, rows)] = True
    return related
