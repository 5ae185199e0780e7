"""Contexts until convergence, where some concepts have not converged yet: survival analysis.

A concept that ran out of budget at n contexts has not converged *up to* n. To drop it, or to count it as
converging at n, makes the rest look quick; it is a censored observation instead.
"""

import warnings
from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import CensoredData, ecdf, logrank

from hsae.stats import holm


@final
class ConvergenceCurve(NamedTuple):
    """By number of contexts: how many concepts were still under way, and the share converged by then."""

    n: Int[np.ndarray, " step"]
    at_risk: Int[np.ndarray, " step"]
    share: Float[np.ndarray, " step"]
    low: Float[np.ndarray, " step"]
    high: Float[np.ndarray, " step"]
    concepts: int

    @property
    def median(self) -> float:
        """The fewest contexts after which half of the concepts have converged; inf if fewer ever do."""
        reached = self.share >= 0.5
        return float(self.n[reached.argmax()]) if reached.any() else np.inf


def convergence_curve(
    n: Int[np.ndarray, " concept"], converged: Bool[np.ndarray, " concept"], *, level: float = 0.95
) -> ConvergenceCurve:
    """Share of concepts converged by n contexts, 1 - Kaplan and Meier's estimate, with Greenwood's interval.

    `n` counts a concept's contexts when it converged, or up to now (then censored). The interval is computed
    on the log-log scale, which keeps it within [0, 1]. Where its formula has no value, before the first and
    after the last, the interval ends at what is known: the previous lower end (0 at the start) and 1. Source:
    Kaplan & Meier 1958; Kalbfleisch & Prentice 1980.
    """
    survival = ecdf(_sample(n, converged)).sf
    with warnings.catch_warnings():
        # SciPy warns of the NaN that the docstring above promises to mend
        warnings.filterwarnings("ignore", "The confidence interval is undefined", RuntimeWarning)
        interval = survival.confidence_interval(level, method="log-log")
    steps = survival.quantiles.astype(np.int64)
    at_risk = len(n) - np.searchsorted(np.sort(n), steps)
    # a curve of what is left turns its interval over
    low, high = 1 - interval.high.probabilities, 1 - interval.low.probabilities
    low = np.maximum.accumulate(np.nan_to_num(low, nan=0.0))
    return ConvergenceCurve(
        steps, at_risk, 1 - survival.probabilities, low, np.nan_to_num(high, nan=1.0), len(n)
    )


def curves_by_category(
    n: Int[np.ndarray, " concept"],
    converged: Bool[np.ndarray, " concept"],
    category: Sequence[str],
    *,
    level: float = 0.95,
) -> dict[str, ConvergenceCurve]:
    """`convergence_curve` of each category (part of speech, topic, depth ...), by name."""
    names = np.asarray(category)
    return {
        str(name): convergence_curve(n[names == name], converged[names == name], level=level)
        for name in np.unique(names)
    }


@final
class CategoryTest(NamedTuple):
    """A category against all others together; positive where it takes more contexts than they do."""

    statistic: float
    p: float
    """Two-sided, corrected for the number of categories (Holm)."""


def compare_categories(
    n: Int[np.ndarray, " concept"], converged: Bool[np.ndarray, " concept"], category: Sequence[str]
) -> dict[str, CategoryTest]:
    """Log-rank test of each category against the rest. Source: Mantel 1966.

    Raises `ValueError` if there are fewer than two categories, or if no concept has converged: nothing then
    tells them apart.
    """
    names = np.asarray(category)
    known = [str(name) for name in np.unique(names)]
    if len(known) < 2 or not converged.any():
        raise ValueError(
            f"{len(known)} categories and {int(converged.sum())} converged concepts: no comparison"
        )
    found = []
    for name in known:
        mine = names == name
        found.append(logrank(_sample(n[mine], converged[mine]), _sample(n[~mine], converged[~mine])))
    corrected = holm([test.pvalue for test in found])
    # SciPy's statistic is positive where the first sample has more events than expected
    return {
        name: CategoryTest(-float(test.statistic), float(p))
        for name, test, p in zip(known, found, corrected, strict=True)
    }


def _sample(n: Int[np.ndarray, " concept"], converged: Bool[np.ndarray, " concept"]) -> CensoredData:
    return CensoredData(uncensored=n[converged], right=n[~converged])
