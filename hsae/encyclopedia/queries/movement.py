"""Which concepts moved between two encyclopedias by more than their means are uncertain.

    delta    a - b where both are of the same site of the same model, else the residual a - s b R of a
             rotation that was fitted on other concepts; centred, so that what moved all alike is no movement
    v        the squared length that noise alone gives it: T (1/n_a + 1/n_b - 2 n_ab / (n_a n_b)) with n_ab
             contexts in common (a later stage has all of the earlier one's, which leaves 1/n_a - 1/n_b);
             T_a / n_a + s^2 T_b / n_b after a rotation, which is too much if anything
    moved^2  |delta|^2 - v, without bias; its variance is 4 moved^2 v / k + 2 v^2 / k with k effective
             dimensions of the noise within one concept, and the interval inverts the normal test
    p        of |delta|^2 under v alone: k |delta|^2 / v is nearly chi^2 with k degrees of freedom
             (Satterthwaite 1946)

T is taken to be the same for all kinds of context: a kind that scatters more than the others makes concepts
that were read in little else seem to move.
"""

from typing import NamedTuple, final

import numpy as np
from jaxtyping import Float, Int
from scipy.special import chdtrc, ndtri


@final
class Movement(NamedTuple):
    """Per concept; all but `squared` NaN where the noise is unknown."""

    squared: Float[np.ndarray, " concept"]
    """|delta|^2 - v; negative where there is less than noise alone would give."""
    low: Float[np.ndarray, " concept"]
    """Of moved, not squared: 0 where no movement is certain."""
    high: Float[np.ndarray, " concept"]
    p: Float[np.ndarray, " concept"]


def movement(
    delta: Float[np.ndarray, "concept d"],
    noise: Float[np.ndarray, " concept"],
    *,
    effective: float | int,
    level: float = 0.95,
) -> Movement:
    """How far each concept moved. `noise` is v before centring, `effective` is k."""
    concepts = len(delta)
    # what centring takes off each concept's noise, and adds of all others'
    v = noise * (1 - 2 / concepts) + noise.mean() / concepts
    offset = delta - delta.mean(0)
    length = np.einsum("cd,cd->c", offset, offset, dtype=np.float64)
    squared = length - v
    k = float(ndtri((1 + level) / 2)) ** 2 / effective
    middle = squared + 2 * k * v
    wide = np.sqrt(np.maximum(middle**2 - squared**2 + 2 * k * v**2, 0))
    low, high = (np.sqrt(np.maximum(middle + side, 0)) for side in (-wide, wide))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(
            v > 1e-12 * max(float(length.max()), 1e-300), length / v, np.where(length > 0, np.inf, 0)
        )
    p = chdtrc(effective, effective * np.where(length <= 1e-20, 0.0, ratio))
    return Movement(squared, low, high, np.where(np.isnan(noise), np.nan, p))


def shared_noise(
    trace: tuple[Float[np.ndarray, " concept"], Float[np.ndarray, " concept"]],
    count: tuple[Int[np.ndarray, " concept"], Int[np.ndarray, " concept"]],
    shared: Int[np.ndarray, " concept"],
) -> Float[np.ndarray, " concept"]:
    """v of a - b, of which `shared` contexts are the same; T is pooled over both sides, NaN ones left out."""
    a, b = count
    freedom = [np.where(np.isnan(t), 0, n - 1) for t, n in zip(trace, count, strict=True)]
    total = sum(np.nan_to_num(t) * f for t, f in zip(trace, freedom, strict=True))
    pooled = total / np.maximum(sum(freedom), 1)
    pooled = np.where(sum(freedom) > 0, pooled, pooled[sum(freedom) > 0].mean())
    return pooled * np.maximum(1 / a + 1 / b - 2 * shared / (a * b), 0)


def discoveries(p: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """The false discovery rate at which each test is the last to count (Benjamini & Hochberg 1995)."""
    order = np.argsort(p)
    stepped = np.minimum.accumulate((p[order] * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1]
    found = np.empty_like(stepped)
    found[order] = np.minimum(stepped, 1.0)
    return found
