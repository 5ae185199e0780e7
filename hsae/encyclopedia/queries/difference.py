"""Two encyclopedias of the same concepts: how alike their geometries are, and which concepts moved.

Rows are matched concepts, widths may differ; A and B are the centred means.

    CKA         |A^T B|^2 / (|A^T A| |B^T B|)  (Frobenius)      Kornblith et al. 2019, arXiv:1905.00414
    RSA         Spearman's rho of 1 - cosine over all pairs     Kriegeskorte, Mur & Bandettini 2008
    Procrustes  sum |a - s b R|^2 / sum |a|^2 with the best orthogonal R and factor s       Schoenemann 1966

R and s are found on one half of the concepts and judged on the other, and the other way round: on its own
rows a rotation fits anything once there are more units than concepts. Under the null the rows of B are
permuted and everything is estimated again.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from hsae.errors import UserError
from hsae.seeding import numpy_stream
from hsae.stats import permutation_p

FEWEST = 10
MOST = 2000
"""Concepts that are compared: RSA looks at all pairs, two million of them."""

Matrix = Float[np.ndarray, "concept d"]


def difference(
    a: Matrix,
    b: Float[np.ndarray, "concept width"],
    *,
    ids: Sequence[str],
    seed: int,
    draws: int = 99,
    most: int = MOST,
    moved: int = 20,
) -> dict[str, Any]:
    """CKA, RSA and Procrustes residual, each with the mean of its null and a one-sided p; the `moved`
    concepts with the largest share of their vector unexplained by the other encyclopedia.

    Of more than `most` concepts a sample is compared. `a` and `b` may be whitened or not, but both alike.
    Raises `UserError` below FEWEST concepts or for one with an unknown mean.
    """
    if len(a) != len(b) or len(a) < FEWEST:
        raise UserError(
            f"a difference needs {FEWEST} concepts or more in common; found {len(a)} and {len(b)}."
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise UserError("a concept without a mean cannot be compared: leave it out on both sides.")
    draw = numpy_stream(seed, "concepts of the difference")
    kept = np.sort(draw.permutation(len(a))[:most])
    one, other = _centred(a[kept]), _centred(b[kept])
    half = draw.permutation(len(kept)) % 2 == 0
    ranks = [_ranks(one), _ranks(other)]
    orders = [draw.permutation(len(kept)) for _ in range(draws)]
    residual = lambda order: _share(one, _residuals(one, other[order], half))
    away = _residuals(one, other, half)
    unexplained = (away**2).sum(1) / (one**2).sum(1).clip(min=1e-30)
    worst = np.argsort(-unexplained, kind="stable")[:moved]
    return {
        "concepts": len(kept),
        "cka": _judged(lambda order: cka(one, other[order]), orders),
        "rsa": _judged(lambda order: _rank_correlation(ranks[0], ranks[1][np.ix_(order, order)]), orders),
        "procrustes": _judged(residual, orders, small=True),
        "moved": [{"id": ids[int(kept[row])], "unexplained": float(unexplained[row])} for row in worst],
    }


def cka(a: Matrix, b: Float[np.ndarray, "concept width"]) -> float:
    """Linear CKA of centred rows: 1 for the same up to rotation and factor. Above 0 for unrelated rows that
    are wide against their number: its null says how far."""
    own = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    return float(np.linalg.norm(a.T @ b) ** 2 / own)


def rsa(a: Matrix, b: Float[np.ndarray, "concept width"]) -> float:
    """Spearman's rho between the dissimilarities 1 - cosine of all pairs of rows."""
    return _rank_correlation(_ranks(a), _ranks(b))


def rotation(a: Matrix, b: Float[np.ndarray, "concept width"]) -> Float[np.ndarray, "width d"]:
    """s R with the orthogonal R [width d] (a partial isometry where widths differ) and s of least
    |a - s b R|^2."""
    left, values, right = np.linalg.svd(b.T @ a, full_matrices=False)
    turned = left @ right
    return turned * (values.sum() / ((b @ turned) ** 2).sum())


def _judged(
    statistic: Callable[[np.ndarray], float], orders: Sequence[np.ndarray], *, small: bool = False
) -> dict[str, float]:
    """The statistic as it is, its mean over permuted rows, and the share of these that are as extreme."""
    value = statistic(np.arange(len(orders[0])))
    null = np.array([statistic(order) for order in orders])
    sign = -1 if small else 1
    return {"value": value, "null": float(null.mean()), "p": permutation_p(sign * value, sign * null)}


def _residuals(a: Matrix, b: Float[np.ndarray, "concept width"], half: np.ndarray) -> Matrix:
    """a - s b R for each half, with the s R of the other."""
    found = np.empty_like(a)
    for judged in (half, ~half):
        found[judged] = a[judged] - b[judged] @ rotation(a[~judged], b[~judged])
    return found


def _share(a: Matrix, residuals: Matrix) -> float:
    return float((residuals**2).sum() / (a**2).sum())


def _ranks(rows: Matrix) -> Float[np.ndarray, "concept concept"]:
    """Ranks of the pairs' dissimilarities, centred and of unit length over the pairs; the diagonal is 0."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(min=1e-30)
    pairs = np.triu_indices(len(rows), 1)
    rank = rankdata(1 - (unit @ unit.T)[pairs])
    rank -= rank.mean()
    rank /= np.linalg.norm(rank)
    table = np.zeros((len(rows), len(rows)))
    table[pairs] = rank
    return table + table.T


def _rank_correlation(
    a: Float[np.ndarray, "concept concept"], b: Float[np.ndarray, "concept concept"]
) -> float:
    return float(np.vdot(a, b) / 2)


def _centred(rows: Float[np.ndarray, "concept width"]) -> Float[np.ndarray, "concept width"]:
    rows = rows.astype(np.float64)
    return rows - rows.mean(0)
