"""Contexts until convergence: what has not converged yet is censored, not dropped."""

import numpy as np
import pytest

from hsae.encyclopedia.convergence.survival import compare_categories, convergence_curve, curves_by_category

counts = np.array([4, 4, 8, 8, 8, 16, 16, 32, 32, 32])
done_by_then = np.array([1, 0, 1, 1, 0, 1, 0, 1, 0, 0], dtype=bool)


def test_the_curve_is_the_product_of_the_shares_that_remain():
    curve = convergence_curve(counts, done_by_then)
    remaining = 1.0
    for step, n in enumerate(curve.n):
        at_risk = int((counts >= n).sum())
        remaining *= 1 - ((counts == n) & done_by_then).sum() / at_risk
        assert curve.at_risk[step] == at_risk
        assert curve.share[step] == pytest.approx(1 - remaining)
    assert list(curve.n) == [4, 8, 16, 32] and curve.concepts == 10
    assert curve.median == 32


def test_the_interval_is_greenwoods_on_the_log_log_scale():
    curve = convergence_curve(counts, done_by_then, level=0.9)
    survival, total = 1.0, 0.0
    for step, n in enumerate(curve.n):
        at_risk, events = (counts >= n).sum(), ((counts == n) & done_by_then).sum()
        survival *= 1 - events / at_risk
        total += events / (at_risk * (at_risk - events))
        half = 1.6448536 * np.sqrt(total) / np.log(survival)
        low, high = 1 - survival ** np.exp(-half), 1 - survival ** np.exp(half)
        np.testing.assert_allclose([curve.low[step], curve.high[step]], sorted([low, high]), rtol=1e-6)


def test_without_censoring_it_is_the_share_so_far():
    curve = convergence_curve(counts, np.ones(10, dtype=bool))
    np.testing.assert_allclose(curve.share, [0.2, 0.5, 0.7, 1.0])
    assert curve.high[-1] == 1 and curve.low[-1] >= curve.low[-2] > 0


def test_if_none_has_converged_all_that_is_known_is_that_none_has():
    curve = convergence_curve(counts, np.zeros(10, dtype=bool))
    assert not curve.share.any() and not curve.low.any() and (curve.high == 1).all()
    assert np.isinf(curve.median)


def test_censoring_does_not_bias_what_dropping_would():
    """Concepts need an exponential number of contexts; half of them have a budget that is often too small."""
    random = np.random.default_rng(0)
    needed, budget = random.exponential(20, 20_000), random.uniform(1, 40, 20_000)
    n, done = np.ceil(np.minimum(needed, budget)).astype(int), needed <= budget
    curve = convergence_curve(n, done)
    at = lambda share_of: share_of.share[np.searchsorted(share_of.n, 20)]
    truth = 1 - np.exp(-1)
    assert at(curve) == pytest.approx(truth, abs=0.02)
    assert at(convergence_curve(n[done], done[done])) > truth + 0.1


def test_categories_that_need_more_contexts_are_told_apart():
    random = np.random.default_rng(1)
    category = ["noun"] * 150 + ["verb"] * 150 + ["adjective"] * 150
    need = random.exponential(np.repeat([10, 10, 30], 150))
    n, done = np.ceil(np.minimum(need, 40)).astype(int), need <= 40
    found = compare_categories(n, done, category)
    assert found["adjective"].p < 1e-6 and found["adjective"].statistic > 0 > found["noun"].statistic
    curves = curves_by_category(n, done, category)
    assert curves["adjective"].median > 1.5 * curves["noun"].median


def test_the_statistic_is_the_textbooks_log_rank():
    category = np.array(list("ababababab"))
    observed = expected = variance = 0.0
    for n in np.unique(counts[done_by_then]):
        risk, mine = (counts >= n).sum(), ((counts >= n) & (category == "a")).sum()
        events = ((counts == n) & done_by_then).sum()
        observed += ((counts == n) & done_by_then & (category == "a")).sum()
        expected += events * mine / risk
        variance += events * (mine / risk) * (1 - mine / risk) * (risk - events) / (risk - 1)
    found = compare_categories(counts, done_by_then, list(category))
    assert found["a"].statistic == pytest.approx((expected - observed) / np.sqrt(variance))


def test_equal_categories_are_rarely_told_apart():
    random = np.random.default_rng(2)
    wrong = 0
    for _ in range(200):
        need = random.exponential(10, 120)
        n, done = np.ceil(np.minimum(need, 20)).astype(int), need <= 20
        wrong += min(test.p for test in compare_categories(n, done, ["a", "b", "c"] * 40).values()) < 0.05
    assert wrong <= 20


def test_nothing_to_compare_is_said():
    with pytest.raises(ValueError, match="no comparison"):
        compare_categories(counts, done_by_then, ["a"] * 10)
    with pytest.raises(ValueError, match="no comparison"):
        compare_categories(counts, np.zeros(10, dtype=bool), ["a", "b"] * 5)
