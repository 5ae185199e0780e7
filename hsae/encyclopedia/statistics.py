"""Running statistics of many groups at once: counts, means and squared deviations that merge without loss.

Of two sets a and b of one group's vectors, with n = n_a + n_b and delta = mean_b - mean_a (Chan, Golub,
LeVeque 1979):

    mean = mean_a + delta n_b / n
    m2   = m2_a + m2_b + delta^2 n_a n_b / n            (sum of squared deviations from the mean, per unit)
    S    = S_a + S_b + delta delta^T n_a n_b / n        (the same for products of units: the scatter within
    groups)

All in float64: a stage adds to what earlier stages counted, in any order, and nothing is ever overwritten.
"""

from typing import NamedTuple, final

import numpy as np
from jaxtyping import Float64, Int64, Shaped
from scipy.sparse import csr_matrix

ROLES = ("fit", "tune", "test")
"""What a context is for, by its template: what is fitted on some templates is tested on others."""


@final
class Members:
    """Which rows belong to which of `groups` groups: known once, for the vectors of many sites."""

    def __init__(self, group: Int64[np.ndarray, " row"], *, groups: int):
        self.group = group
        self.count = np.bincount(group, minlength=groups)
        ones = np.ones(len(group)), (group, np.arange(len(group)))
        self._rows = csr_matrix(ones, shape=(groups, len(group)))

    def sum(self, x: Float64[np.ndarray, "row d"]) -> Float64[np.ndarray, "group d"]:
        """The sum of each group's rows."""
        return self._rows @ x

    def mean(self, x: Float64[np.ndarray, "row d"]) -> Float64[np.ndarray, "group d"]:
        """The mean of each group's rows; 0 where there is none."""
        return self.sum(x) / np.maximum(self.count, 1)[:, None]


@final
class Moments:
    """Count [group], mean and m2 [group d] of vectors that were sorted into groups. An empty group has mean
    0."""

    def __init__(
        self,
        count: Int64[np.ndarray, " group"],
        mean: Float64[np.ndarray, "group d"],
        m2: Float64[np.ndarray, "group d"],
    ):
        self.count, self.mean, self.m2 = count, mean, m2

    @classmethod
    def of(
        cls, x: Shaped[np.ndarray, "row d"], group: Int64[np.ndarray, " row"], *, groups: int
    ) -> "Moments":
        """The statistics of rows, each of which belongs to one of `groups` groups."""
        x, members = x.astype(np.float64), Members(group, groups=groups)
        mean = members.mean(x)
        return cls(members.count, mean, members.sum((x - mean[group]) ** 2))

    def merge(self, other: "Moments") -> "Moments":
        """The statistics of both sets of rows together."""
        n, delta, share = self._step(other)
        m2 = self.m2 + other.m2 + delta**2 * (self.count * share)[:, None]
        return Moments(n, self.mean + delta * share[:, None], m2)

    def placed(self, groups: Int64[np.ndarray, " group"], of: int) -> "Moments":
        """The same as those of `of` groups, of which these are the ones with these numbers."""
        whole = nothing(of, self.mean.shape[1])
        whole.count[groups], whole.mean[groups], whole.m2[groups] = self.count, self.mean, self.m2
        return whole

    def between(self, other: "Moments") -> Float64[np.ndarray, "d d"]:
        """What merging adds to the scatter within groups, beyond that of the two sets."""
        _, delta, share = self._step(other)
        return (delta * (self.count * share)[:, None]).T @ delta

    def _step(
        self, other: "Moments"
    ) -> tuple[Int64[np.ndarray, " group"], Float64[np.ndarray, "group d"], Float64[np.ndarray, " group"]]:
        n = self.count + other.count
        return n, other.mean - self.mean, other.count / np.maximum(n, 1)


def nothing(groups: int, d: int) -> Moments:
    """Of groups in which there is nothing."""
    return Moments(np.zeros(groups, np.int64), np.zeros((groups, d)), np.zeros((groups, d)))


@final
class Statistics(NamedTuple):
    """What is kept of a block of concepts at one site."""

    moments: Moments
    """Groups are concept x role, the role running fastest."""
    scatter: Float64[np.ndarray, "d d"]
    """Of the role `fit`, within concepts: sum of (x - its concept's mean)(x - its concept's mean)^T."""

    @classmethod
    def of(
        cls,
        x: Shaped[np.ndarray, "row d"],
        concept: Int64[np.ndarray, " row"],
        role: Int64[np.ndarray, " row"],
        *,
        concepts: int,
    ) -> "Statistics":
        """The statistics of rows, each of one concept and in one role (an index into ROLES)."""
        return cls.of_members(x, Members(concept * len(ROLES) + role, groups=concepts * len(ROLES)))

    @classmethod
    def of_members(cls, x: Shaped[np.ndarray, "row d"], members: "Members") -> "Statistics":
        """The same of rows whose groups, concept x role, are known."""
        x = x.astype(np.float64)
        mean = members.mean(x)
        x -= mean[members.group]
        fit = x[members.group % len(ROLES) == ROLES.index("fit")]
        return cls(Moments(members.count, mean, members.sum(x**2)), fit.T @ fit)

    def merge(self, other: "Statistics") -> "Statistics":
        """The statistics of both sets of rows together."""
        between = role_of(self.moments, "fit").between(role_of(other.moments, "fit"))
        return Statistics(self.moments.merge(other.moments), self.scatter + other.scatter + between)


def role_of(moments: Moments, role: str) -> Moments:
    """Of moments by concept x role, those of one role by concept."""
    every = slice(ROLES.index(role), None, len(ROLES))
    return Moments(moments.count[every], moments.mean[every], moments.m2[every])
