"""How far a concept's mean may still be from its true one, and whether more contexts bring it nearer.

With n contexts of total variance T (the trace of the covariance within the concept) around the mean m,

    e^2 = (T / n) / |mu|^2,     |mu|^2 estimated by |m|^2 - T / n

is the squared error of m relative to what it stands for. Centred, mu is what sets the concept apart from the
average concept: the error that matters for telling concepts apart, and by far the larger one.
"""

from typing import NamedTuple, final

import numpy as np
from jaxtyping import Float, Int
from scipy.special import chdtri, fdtrc, ndtri

from hsae.stats import Interval, cluster_bootstrap


@final
class RelativeError(NamedTuple):
    """Squared: e^2 and its upper confidence bound; inf where nothing rises above the noise, NaN below two
    contexts."""

    squared: Float[np.ndarray, " concept"]
    upper: Float[np.ndarray, " concept"]


def effective_dimensions(covariance: Float[np.ndarray, "d d"]) -> float:
    """tr(S)^2 / tr(S^2) of a covariance: how many equal directions would scatter like it, between 1 and d.

    Take the covariance within concepts pooled over all of them: a single concept's own has as many directions
    as it has contexts, and the bound built on it covers too rarely.
    """
    return float(np.trace(covariance) ** 2 / np.square(covariance).sum())


def debiased_square(
    count: Int[np.ndarray, " concept"],
    mean: Float[np.ndarray, "concept d"],
    trace: Float[np.ndarray, " concept"],
    *,
    centred: bool,
) -> Float[np.ndarray, " concept"]:
    """|m|^2 - T/n, unbiased for |mu|^2; may be negative, and is NaN below two contexts.

    Centred, the average o of the concepts' means is taken off. o holds a share 1/C of every concept's noise,
    so that E|m_c - o|^2 exceeds the truth by T_c/n_c (1 - 2/C) + mean over concepts of T/n, divided by C.
    """
    noise = _noise(count, trace)
    known = ~np.isnan(noise)
    if not centred:
        return np.einsum("cd,cd->c", mean, mean, dtype=np.float64) - noise
    concepts = int(known.sum())
    if not concepts:
        return noise
    offset = mean - mean[known].mean(0, dtype=np.float64).astype(mean.dtype)
    bias = noise * (1 - 2 / concepts) + noise[known].mean() / concepts
    return np.einsum("cd,cd->c", offset, offset, dtype=np.float64) - bias


def relative_error(
    count: Int[np.ndarray, " concept"],
    mean: Float[np.ndarray, "concept d"],
    trace: Float[np.ndarray, " concept"],
    *,
    effective: float | int,
    centred: bool,
    level: float = 0.95,
) -> RelativeError:
    """e^2 = T / (n |mu|^2) per concept with a one-sided upper bound; `trace` is T, m2 / (n - 1) summed over
    units.

    Two estimates are uncertain. T by chi^2 with nu = (n - 1) max(1, effective / 2) degrees of freedom; and
    |mu|^2, whose estimate has variance 4 |mu|^2 T / (n k) + 2 (T / n)^2 / k where the mean lies along a
    typical direction of the noise, k = `effective` of them: its lower bound inverts that normal test. The two
    are independent, so their distances on the logarithmic scale add in squares. (With the first alone, a
    bound of 95 % covers .75 at n = 32 and e = .6: there the norm is what is uncertain.)
    """
    noise = _noise(count, trace)
    signal = debiased_square(count, mean, trace, centred=centred)
    with np.errstate(divide="ignore", invalid="ignore"):
        squared = np.where(signal > 0, noise / signal, np.inf)
        freedom = (count - 1) * max(1.0, effective / 2)
        # chdtri inverts the upper tail
        stretch = np.log(freedom / chdtri(np.maximum(freedom, 1), level))
        k = float(ndtri(level)) ** 2 / effective
        middle = signal + 2 * k * noise
        lowest = middle - np.sqrt(np.maximum(middle**2 - signal**2 + 2 * k * noise**2, 0))
        shrink = np.log(signal / lowest)
        upper = np.where((signal > 0) & (lowest > 0), squared * np.exp(np.hypot(stretch, shrink)), np.inf)
    unknown = np.isnan(noise)
    return RelativeError(np.where(unknown, np.nan, squared), np.where(unknown, np.nan, upper))


def chance_offset_p(
    count: Int[np.ndarray, " concept"],
    mean: Float[np.ndarray, "concept d"],
    trace: Float[np.ndarray, " concept"],
    *,
    effective: float | int,
) -> Float[np.ndarray, " concept"]:
    """p that a concept lies as far from the average one if its contexts have nothing in common but chance.

    Then |m - o|^2 over its expectation (see `debiased_square`) is a ratio of two mean squares in
    k = `effective` directions: F of k and k (n - 1) degrees of freedom. NaN below two contexts. Contexts that
    share their templates with all others' scatter less about o than T says: p is then too large. Source:
    Satterthwaite 1946.
    """
    noise = _noise(count, trace)
    known = ~np.isnan(noise)
    if (concepts := int(known.sum())) < 2:
        return np.full(len(count), np.nan)
    offset = mean - mean[known].mean(0, dtype=np.float64).astype(mean.dtype)
    expected = noise * (1 - 2 / concepts) + noise[known].mean() / concepts
    ratio = np.einsum("cd,cd->c", offset, offset, dtype=np.float64) / np.where(known, expected, np.nan)
    return fdtrc(effective, effective * np.maximum(count - 1, 1), ratio)


def _noise(
    count: Int[np.ndarray, " concept"], trace: Float[np.ndarray, " concept"]
) -> Float[np.ndarray, " concept"]:
    """T / n: the expected squared error of a mean; unknown below two contexts."""
    return np.where(count > 1, trace / np.maximum(count, 1), np.nan).astype(np.float64)


@final
class Drift(NamedTuple):
    """Squared distances between two means of the same concepts, and what sampling alone makes of them."""

    observed: Float[np.ndarray, " concept"]
    expected: Float[np.ndarray, " concept"]
    """T (1/n + 1/m)"""


def against_reference(
    mean: Float[np.ndarray, "concept d"],
    reference: Float[np.ndarray, "concept d"],
    trace: Float[np.ndarray, " concept"],
    *,
    n: Int[np.ndarray, " concept"],
    m: Int[np.ndarray, " concept"],
) -> Drift:
    """Observed |mean - reference|^2 beside the expected T (1/n + 1/m), for means over disjoint contexts.

    Their difference estimates, without bias, what more contexts of the same kind would never remove: the two
    kinds of context do not mean the same. Both, minus T/m, are the squared error of `mean` at n contexts.
    """
    observed = np.square(mean.astype(np.float64) - reference).sum(1)
    return Drift(observed, trace * (1 / n + 1 / m))


def decay(
    n: Int[np.ndarray, " look"], squared: Float[np.ndarray, "concept look"], *, seed: int, level: float = 0.95
) -> Interval:
    """Slope of log e on log n, where e^2 is the concepts' mean squared error at each n; -1/2 for independent
    contexts.

    A slope nearer to zero says that contexts repeat each other, or that the concept is more than one. Errors
    are averaged before the logarithm is taken, since debiased ones may be negative. The interval resamples
    concepts. Raises `ValueError` for a mean that is not positive, which has no logarithm.
    """
    if not (squared.mean(0) > 0).all():
        raise ValueError(f"mean squared errors {squared.mean(0)} at n = {n}: only positive ones have a slope")
    x = np.log(n.astype(np.float64))
    weight = (x - x.mean()) / np.square(x - x.mean()).sum()
    slope = lambda totals: np.log(totals) @ weight / 2
    return cluster_bootstrap(squared.astype(np.float64), slope, seed=seed, purpose="decay", level=level)
