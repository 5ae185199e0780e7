"""A cosine means something only beside that of concepts that have nothing to do with each other."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from hsae.encyclopedia.convergence.unrelated import similarity_agreement, unrelated_nulls

C, D = 80, 20
SCALE = np.r_[np.full(4, 6.0), np.ones(D - 4)]
"""Four loud directions in which contexts scatter and concepts do not differ."""


def halves(*, signal=1.0, seed=0):
    random = np.random.default_rng(seed)
    truth = signal * random.normal(size=(C, D)) * (np.arange(D) >= 4)
    half = lambda: 40 + truth + random.normal(size=(C, D)) * SCALE / 2
    return half(), half()


def test_raw_cosines_are_high_for_any_two_concepts_and_whitened_ones_are_not():
    found = unrelated_nulls(*halves(), np.diag(1 / SCALE), seed=0)
    assert list(found) == ["raw", "centred", "whitened"]
    assert np.median(found["raw"].between) > 0.95
    assert abs(np.median(found["whitened"].between)) < 0.1
    assert found["raw"].separation < found["whitened"].separation > 0.95


def test_halves_that_share_nothing_separate_by_half():
    found = unrelated_nulls(*halves(signal=0.0), np.diag(1 / SCALE), seed=0)
    assert all(null.separation == pytest.approx(0.5, abs=0.12) for null in found.values())


def test_cosines_are_the_plain_ones():
    first, second = halves()
    found = unrelated_nulls(first, second, np.diag(1 / SCALE), seed=3, pairs=50)
    a, b = ((half - half.mean(0)) / SCALE for half in (first, second))
    cosine = lambda x, y: x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    np.testing.assert_allclose(found["whitened"].within, [cosine(a[c], b[c]) for c in range(C)])
    every = np.array([cosine(a[i], b[j]) for i in range(C) for j in range(C) if i != j])
    assert all(np.abs(every - value).min() < 1e-12 for value in found["whitened"].between)
    wins = np.mean([(w > found["whitened"].between).mean() for w in found["whitened"].within])
    assert found["whitened"].separation == pytest.approx(wins)


def test_a_concept_without_a_half_is_left_out():
    first, second = halves()
    second[5] = np.nan
    found = unrelated_nulls(first, second, np.eye(D), seed=0)
    assert len(found["raw"].within) == C - 1 and np.isfinite(found["raw"].between).all()
    with pytest.raises(ValueError, match="no two"):
        unrelated_nulls(first[5:7], second[5:7], np.eye(D), seed=0)


def test_agreement_is_spearmans_correlation_over_all_pairs():
    first, second = (half - half.mean(0) for half in halves())
    a, b = (half / np.linalg.norm(half, axis=1, keepdims=True) for half in (first, second))
    pairs = np.triu_indices(C, 1)
    expected = spearmanr((a @ a.T)[pairs], (b @ b.T)[pairs]).statistic
    found = similarity_agreement(first, second, seed=0, resamples=40)
    assert found.spearman.value == pytest.approx(expected)
    assert found.spearman.low < expected < found.spearman.high and found.spearman.n == C
    assert found.ceiling == pytest.approx(np.sqrt(2 * expected / (1 + expected)))


def test_the_ceiling_is_what_the_truth_itself_reaches():
    random = np.random.default_rng(4)
    truth = random.normal(size=(150, D))
    first, second = (truth + random.normal(size=truth.shape) for _ in range(2))
    ceiling = similarity_agreement(first, second, seed=0, resamples=2).ceiling
    reached = similarity_agreement(truth, (first + second) / 2, seed=0, resamples=2).spearman.value
    assert reached == pytest.approx(ceiling, abs=0.05)


def test_halves_that_share_nothing_do_not_agree():
    found = similarity_agreement(
        *np.random.default_rng(5).normal(size=(2, 60, D)), seed=0, concepts=50, resamples=100
    )
    assert found.spearman.low < 0 < found.spearman.high and found.spearman.n == 50


def test_two_concepts_have_no_order_of_similarities():
    with pytest.raises(ValueError, match="no order"):
        similarity_agreement(np.ones((2, 3)), np.ones((2, 3)), seed=0)


def test_a_concept_drawn_twice_does_not_agree_with_itself():
    random = np.random.default_rng(6)
    middle = []
    for seed in range(30):
        found = similarity_agreement(*random.normal(size=(2, 8, D)), seed=seed, resamples=40).spearman
        middle.append((found.low + found.high) / 2)
    assert abs(np.mean(middle)) < 0.1
