"""Reliability: the share of what is seen in a concept's mean that is the concept and not its contexts.

    R = 1 / (1 + e^2)

where e^2 is the squared error of the mean relative to what sets the concept apart (`relative_error`,
centred). R of k times as many contexts follows without measuring: k R / (1 + (k - 1) R) (Spearman 1910, Brown
1910).
"""

import math

import numpy as np
from jaxtyping import Float, Int


def reliability(squared: Float[np.ndarray, " concept"]) -> Float[np.ndarray, " concept"]:
    """R = 1 / (1 + e^2) of squared relative errors; 0 where the error is infinite."""
    return 1 / (1 + squared)


def spearman_brown(r: float, factor: float | int) -> float:
    """Reliability of a mean over `factor` times as many contexts: k R / (1 + (k - 1) R)."""
    return factor * r / (1 + (factor - 1) * r)


def contexts_for(
    squared: Float[np.ndarray, " concept"], count: Int[np.ndarray, " concept"], *, target: float = 0.9
) -> Float[np.ndarray, " concept"]:
    """The n at which each concept reaches the reliability `target`: n_now e^2 target / (1 - target), not
    rounded.

    Infinite where nothing rises above the noise yet.
    """
    return count * squared * target / (1 - target)


def population_reliability(concept: float, residual: float, n: float | int) -> float:
    """R(n) = sigma_c^2 / (sigma_c^2 + sigma_eps^2 / n), from variance components."""
    return concept / (concept + residual / n)


def population_contexts_for(concept: float, residual: float, *, target: float = 0.9) -> float:
    """The n at which R(n) = target, not rounded; infinite where concepts do not differ."""
    return residual / concept * target / (1 - target) if concept > 0 else math.inf
