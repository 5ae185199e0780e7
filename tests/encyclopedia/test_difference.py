"""Two encyclopedias differ where they do: similarities are their definitions, and nulls are nulls."""

import numpy as np
import pytest

from hsae.encyclopedia.queries.difference import (
    ceiling,
    cka,
    difference,
    jackknife,
    kept_neighbours,
    rotation,
    rsa,
)
from hsae.errors import UserError

ALL = ("cka", "rsa", "procrustes", "neighbours")


def means(seed, concepts=120, d=12):
    return np.random.default_rng(seed).normal(size=(concepts, d))


def turned(rows, seed=0):
    return rows @ np.linalg.qr(np.random.default_rng(seed).normal(size=(rows.shape[1],) * 2))[0]


def test_a_rotation_a_factor_and_a_shift_are_no_difference():
    a = means(0)
    found = difference(a, 3 * turned(a) + 5, seed=0, draws=19)
    for name in ("cka", "rsa", "neighbours"):
        assert found[name]["value"] == pytest.approx(1)
    assert found["procrustes"]["value"] == pytest.approx(0, abs=1e-9)
    assert all(found[name]["p"] == 0.05 for name in ALL)


def test_unrelated_encyclopedias_look_like_their_null():
    found = difference(means(0), means(1), seed=0, draws=39)
    assert all(found[name]["p"] > 0.05 for name in ALL)
    assert found["procrustes"]["value"] > 0.8, (
        "on concepts that it was not fitted on, a rotation explains nothing"
    )
    assert found["cka"]["null"] > 0.05, "linear CKA of unrelated rows is well above 0"


def test_the_null_is_that_of_permuted_concepts():
    a, b = means(0), means(0) + means(1)
    found = difference(a, b, seed=0, draws=199)
    draw = np.random.default_rng(5)
    orders = [draw.permutation(120) for _ in range(199)]
    slow = [kept_neighbours(a, b[order]).mean() for order in orders]
    assert found["neighbours"]["null"] == pytest.approx(np.mean(slow), abs=4 * np.std(slow) / 199**0.5)
    assert found["neighbours"]["null"] == pytest.approx(10 / 119, abs=0.01)


def test_widths_may_differ():
    a = means(0)
    b = np.concatenate([turned(a), 0.01 * means(3, d=4)], 1)
    for one, other in ((a, b), (b, a)):
        found = difference(one, other, seed=0, draws=3)
        assert found["cka"]["value"] > 0.99 and found["procrustes"]["value"] < 0.01


def test_fewer_concepts_than_units_can_be_compared():
    a = means(0, concepts=60, d=200)
    found = difference(a, turned(a), seed=0, draws=3)
    assert np.isfinite([found[name]["value"] for name in ALL]).all()
    assert found["rsa"]["value"] == pytest.approx(1)


def test_the_numbers_are_their_definitions():
    from scipy.spatial.distance import pdist
    from scipy.stats import spearmanr

    a, b = means(0) - means(0).mean(0), (means(0) + means(1)) - (means(0) + means(1)).mean(0)
    gram = lambda rows: rows @ rows.T
    slow = (gram(a) * gram(b)).sum() / np.linalg.norm(gram(a)) / np.linalg.norm(gram(b))
    assert cka(a, b) == pytest.approx(slow)
    assert rsa(a, b) == pytest.approx(spearmanr(pdist(a, "cosine"), pdist(b, "cosine")).statistic)
    left, values, right = np.linalg.svd(b.T @ a)
    slow = left @ right * values.sum() / (b**2).sum()
    assert rotation(a, b) == pytest.approx(slow, abs=1e-9)
    best = np.linalg.norm(a - b @ rotation(a, b))
    random = np.random.default_rng(4)
    for _ in range(30):
        nudged = rotation(a, b) @ np.linalg.qr(np.eye(12) + 0.05 * random.normal(size=(12, 12)))[0]
        assert best <= min(np.linalg.norm(a - s * b @ nudged) for s in (-1, 0.9, 1, 1.1))


def test_kept_neighbours_are_those_on_both_lists():
    a, b = means(0), means(0) + means(1)

    def lists(rows):
        rows = rows - rows.mean(0)
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return [set(np.argsort(-(unit @ one))[1:11]) for one in unit]

    slow = [len(x & y) / 10 for x, y in zip(lists(a), lists(b), strict=True)]
    assert kept_neighbours(a, b) == pytest.approx(slow)


def test_the_jackknife_s_interval_of_a_mean_is_students():
    x = np.random.default_rng(0).normal(size=20)
    found = jackknife(lambda rows: float(x[rows].mean()), np.arange(20), float(x.mean()), level=0.95)
    half = 2.093 * x.std(ddof=1) / 20**0.5
    assert (found["low"], found["high"]) == pytest.approx((x.mean() - half, x.mean() + half), rel=1e-3)


def test_noise_explains_what_it_explains():
    truth, noise = means(0), lambda seed: means(seed)
    other = 2 * turned(truth)
    told = ceiling((truth + noise(1), truth + noise(2)), (other + 2 * noise(3), other + 2 * noise(4)))
    assert told["across"] < 0.7, "noise hides that the two are the same"
    assert told["corrected"] == pytest.approx(1, abs=0.1), "and the ceiling tells it"
    unlike = ceiling((truth + noise(1), truth + noise(2)), (means(9) + noise(3), means(9) + noise(4)))
    assert abs(unlike["corrected"]) < 0.1
    lost = ceiling((means(1), means(2)), (means(3), means(4)))
    assert lost["corrected"] is None or abs(lost["ceiling"]) < 0.1


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(UserError, match="40 concepts or more"):
        difference(means(0)[:5], means(0)[:5], seed=0)
    broken = means(0)
    broken[3] = np.nan
    with pytest.raises(UserError, match="without a mean"):
        difference(means(0), broken, seed=0)
