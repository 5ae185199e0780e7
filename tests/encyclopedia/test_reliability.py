"""Reliability follows the error, and more contexts raise it as Spearman and Brown say."""

import math

import numpy as np
import pytest

from hsae.encyclopedia.convergence.reliability import (
    contexts_for,
    population_contexts_for,
    population_reliability,
    reliability,
    spearman_brown,
)


def test_an_error_of_a_third_is_a_reliability_of_nine_tenths():
    np.testing.assert_allclose(reliability(np.array([1 / 9, 1.0, np.inf])), [0.9, 0.5, 0.0])


def test_spearman_brown_is_the_reliability_of_the_smaller_error():
    """e^2 falls as 1 / n, so k times the contexts have e^2 / k."""
    for squared in (0.05, 0.3, 2.0):
        for factor in (0.5, 2.0, 7.0):
            exact = reliability(np.array([squared / factor]))[0]
            assert spearman_brown(1 / (1 + squared), factor) == pytest.approx(exact)


def test_the_contexts_that_are_asked_for_give_the_target():
    squared, count = np.array([0.5, 0.01, np.inf]), np.array([6, 20, 4])
    needed = contexts_for(squared, count, target=0.8)
    for c in range(2):
        assert spearman_brown(1 / (1 + squared[c]), needed[c] / count[c]) == pytest.approx(0.8)
    assert math.isinf(needed[2])


@pytest.mark.parametrize(("between", "n"), [(0.8, 13), (0.9, 26), (0.95, 52)])
def test_what_concepts_have_in_common_decides_how_many_contexts_they_need(between, n):
    """Relative variance .28 uncentred; centring takes off the share `between` of the squared norm."""
    squared = np.array([0.281 / (1 - between)])
    assert contexts_for(squared, np.array([1]))[0] == pytest.approx(n, rel=0.04)


def test_a_correlation_of_halves_is_the_populations_reliability():
    random = np.random.default_rng(0)
    concept = random.normal(size=20_000) * 2
    halves = concept + random.normal(size=(2, 5, 20_000)).mean(1) * 3
    predicted = population_reliability(4.0, 9.0, 5)
    assert np.corrcoef(halves)[0, 1] == pytest.approx(predicted, abs=0.02)


def test_the_population_needs_the_contexts_at_which_it_reaches_the_target():
    needed = population_contexts_for(4.0, 9.0)
    assert population_reliability(4.0, 9.0, needed) == pytest.approx(0.9)
    assert math.isinf(population_contexts_for(-0.1, 9.0))
