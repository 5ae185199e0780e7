"""What an activation owes to its concept, its template and neither: x = mu + m_concept + a_template + eps.

Templates cross concepts: one template serves many concepts, so its effect can be told from theirs and taken
off. A context that serves one concept alone (a sentence out of a corpus) is nested in it, and what its
sentence does counts as eps.
"""

from typing import NamedTuple, final

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from hsae.stats import Csr


@final
class Components(NamedTuple):
    """Variances, summed over units: of concepts, of templates, and within. Unbiased, so may be below zero."""

    concept: float
    template: float
    residual: float


def incidence(
    concept: Int[np.ndarray, " row"], template: Int[np.ndarray, " row"], *, concepts: int, templates: int
) -> Csr:
    """How many contexts each concept has from each template, as a sparse matrix [concept template]."""
    ones = np.ones(len(concept))
    return sparse.csr_matrix((ones, (concept, template)), shape=(concepts, templates))


def components(
    by_concept: Float[np.ndarray, "concept d"],
    m2: Float[np.ndarray, " concept"],
    by_template: Float[np.ndarray, "template d"],
    cells: Csr,
) -> Components:
    """Variance components of a crossed design with any number of contexts per cell, from means and counts
    alone.

    `by_concept`, `by_template` are the means over each one's contexts, `m2` the squared deviations from a
    concept's mean summed over its contexts and units, `cells` the `incidence`. Henderson's method 1: the
    sums of squares about 0 of the rows, of the concepts' means, of the templates' and of the grand mean are
    set equal to their expectations, which are linear in (|mu|^2, sigma^2 ...). Unbiased if concepts and
    templates are draws that do not depend on each other; a template that serves one concept alone belongs in
    the residual, so leave such rows out. Source: Henderson 1953; Searle, Casella & McCulloch 1992, 5.3.
    Raises `ValueError` where the design cannot tell the components apart.
    """
    n_c, n_t = (np.asarray(cells.sum(axis)).ravel() for axis in (1, 0))
    by_concept, by_template = _filled(by_concept, n_c), _filled(by_template, n_t)
    n = float(n_c.sum())
    grand = n_c @ by_concept / n
    square = lambda mean: np.square(mean - grand).sum(1)
    of_concepts, of_templates = float(n_c @ square(by_concept)), float(n_t @ square(by_template))
    sums = np.array([of_concepts + float(m2.sum()), of_concepts, of_templates, 0.0])
    squares = cells.power(2)
    per = lambda total, count: float((np.asarray(total).ravel()[count > 0] / count[count > 0]).sum())
    expected = np.array(
        [
            [n, n, n, n],
            [n, n, per(squares.sum(1), n_c), (n_c > 0).sum()],
            [n, per(squares.sum(0), n_t), n, (n_t > 0).sum()],
            [n, (n_c**2).sum() / n, (n_t**2).sum() / n, 1.0],
        ]
    )
    if np.linalg.cond(expected / n) > 1e12:
        raise ValueError("these contexts cannot tell concepts, templates and the rest apart: cross them")
    _, concept, template, residual = np.linalg.solve(expected, sums)
    return Components(float(concept), float(template), float(residual))


@final
class Effects(NamedTuple):
    """Least-squares effects; those of templates add up to zero, those of concepts hold the grand mean."""

    concept: Float[np.ndarray, "concept d"]
    """Adjusted means: what a concept's mean would be, had each template served it equally often."""
    template: Float[np.ndarray, "template d"]
    steps: int
    change: float
    """Largest change of the last step relative to the largest effect: 0 where the steps have arrived."""


def effects(
    by_concept: Float[np.ndarray, "concept d"],
    by_template: Float[np.ndarray, "template d"],
    cells: Csr,
    *,
    steps: int = 50,
    tolerance: float = 1e-8,
) -> Effects:
    """Effects of concepts and templates by alternating steps on the normal equations, from means alone:

        a_t = mean_t - sum_c n_ct m_c / n_t,      m_c = mean_c - sum_t n_ct a_t / n_c

    In a balanced design the first step is exact. Concepts without contexts keep NaN. Concepts that share no
    template with the others, directly or through others, have no defined offset against them.
    """
    n_c, n_t = (np.asarray(cells.sum(axis)).ravel() for axis in (1, 0))
    share_c, share_t = (
        sparse.diags_array(1 / np.maximum(count, 1)) @ table
        for count, table in ((n_c, cells), (n_t, cells.T))
    )
    mean_c, mean_t = _filled(by_concept, n_c), _filled(by_template, n_t)
    concept, template = mean_c, np.zeros_like(mean_t)
    step, change = 0, np.inf
    while step < steps and change > tolerance:
        after = mean_t - share_t @ concept
        after -= after[n_t > 0].mean(0)
        after[n_t == 0] = 0
        change = float(np.abs(after - template).max() / max(np.abs(after).max(), np.finfo(float).tiny))
        template, step = after, step + 1
        concept = mean_c - share_c @ template
    concept = np.where(n_c[:, None] > 0, concept, np.nan)
    return Effects(concept, np.where(n_t[:, None] > 0, template, np.nan), step, change)


def _filled(
    mean: Float[np.ndarray, "group d"], count: Float[np.ndarray, " group"]
) -> Float[np.ndarray, "group d"]:
    """0 for the mean of an empty group, which is no number: 0 times NaN would spread."""
    return np.where(count[:, None] > 0, mean, 0.0)


@final
class Length(NamedTuple):
    """What one more token adds to an activation within a concept."""

    slope: Float[np.ndarray, " d"]
    share: float
    """Of the variance within concepts, how much length explains."""


def length_slope(
    x: Float[np.ndarray, "row d"], tokens: Int[np.ndarray, " row"], concept: Int[np.ndarray, " row"]
) -> Length:
    """Least-squares slope of activations on length within concepts: sum t' x' / sum t'^2, primes = minus the
    concept's mean.

    For contexts that are nested in concepts. Of templates that all concepts share, length is a template's
    length plus a concept's, so their effects hold it already. Raises `ValueError` where no concept's contexts
    differ in length.
    """
    _, group = np.unique(concept, return_inverse=True)
    count = np.bincount(group)
    rows = np.arange(len(x))
    members = sparse.csr_matrix((np.ones(len(x)), (group, rows)), shape=(len(count), len(x)))
    within = lambda values: values - (members @ values / count[:, None])[group]
    length, deviation = within(tokens[:, None].astype(np.float64))[:, 0], within(x.astype(np.float64))
    if not (squares := float(length @ length)) > 0:
        raise ValueError("all contexts of a concept are equally long: length has no slope")
    slope = length @ deviation / squares
    return Length(slope, float(squares * (slope @ slope) / np.square(deviation).sum()))
