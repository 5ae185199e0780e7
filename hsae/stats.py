"""Numbers about numbers: intervals, nulls, tests and the verdict on a claim. No model, no disk, no config.

Everything random takes a seed and a purpose, so that two comparisons of one run resample the same clusters
(paired) and two runs give the same bytes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, final

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from scipy import sparse
from scipy.special import ndtri, stdtrit

from hsae.seeding import numpy_stream

Csr = Any
"""A scipy.sparse.csr_matrix: the types that SciPy brings know neither its slices nor its products."""

Outcome = Literal["PASS", "FAIL", "INCONCLUSIVE"]


@final
class Interval(NamedTuple):
    """A value, the interval around it, and the number of independent units behind both."""

    value: float
    low: float
    high: float
    n: int


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim that could have been lost: what was measured, against what, and how it came out.

    `null` is the same statistic where the claim must not hold; the claim is `trivial` if the null passes too.
    `unit` names what `n` counts and what the interval resamples.
    """

    claim: str
    statistic: str
    value: float
    low: float
    high: float
    null: float | None
    threshold: float
    outcome: Outcome
    trivial: bool
    n: int
    unit: str

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON, which has no infinity: an unknown end of the interval is None."""
        known = lambda v: None if isinstance(v, float) and not math.isfinite(v) else v
        return {key: known(value) for key, value in asdict(self).items()}


def judge(
    claim: str,
    statistic: str,
    interval: Interval,
    *,
    threshold: float,
    null: Interval | float | None,
    unit: str,
    above: bool = True,
) -> Verdict:
    """PASS if the whole interval lies beyond the threshold, FAIL if wholly short of it, else INCONCLUSIVE.

    The claim is "the statistic is above the threshold" (`above=False`: below). Raises `ValueError` for a
    value that was never computed: a missing number has no verdict.
    """
    if not math.isfinite(interval.value):
        raise ValueError(f"no verdict on {claim!r}: its statistic {statistic} is {interval.value}")
    around_null = Interval(null, null, null, 1) if isinstance(null, float | int) else null
    return Verdict(
        claim=claim,
        statistic=statistic,
        value=float(interval.value),
        low=float(interval.low),
        high=float(interval.high),
        null=None if around_null is None else float(around_null.value),
        threshold=float(threshold),
        outcome=_outcome(interval, threshold, above=above),
        trivial=around_null is not None and _outcome(around_null, threshold, above=above) == "PASS",
        n=int(interval.n),
        unit=unit,
    )


def _outcome(interval: Interval, threshold: float, *, above: bool) -> Outcome:
    sign = 1 if above else -1
    near, far = sorted((sign * interval.low, sign * interval.high))
    if near > sign * threshold:
        return "PASS"
    return "FAIL" if far < sign * threshold else "INCONCLUSIVE"


def cluster_sums(
    values: Shaped[np.ndarray, "row column"], clusters: Shaped[np.ndarray, " row"]
) -> Float[np.ndarray, "cluster column"]:
    """Sum of every column within each cluster, in float64: all that a cluster bootstrap needs of the rows."""
    _, row_cluster = np.unique(clusters, return_inverse=True)
    columns = [np.bincount(row_cluster, weights=column) for column in np.asarray(values, dtype=np.float64).T]
    return np.stack(columns, axis=1)


def ratio(totals: Float[np.ndarray, "*draw 2"]) -> Float[np.ndarray, "*draw"] | np.float64:
    """First column over second: a mean where the second counts, a pooled fraction where it sums."""
    return totals[..., 0] / totals[..., 1]


def cluster_bootstrap(
    sums: Float[np.ndarray, "cluster column"],
    statistic: Callable[[Any], Any] = ratio,
    *,
    seed: int,
    purpose: str = "bootstrap",
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of statistic(total over clusters), whole clusters drawn with replacement.

    `statistic` maps totals [..., column] to [...], so a ratio of sums stays one (never a mean of ratios) and
    a paired difference resamples both sides together. Fewer than two clusters say nothing about spread: the
    interval is then unbounded. Source: Efron & Tibshirani 1993, 13.3; Davison & Hinkley 1997, 3.8.
    """
    clusters = len(sums)
    value = float(statistic(sums.sum(0)))
    if clusters < 2:
        return Interval(value, -math.inf, math.inf, clusters)
    rng = numpy_stream(seed, purpose)
    draw = lambda: np.bincount(rng.integers(clusters, size=clusters), minlength=clusters) @ sums
    totals = np.stack([draw() for _ in range(resamples)])
    tail = (1 - level) / 2
    # a resample may lose every positive of a rare event: it has no ratio, and cannot vote
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = np.nanquantile(statistic(totals), [tail, 1 - tail])
    return Interval(value, float(low), float(high), clusters)


def cluster_mean(
    values: Shaped[np.ndarray, " row"],
    clusters: Shaped[np.ndarray, " row"],
    *,
    seed: int,
    level: float = 0.95,
) -> Interval:
    """Mean over rows with an interval over clusters."""
    columns = np.stack([np.asarray(values, dtype=np.float64), np.ones(len(values))], axis=1)
    return cluster_bootstrap(cluster_sums(columns, clusters), seed=seed, level=level)


def wilson(successes: float | int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Interval of a rate of `successes` among `n` independent trials. Source: Wilson 1927 (score interval).

    A sum of values in [0, 1] may stand for the successes: their variance is at most that of trials, so the
    interval is then too wide if anything.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} successes among {n} trials are no rate")
    z, rate = float(ndtri((1 + level) / 2)), successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # at the ends the two are equal, and what remains of their difference is rounding
    low = max(0.0, centre - half) if successes else 0.0
    return low, min(1.0, centre + half) if successes < n else 1.0


def paired_difference(first: Sequence[float], second: Sequence[float], *, level: float = 0.95) -> Interval:
    """Mean of first - second over pairs (mostly seeds) with Student's interval; unbounded for a single pair.

    A bootstrap of three seeds knows only ten means and is too narrow; Student's is as wide as it must be.
    """
    difference = np.subtract(first, second, dtype=np.float64)
    n, mean = len(difference), float(difference.mean())
    if n < 2:
        return Interval(mean, -math.inf, math.inf, n)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * float(difference.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def permutation_p(value: float, null: Sequence[float] | Float[np.ndarray, " draw"]) -> float:
    """One-sided p = (1 + draws at least as large) / (1 + draws): never zero. Source: Phipson & Smyth 2010."""
    draws = np.asarray(null, dtype=np.float64)
    return (1 + int((draws >= value).sum())) / (1 + len(draws))


def holm(p: Sequence[float] | Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """p-values corrected for their number: bounds the chance of even one false claim. Source: Holm 1979."""
    raw = np.asarray(p, dtype=np.float64)
    order = np.argsort(raw)
    stepped = np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1))
    corrected = np.empty_like(raw)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


@final
class Ranks(NamedTuple):
    """Midranks of sparse scores, per latent: all zeros share the rank `zero`, others lie `shift` off it."""

    shift: Csr  # [row latent]
    zero: Float[np.ndarray, " latent"]


def rank(scores: Shaped[np.ndarray, "row latent"] | Csr) -> Ranks:
    """Midranks within each latent, sorting only what is not zero (at k = 32 of 2048 latents, one in 64)."""
    entries: Any = sparse.coo_matrix(scores)
    entries.eliminate_zeros()
    rows, latents = entries.shape
    order = np.lexsort((entries.data, entries.col))
    latent, value, row = entries.col[order], entries.data[order], entries.row[order]
    first = np.searchsorted(latent, np.arange(latents))
    place = np.arange(len(latent)) - first[latent] + 1  # 1, 2, ... within the latent
    zeros = rows - np.bincount(latent, minlength=latents)
    below = np.bincount(latent[value < 0], minlength=latents)
    place = place + np.where(value > 0, zeros[latent], 0)
    zero = below + (zeros + 1) / 2
    shift = _midrank(place, latent, value) - zero[latent]
    return Ranks(sparse.csr_matrix((shift, (row, latent)), shape=(rows, latents)), zero.astype(np.float64))


def _midrank(
    place: Int[np.ndarray, " entry"], latent: Int[np.ndarray, " entry"], value: Shaped[np.ndarray, " entry"]
) -> Float[np.ndarray, " entry"]:
    """Entries of equal value in one latent share the mean of their places."""
    if not len(place):
        return place.astype(np.float64)
    starts = np.r_[True, (latent[1:] != latent[:-1]) | (value[1:] != value[:-1])]
    group = np.cumsum(starts) - 1
    return (np.bincount(group, weights=place) / np.bincount(group))[group]


def auroc(ranks: Ranks, labels: Bool[np.ndarray, "row concept"] | Csr) -> Float[np.ndarray, "concept latent"]:
    """P(score of a positive > of a negative) + P(equal) / 2, all concepts and latents at once; chance is 0.5.

    From the ranks R of the positives: (sum R - n+ (n+ + 1) / 2) / (n+ n-). A concept without positives or
    without negatives has no AUROC and gets NaN. Source: Mann & Whitney 1947.
    """
    members = sparse.csr_matrix(labels, dtype=np.float64)
    positives, pairs = _counts(members)
    total = (members.T @ ranks.shift).toarray() + positives[:, None] * ranks.zero
    return (total - (positives * (positives + 1) / 2)[:, None]) / pairs[:, None]


def auroc_of(
    ranks: Ranks,
    labels: Bool[np.ndarray, "row concept"] | Csr,
    *,
    concepts: Int[np.ndarray, " pair"],
    latents: Int[np.ndarray, " pair"],
) -> Float[np.ndarray, " pair"]:
    """`auroc` of chosen pairs of concept and latent alone."""
    members = sparse.csc_matrix(labels, dtype=np.float64)
    positives, pairs = (counts[concepts] for counts in _counts(members))
    shift = members[:, concepts].multiply(ranks.shift.tocsc()[:, latents]).sum(0)
    total = np.asarray(shift).ravel() + positives * ranks.zero[latents]
    return (total - positives * (positives + 1) / 2) / pairs


def separation(scores: Float[np.ndarray, " row"], positive: Bool[np.ndarray, " row"]) -> float:
    """`auroc` of one concept and one dense score: P(score of a positive > of a negative) + P(equal) / 2."""
    above, below = scores[positive], np.sort(scores[~positive])
    wins = np.searchsorted(below, above, "left") + np.searchsorted(below, above, "right")
    return float(wins.mean() / 2 / len(below))


def _counts(members: Csr) -> tuple[Float[np.ndarray, " concept"], Float[np.ndarray, " concept"]]:
    """Positives of each concept, and its pairs of a positive and a negative (NaN where there are none)."""
    positives = np.asarray(members.sum(0)).ravel()
    pairs = positives * (members.shape[0] - positives)
    return positives, np.where(pairs > 0, pairs, np.nan)
