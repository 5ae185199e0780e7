"""Intervals over concepts and templates at once."""

import math

import numpy as np
import pytest

from hsae.interpreters.judging.crossed import crossed, macro
from hsae.seeding import numpy_stream
from hsae.stats import cluster_mean


def table(rng, *, by_concept: float, by_template: float):
    """A mean of 0 in 30 concepts x 12 templates, each with an effect of its own."""
    concept, template = (axis.ravel() for axis in np.indices((30, 12)))
    a, b = rng.normal(size=30) * by_concept, rng.normal(size=12) * by_template
    return a[concept] + b[template] + rng.normal(size=360) * 0.1, concept, template


def test_it_covers_the_truth_where_an_interval_over_concepts_alone_does_not():
    both, alone = 0, 0
    for number in range(60):
        values, concept, template = table(
            numpy_stream(number, "crossed world"), by_concept=0.3, by_template=1
        )
        found = crossed(values, concept, template, seed=number, draws=200).interval()
        narrow = cluster_mean(values, concept, seed=number)
        both += found.low <= 0 <= found.high
        alone += narrow.low <= 0 <= narrow.high
    assert both >= 50 > 35 > alone


def test_the_mean_is_weighted_and_the_draws_are_those_of_the_slow_way():
    values, concept, template = table(numpy_stream(0, "crossed world"), by_concept=1, by_template=1)
    weights = numpy_stream(0, "weights").random(360)
    found = crossed(values, concept, template, weights=weights, seed=3, draws=4)
    assert found.value == pytest.approx(np.average(values, weights=weights))
    rng = numpy_stream(3, "crossed bootstrap")
    times = [rng.multinomial(n, np.full(n, 1 / n), size=4) for n in (30, 12)]
    slow = [
        np.average(values, weights=weights * a[concept] * b[template]) for a, b in zip(*times, strict=True)
    ]
    np.testing.assert_allclose(found.draws, slow)


def test_every_concept_counts_alike_however_many_rows_it_has():
    concept = np.array([0, 0, 0, 1])
    assert np.average([1, 1, 1, 0], weights=macro(concept)) == 0.5


def test_a_single_template_says_nothing_about_spread():
    found = crossed(np.ones(4), np.arange(4), np.zeros(4), seed=0)
    assert found.interval().high == math.inf and found.p == 1


def test_p_is_small_for_a_difference_that_all_rows_share_and_large_for_none():
    noise, concept, template = table(numpy_stream(5, "crossed world"), by_concept=0.1, by_template=0.1)
    assert crossed(noise + 1, concept, template, seed=0).p == pytest.approx(2 / 1001)
    assert crossed(noise - noise.mean(), concept, template, seed=0).p > 0.3
