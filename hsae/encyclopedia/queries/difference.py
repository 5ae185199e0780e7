"""Two sets of vectors of the same concepts: how alike their geometries are.

Rows are matched concepts, widths may differ; A and B are the centred means.

    CKA         |A^T B|^2 / (|A^T A| |B^T B|)  (Frobenius)      Kornblith et al. 2019, arXiv:1905.00414
    RSA         Spearman's rho of 1 - cosine over all pairs     Kriegeskorte, Mur & Bandettini 2008
    Procrustes  sum |a - s b R|^2 / sum |a|^2 with the best orthogonal R and factor s       Schoenemann 1966
    neighbours  share of a concept's k nearest (by cosine) that are its nearest on the other side too, the
                mean over concepts                              Huh et al. 2024, arXiv:2405.07987

R and s are found on one half of the concepts and judged on the other, and the other way round: on its own
rows a rotation fits anything once there are more units than concepts. Under the null the rows of B are
permuted and everything is estimated again. Intervals leave out a twentieth of the concepts at a time
(the delete-a-group jackknife, Kott 2001): drawing concepts twice would pair them with themselves.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import stdtrit
from scipy.stats import rankdata

from hsae.errors import UserError
from hsae.seeding import numpy_stream
from hsae.stats import permutation_p

FEWEST = 40
"""Concepts in common: a twentieth of fewer would be one or none."""
GROUPS = 20
NEIGHBOURS = 10
SMALLEST = 1e-5
"""Singular value, as a share of the largest, below which a direction counts as spanned by nothing."""

Matrix = Float[np.ndarray, "concept d"]
Other = Float[np.ndarray, "concept width"]


def difference(
    a: Matrix, b: Other, *, seed: int, draws: int = 99, level: float = 0.95
) -> dict[str, dict[str, float]]:
    """CKA, RSA, Procrustes residual and kept neighbours, each a dict of value, low, high, null (its mean over
    permuted rows) and a one-sided p.

    Raises `UserError` below FEWEST concepts or for one with an unknown mean.
    """
    _check(a, b)
    one, other, concepts = centred(a), centred(b), len(a)
    draw = numpy_stream(seed, "difference")
    half = draw.permutation(concepts) % 2 == 0
    group = draw.permutation(concepts) % GROUPS
    orders = [draw.permutation(concepts) for _ in range(draws)]
    ranks, near = (_ranks(one), _ranks(other)), (_nearest(one), _nearest(other))
    permuted = {
        "cka": lambda order: cka(one, other[order]),
        "rsa": lambda order: _correlation(ranks[0], ranks[1][np.ix_(order, order)]),
        "procrustes": lambda order: _share(one, residuals(one, other[order], half)),
        "neighbours": lambda order: float(_kept(near[0], _renamed(near[1], order)).mean()),
    }
    without = {
        "cka": lambda rows: cka(centred(one[rows]), centred(other[rows])),
        "rsa": lambda rows: rsa(centred(one[rows]), centred(other[rows])),
        "procrustes": lambda rows: _left(one[rows], other[rows], half[rows]),
        "neighbours": lambda rows: float(kept_neighbours(one[rows], other[rows]).mean()),
    }
    return {
        name: _judged(statistic, orders, small=name == "procrustes")
        | jackknife(without[name], group, statistic(np.arange(concepts)), level=level)
        for name, statistic in permuted.items()
    }


def _check(a: Matrix, b: Other) -> None:
    if len(a) != len(b) or len(a) < FEWEST:
        raise UserError(
            f"a difference needs {FEWEST} concepts or more in common; found {len(a)} and {len(b)}.\n"
            "Compare encyclopedias of the same concepts (concepts=..., concepts.n=...)."
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise UserError("a concept without a mean cannot be compared: leave it out on both sides.")


def cka(a: Matrix, b: Other) -> float:
    """Linear CKA of centred rows: 1 for the same up to rotation and factor. Above 0 for unrelated rows that
    are wide against their number: its null says how far."""
    own = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    return float(np.linalg.norm(a.T @ b) ** 2 / own)


def rsa(a: Matrix, b: Other) -> float:
    """Spearman's rho between the dissimilarities 1 - cosine of all pairs of rows."""
    return _correlation(_ranks(a), _ranks(b))


def rotation(a: Matrix, b: Other) -> Float[np.ndarray, "width d"]:
    """s R of least |a - s b R|^2 with R [width d] orthogonal on what both rows span, and 0 outside of it.

    R = M (M^T M)^(-1/2) with M = b^T a, from the eigenvectors of M^T M: with fewer concepts than units M has
    no full rank, and a rotation of the rest, which no concept speaks of, would be an invention.
    """
    product = b.T @ a
    squares, axes = np.linalg.eigh(product.T @ product)
    kept = squares > (SMALLEST**2) * max(float(squares[-1]), 0.0)
    values, axes = np.sqrt(squares[kept]), axes[:, kept]
    turned = (product @ axes / values) @ axes.T
    return turned * (values.sum() / max(float(((b @ turned) ** 2).sum()), 1e-300))


def residuals(a: Matrix, b: Other, half: Bool[np.ndarray, " concept"]) -> Matrix:
    """a - s b R for each half, with the s R of the other."""
    found = np.empty_like(a)
    for judged in (half, ~half):
        found[judged] = a[judged] - b[judged] @ rotation(a[~judged], b[~judged])
    return found


def kept_neighbours(a: Matrix, b: Other, *, k: int = NEIGHBOURS) -> Float[np.ndarray, " concept"]:
    """Of each concept's k nearest by cosine on one side, the share that are among its k on the other."""
    return _kept(_nearest(a, k), _nearest(b, k))


def ceiling(a: tuple[Matrix, Matrix], b: tuple[Other, Other]) -> dict[str, float | None]:
    """What noise leaves of RSA, from two means of each side over different contexts, the same split for both.

    within     r(a1, a2) and r(b1, b2): a side's agreement with itself
    ceiling    sqrt(r(a1, a2) r(b1, b2)): the most that halves of the two can agree, by their noise
    across     the mean of r(a1, b2) and r(a2, b1), which share no context and so no noise
    corrected  across / ceiling (Spearman 1904): 1 where the true similarities are the same; None where a
               side does not agree with itself
    """
    a1, a2, b1, b2 = (_ranks(centred(half)) for half in (*a, *b))
    own, others = _correlation(a1, a2), _correlation(b1, b2)
    across = (_correlation(a1, b2) + _correlation(a2, b1)) / 2
    most = float(np.sqrt(own * others)) if own > 0 and others > 0 else None
    return {
        "first": own,
        "second": others,
        "ceiling": most,
        "across": across,
        "corrected": across / most if most else None,
    }


def jackknife(
    statistic: Callable[[np.ndarray], float], group: Int[np.ndarray, " row"], value: float, *, level: float
) -> dict[str, float]:
    """Student's interval around `value` from leaving out each group of rows in turn."""
    groups = np.unique(group)
    left = np.array([statistic(np.flatnonzero(group != out)) for out in groups])
    n = len(groups)
    se = float(np.sqrt((n - 1) / n * np.square(left - left.mean()).sum()))
    wide = float(stdtrit(n - 1, (1 + level) / 2)) * se
    return {"low": value - wide, "high": value + wide}


def centred(rows: Other) -> Other:
    """The rows in float64, without their mean."""
    rows = rows.astype(np.float64)
    return rows - rows.mean(0)


def _judged(
    statistic: Callable[[np.ndarray], float], orders: Sequence[np.ndarray], *, small: bool
) -> dict[str, float]:
    """The statistic as it is, its mean over permuted rows, and the share of these that are as extreme."""
    value = statistic(np.arange(len(orders[0])))
    null = np.array([statistic(order) for order in orders])
    sign = -1 if small else 1
    return {"value": value, "null": float(null.mean()), "p": permutation_p(sign * value, sign * null)}


def _left(a: Matrix, b: Other, half: Bool[np.ndarray, " concept"]) -> float:
    a, b = centred(a), centred(b)
    return _share(a, residuals(a, b, half))


def _share(a: Matrix, left: Matrix) -> float:
    return float((left**2).sum() / (a**2).sum())


def _unit(rows: Other) -> Other:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(min=1e-30)


def _nearest(rows: Other, k: int = NEIGHBOURS) -> Int[np.ndarray, "concept k"]:
    unit = _unit(centred(rows))
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    return np.argpartition(-cosine, k - 1, axis=1)[:, :k]


def _kept(
    near: Int[np.ndarray, "concept k"], there: Int[np.ndarray, "concept k"]
) -> Float[np.ndarray, " concept"]:
    return (near[:, :, None] == there[:, None, :]).any(2).mean(1)


def _renamed(near: Int[np.ndarray, "concept k"], order: np.ndarray) -> Int[np.ndarray, "concept k"]:
    """The neighbours after rows were put into another order."""
    return np.argsort(order)[near[order]]


def _ranks(rows: Other) -> Float[np.ndarray, "concept concept"]:
    """Ranks of the pairs' dissimilarities, centred and of unit length over the pairs; the diagonal is 0."""
    unit = _unit(rows)
    pairs = np.triu_indices(len(rows), 1)
    rank = rankdata(1 - (unit @ unit.T)[pairs])
    rank -= rank.mean()
    rank /= max(float(np.linalg.norm(rank)), 1e-30)
    table = np.zeros((len(rows), len(rows)))
    table[pairs] = rank
    return table + table.T


def _correlation(a: Float[np.ndarray, "concept concept"], b: Float[np.ndarray, "concept concept"]) -> float:
    return float(np.vdot(a, b) / 2)
