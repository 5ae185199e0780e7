"""Is a concept two? A reservoir of its contexts is split where two centres explain it better than one.

Rows are whitened (and better still projected on `whitening.discriminants`): contexts of one sense then
scatter equally in all directions. The two groups are 2-means'; they count as senses only if two penalised
likelihoods (BIC of a mixture with hard assignment, so that the entropy of the shares counts too) both prefer
them:

    in all k directions, spherical:  n k ln(SS_1 / SS_2) - 2 n H(share) - (k + 1) ln n
    along the line between the two:  n ln(var_1 / var_2) - 2 n H(share) - 2 ln n

The first alone takes one long cloud for two, the second alone takes the overfitted line of few contexts in
many directions. Source: Biernacki, Celeux & Govaert 2000 (ICL).
"""

from typing import NamedTuple, final

import numpy as np
from jaxtyping import Bool, Float, Int

LEAST_ROWS, LEAST_SHARE = 16, 0.2
STRONG = 6.0
"""A difference in BIC that counts as strong evidence (Kass & Raftery 1995)."""
STEPS = 20


@final
class Senses(NamedTuple):
    """Per concept, how much better two senses explain it than one, and which rows they would be."""

    gain: Float[np.ndarray, " concept"]
    """The smaller difference in BIC; -inf where rows are too few, or a group too small."""
    share: Float[np.ndarray, " concept"]
    """Of the smaller group."""
    second: Bool[np.ndarray, " row"]
    """The rows of the smaller group: what is proposed where `split` is true."""

    @property
    def split(self) -> Bool[np.ndarray, " concept"]:
        """The concepts that are better explained as two, on strong evidence."""
        return self.gain > STRONG


def senses(
    x: Float[np.ndarray, "row k"],
    concept: Int[np.ndarray, " row"],
    *,
    concepts: int,
    least_rows: int = LEAST_ROWS,
    least_share: float = LEAST_SHARE,
) -> Senses:
    """The split of each concept's rows. A group below `least_share` of them is an outlier, not a sense."""
    order = np.argsort(concept, kind="stable")
    edges = np.searchsorted(concept[order], np.arange(concepts + 1))
    gain, share = np.full(concepts, -np.inf), np.zeros(concepts)
    second = np.zeros(len(x), dtype=bool)
    for number in np.flatnonzero(np.diff(edges) >= least_rows):
        rows = order[edges[number] : edges[number + 1]]
        mine = x[rows].astype(np.float64)
        members = two_means(mine)
        share[number] = members.mean()
        if share[number] >= least_share:
            second[rows] = members
            gain[number] = bic_gain(mine, members)
    return Senses(gain, share, second)


def two_means(x: Float[np.ndarray, "row k"]) -> Bool[np.ndarray, " row"]:
    """Members of the smaller of two groups: Lloyd's steps from the sign of the first principal component.

    In terms of inner products of rows alone, for there are fewer rows than directions. Source: Lloyd 1982;
    Ding & He 2004 for the start.
    """
    centred = x - x.mean(0)
    gram = centred @ centred.T
    members = np.linalg.eigh(gram)[1][:, -1] > 0
    for _ in range(STEPS):
        if members.all() or not members.any():
            break
        # |row - mean of a group|^2, up to |row|^2, which both distances share
        one, two = (
            gram[:, side].mean(1) - gram[np.ix_(side, side)].mean() / 2 for side in (members, ~members)
        )
        after = one > two
        if (after == members).all():
            break
        members = after
    return ~members if members.mean() > 0.5 else members


def bic_gain(x: Float[np.ndarray, "row k"], members: Bool[np.ndarray, " row"]) -> float:
    """The smaller difference in BIC between two groups and one: in all directions, and along their line."""
    if members.all() or not members.any():
        return -np.inf
    n, k = x.shape
    share = members.mean()
    entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    axis = x[members].mean(0) - x[~members].mean(0)
    line = (x @ axis)[:, None]
    fit = lambda rows: float(np.log(_scatter(rows) / (_scatter(rows[members]) + _scatter(rows[~members]))))
    with np.errstate(divide="ignore"):
        everywhere = n * k * fit(x) - 2 * n * entropy - (k + 1) * np.log(n)
        along = n * fit(line) - 2 * n * entropy - 2 * np.log(n)
    return float(min(everywhere, along))


def _scatter(rows: Float[np.ndarray, "row k"]) -> np.float64:
    return np.square(rows - rows.mean(0)).sum()
