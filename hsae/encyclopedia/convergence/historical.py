"""The convergence numbers of the historical test, as it computed them, and the arithmetic that decides them.

Twenty templates in a shuffled order, per concept: the mean of the first n is compared with the mean of the
last ten. With a relative variance s^2 = tr(covariance) / |mu|^2 of single contexts around the true mean mu,

    E|A_n - A_ref|^2 / |mu|^2 = s^2 (1/n + 1/m)

of which the second part is the reference's own error: no n removes it, so a reference of m = 10 contexts
bounds the difference from below by s / sqrt(m). What says when a concept has converged is in
`hsae.encyclopedia.convergence.curve`.
"""

import math
from typing import Literal, NamedTuple, final

import numpy as np
from jaxtyping import Float

from hsae.stats import Interval, wilson

PASS, MARGINAL, SUPPORTED = 0.05, 0.10, 0.60
"""A difference below 5 % passes, one below 10 % is marginal; 60 % of the concepts must pass."""


@final
class HistoricalCurve(NamedTuple):
    """For n = 1 ... m contexts; the spread is the population's (ddof 0), so it is 0 at n = 1, as it was."""

    n: Float[np.ndarray, " n"]
    rel_difference: Float[np.ndarray, "concept n"]
    """|A_n - A_ref| / |A_ref|"""
    cosine: Float[np.ndarray, "concept n"]
    sigma: Float[np.ndarray, "concept n"]
    """Standard deviation over the first n contexts, averaged over units."""
    ci95: Float[np.ndarray, "concept n"]
    """1.96 sigma / sqrt(n)"""
    norm: Float[np.ndarray, "concept n"]
    reference_norm: Float[np.ndarray, " concept"]


@final
class HistoricalVerdict(NamedTuple):
    """What the historical test would print; the interval of the share is ours (Wilson, over concepts)."""

    outcome: list[Literal["pass", "marginal", "fail"]]
    share: Interval
    supported: bool


def historical_curve(samples: Float[np.ndarray, "concept sample d"]) -> HistoricalCurve:
    """The numbers for n = 1 ... m against the mean of the last m = samples / 2, in the order given.

    Raises `ValueError` for an odd number of samples, which has no two halves.
    """
    x = samples.astype(np.float64)
    if x.shape[1] % 2 or not x.shape[1]:
        raise ValueError(f"{x.shape[1]} samples a concept have no two halves")
    half = x.shape[1] // 2
    n = np.arange(1, half + 1, dtype=np.float64)
    first, reference = x[:, :half], x[:, half:].mean(1)
    mean = first.cumsum(1) / n[:, None]
    sigma = np.stack([first[:, : i + 1].std(1).mean(1) for i in range(half)], axis=1)
    norm, reference_norm = np.linalg.norm(mean, axis=2), np.linalg.norm(reference, axis=1)
    difference = np.linalg.norm(mean - reference[:, None], axis=2)
    return HistoricalCurve(
        n,
        rel_difference=difference / reference_norm[:, None],
        cosine=np.einsum("cnd,cd->cn", mean, reference) / (norm * reference_norm[:, None]),
        sigma=sigma,
        ci95=1.96 * sigma / np.sqrt(n),
        norm=norm,
        reference_norm=reference_norm,
    )


def historical_verdict(curve: HistoricalCurve) -> HistoricalVerdict:
    """By the difference at the largest n: below 5 % passes; the claim is supported if 60 % of concepts do."""
    last = curve.rel_difference[:, -1]
    name = lambda value: "pass" if value < PASS else "marginal" if value < MARGINAL else "fail"
    passed = int((last < PASS).sum())
    share = Interval(passed / len(last), *wilson(passed, len(last)), len(last))
    return HistoricalVerdict([name(value) for value in last], share, share.value >= SUPPORTED)


def expected_difference(s2: float, n: float | int, m: float | int) -> float:
    """sqrt(s^2 (1/n + 1/m)): the root mean square of rel_difference; n may be infinite."""
    return math.sqrt(s2 * (1 / n + 1 / m))


def relative_variance(rel_difference: float, n: float | int, m: float | int) -> float:
    """s^2 that makes `rel_difference` the expected one: difference^2 / (1/n + 1/m)."""
    return rel_difference**2 / (1 / n + 1 / m)


def contexts_needed(s2: float, threshold: float, *, m: float | int = math.inf) -> float:
    """The n at which the expected difference equals the threshold: 1 / (threshold^2 / s^2 - 1/m).

    `m=inf` asks for the error of the mean itself. Infinite where the reference's own error is already too
    large.
    """
    left = threshold**2 / s2 - 1 / m
    return 1 / left if left > 0 else math.inf


def contexts_needed_per_half(s2: float, threshold: float) -> float:
    """The same where the reference grows along, m = n: 2 s^2 / threshold^2."""
    return 2 * s2 / threshold**2


def implied_cosine(rel_difference: float) -> float:
    """The cosine of two vectors of equal norm that differ by so much: 1 - difference^2 / 2.

    A difference that this cosine explains is one of direction alone: the norms add nothing to it.
    """
    return 1 - rel_difference**2 / 2


def implied_difference(cosine: float) -> float:
    """The relative difference of two vectors of equal norm: sqrt(2 - 2 cosine)."""
    return math.sqrt(2 - 2 * cosine)
