"""The historical convergence test: its numbers as it computed them, and why it could not pass."""

import math

import numpy as np
import pytest

from hsae.encyclopedia.convergence.historical import (
    contexts_needed,
    contexts_needed_per_half,
    expected_difference,
    historical_curve,
    historical_verdict,
    implied_cosine,
    implied_difference,
    relative_variance,
)


def world(s2, *, concepts=40, samples=20, d=50, seed=0):
    """Samples of relative variance s2 around true means of norm 1."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=(concepts, 1, d))
    truth /= np.linalg.norm(truth, axis=2, keepdims=True)
    return truth + random.normal(size=(concepts, samples, d)) * math.sqrt(s2 / d)


def test_the_curve_is_the_historical_loop_over_n():
    samples = world(0.3, concepts=3)
    curve = historical_curve(samples)
    for c, vectors in enumerate(samples):
        reference = vectors[10:].mean(axis=0)
        for n in range(1, 11):
            subset = vectors[:n]
            mean, sigma = subset.mean(axis=0), subset.std(axis=0).mean()
            expected = {
                "rel_difference": np.linalg.norm(mean - reference) / np.linalg.norm(reference),
                "cosine": mean @ reference / (np.linalg.norm(mean) * np.linalg.norm(reference)),
                "sigma": sigma,
                "ci95": 1.96 * sigma / np.sqrt(n),
                "norm": np.linalg.norm(mean),
            }
            for name, value in expected.items():
                np.testing.assert_allclose(getattr(curve, name)[c, n - 1], value, err_msg=f"{name} {n}")
        np.testing.assert_allclose(curve.reference_norm[c], np.linalg.norm(reference))


def test_one_context_has_an_interval_of_width_zero_as_it_had():
    np.testing.assert_allclose(historical_curve(world(0.3)).ci95[:, 0], 0, atol=1e-12)


def test_the_verdict_counts_differences_below_five_percent():
    verdict = historical_verdict(historical_curve(world(0.001)))
    assert verdict.supported and verdict.share.value == 1 and set(verdict.outcome) == {"pass"}
    between = historical_verdict(historical_curve(world(0.03)))  # expected difference 7.7 %
    assert set(between.outcome) == {"marginal"} and not between.supported


def test_an_odd_number_of_samples_is_refused():
    with pytest.raises(ValueError, match="two halves"):
        historical_curve(np.ones((2, 19, 3)))


def test_the_reported_difference_means_a_relative_variance_of_28_percent():
    s2 = relative_variance(0.237, 10, 10)
    assert s2 == pytest.approx(0.28, abs=0.005)
    assert expected_difference(s2, math.inf, 10) == pytest.approx(0.168, abs=5e-4)  # no n passes
    assert math.isinf(contexts_needed(s2, 0.05, m=10))
    assert expected_difference(s2, 10, math.inf) == pytest.approx(0.168, abs=5e-4)  # the error itself
    assert contexts_needed(s2, 0.05) == pytest.approx(112, abs=0.5)
    assert contexts_needed_per_half(s2, 0.05) == pytest.approx(225, abs=0.5)
    assert relative_variance(0.05, 10, 10) == pytest.approx(0.0125)  # what could have passed


def test_the_n_that_is_needed_gives_the_difference_that_was_asked():
    assert expected_difference(0.1, contexts_needed(0.1, 0.12, m=10), 10) == pytest.approx(0.12)
    half = contexts_needed_per_half(0.1, 0.12)
    assert expected_difference(0.1, half, half) == pytest.approx(0.12)


def test_the_reported_cosine_says_what_the_reported_difference_says():
    assert implied_difference(0.971) == pytest.approx(0.241, abs=5e-4)
    assert implied_cosine(0.237) == pytest.approx(0.972, abs=5e-4)
    assert implied_difference(implied_cosine(0.4)) == pytest.approx(0.4)


def test_a_world_of_that_variance_reproduces_the_table_and_nobody_passes():
    curve = historical_curve(world(0.281, concepts=400, d=640))
    assert curve.rel_difference[:, -1].mean() == pytest.approx(0.235, abs=0.003)
    assert curve.cosine[:, -1].mean() == pytest.approx(0.971, abs=0.003)
    assert historical_verdict(curve).outcome.count("pass") == 0
