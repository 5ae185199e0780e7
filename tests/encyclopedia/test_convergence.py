"""The error of a concept's mean: unbiased, with a bound that covers, and with the slope it should have."""

import numpy as np
import pytest

from hsae.encyclopedia.convergence.curve import (
    against_reference,
    debiased_square,
    decay,
    effective_dimensions,
    relative_error,
)

D = 48
SPECTRA = {
    "flat": np.ones(D) / D,
    "power law": (1 / np.arange(1, D + 1)) / (1 / np.arange(1, D + 1)).sum(),
    "steep": np.exp(-np.arange(D) / 2) / np.exp(-np.arange(D) / 2).sum(),
}


def world(spectrum, n, e, *, concepts=1500, seed=0):
    """Means and variances of n contexts of total variance 1, around truths that make the relative error e."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=(concepts, D))
    truth /= np.linalg.norm(truth, axis=1, keepdims=True) * e * np.sqrt(n)
    x = truth[:, None] + random.normal(size=(concepts, n, D)) * np.sqrt(spectrum)
    return np.full(concepts, n), x.mean(1), x.var(1, ddof=1).sum(1)


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("n", [4, 8, 16, 32])
def test_a_bound_of_95_percent_covers_at_least_93(name, n):
    effective = effective_dimensions(np.diag(SPECTRA[name]))
    for e in (0.2, 1 / 3, 0.6):
        bound = relative_error(*world(SPECTRA[name], n, e), effective=effective, centred=False).upper
        assert (bound >= e**2).mean() >= 0.93, (name, n, e)


def test_a_bound_is_not_wide_for_the_sake_of_covering():
    found = relative_error(*world(SPECTRA["flat"], 16, 1 / 3), effective=D, centred=False)
    assert np.median(np.sqrt(found.upper)) < 1.2 / 3


def test_a_bound_at_a_higher_level_lies_higher():
    facts = world(SPECTRA["flat"], 8, 0.3, concepts=20)
    low, high = (relative_error(*facts, effective=D, centred=False, level=p).upper for p in (0.9, 0.99))
    assert (low < high).all()


def test_the_bounds_ingredients_are_the_ones_of_the_formula():
    """The slow twin: chi^2 from scipy.stats, and the lowest |mu|^2 found by bisection."""
    from scipy.optimize import brentq
    from scipy.stats import chi2, norm

    count, mean, trace = world(SPECTRA["flat"], 8, 0.3, concepts=5)
    found, k = relative_error(count, mean, trace, effective=20.0, centred=False), 20.0
    for c in range(5):
        v = trace[c] / 8
        s = mean[c] @ mean[c] - v
        freedom = 7 * k / 2
        gap = lambda low, s=s, v=v: s - low - norm.ppf(0.95) * np.sqrt((4 * low * v + 2 * v**2) / k)
        shrink = np.log(s / brentq(gap, 1e-9, s))
        stretch = np.log(freedom / chi2.ppf(0.05, freedom))
        np.testing.assert_allclose(found.squared[c], v / s)
        np.testing.assert_allclose(found.upper[c], v / s * np.exp(np.sqrt(stretch**2 + shrink**2)))


def test_the_debiased_square_is_right_on_average():
    random = np.random.default_rng(0)
    truth = random.normal(size=(30, D)) / 10 + 3  # near each other, far from 0
    count = np.tile([3, 6, 12], 10)
    centred, raw = np.zeros((2, 400, 30))
    for draw in range(400):
        x = [t + random.normal(size=(n, D)) for t, n in zip(truth, count, strict=True)]
        mean, trace = np.stack([r.mean(0) for r in x]), np.array([r.var(0, ddof=1).sum() for r in x])
        centred[draw] = debiased_square(count, mean, trace, centred=True)
        raw[draw] = debiased_square(count, mean, trace, centred=False)
    for found, target in ((centred, truth - truth.mean(0)), (raw, truth)):
        error = found.mean(0) - np.square(target).sum(1)
        assert np.abs(error / (found.std(0) / 20)).max() < 4
        assert np.abs(error.mean()) < 4 * (found.mean(1).std() / 20)


def test_centring_shows_the_error_that_a_common_mean_hides():
    count, mean, trace = world(SPECTRA["flat"], 8, 1 / 3)
    far = mean + 100.0
    raw, centred = (relative_error(count, far, trace, effective=D, centred=c) for c in (False, True))
    assert np.median(raw.squared) < 1e-4
    assert np.median(centred.squared) == pytest.approx(1 / 9, rel=0.1)


def test_no_signal_is_an_infinite_error_and_one_context_an_unknown_one():
    count, mean, trace = np.array([4, 1, 0, 4]), np.zeros((4, D)), np.array([1.0, 0, 0, 1.0])
    mean[3] = 10
    found = relative_error(count, mean, trace, effective=D, centred=False)
    assert np.isinf(found.squared[0]) and np.isinf(found.upper[0])
    assert np.isnan(found.squared[1:3]).all() and np.isnan(found.upper[1:3]).all()
    assert np.isfinite(found.upper[3])


def test_float32_means_of_large_norm_do_not_lose_their_error():
    count, mean, trace = world(SPECTRA["flat"], 8, 1 / 3, concepts=50)
    wide = relative_error(count, mean + 30, trace, effective=D, centred=True).squared
    narrow = relative_error(count, (mean + 30).astype(np.float32), trace, effective=D, centred=True).squared
    np.testing.assert_allclose(narrow, wide, rtol=1e-4)


def test_effective_dimensions_count_equal_directions():
    assert effective_dimensions(np.diag([2.0] * 5 + [0.0] * 7)) == pytest.approx(5)
    assert effective_dimensions(np.diag([1.0, 1e-9])) == pytest.approx(1)


def test_two_means_of_the_same_kind_differ_by_what_sampling_makes_of_them():
    random = np.random.default_rng(1)
    x = random.normal(size=(2000, 12, 6))
    n, m = np.full(2000, 4), np.full(2000, 8)
    trace = x.var(1, ddof=1).sum(1)
    same = against_reference(x[:, :4].mean(1), x[:, 4:].mean(1), trace, n=n, m=m)
    assert same.observed.mean() == pytest.approx(same.expected.mean(), rel=0.05)
    moved = against_reference(x[:, :4].mean(1) + 1, x[:, 4:].mean(1), trace, n=n, m=m)
    assert (moved.observed - moved.expected).mean() == pytest.approx(6, rel=0.1)


def test_independent_contexts_decay_by_a_half_and_repeated_ones_do_not():
    random = np.random.default_rng(2)
    looks = np.array([4, 8, 16, 32])
    truth = random.normal(size=(200, 1, 8))
    fresh = truth + random.normal(size=(200, 32, 8))
    repeated = fresh.copy()
    repeated[:, 8:] = fresh[:, :8].repeat(3, axis=1)  # after eight contexts nothing new is said
    errors = lambda x: np.stack([np.square(x[:, :n].mean(1) - truth[:, 0]).sum(1) for n in looks], axis=1)
    slope = decay(looks, errors(fresh), seed=0)
    assert slope.low < -0.5 < slope.high and slope.high - slope.low < 0.15
    assert decay(looks, errors(repeated), seed=0).low > -0.4


def test_a_mean_error_below_zero_has_no_slope():
    with pytest.raises(ValueError, match="positive"):
        decay(np.array([4, 8]), np.array([[1.0, -1.0]]), seed=0)
