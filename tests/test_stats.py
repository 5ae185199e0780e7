"""Intervals, nulls and verdicts that can be lost."""

import json
import math

import numpy as np
import pytest
from scipy import sparse

from hsae.stats import (
    Interval,
    auroc,
    auroc_of,
    cluster_bootstrap,
    cluster_mean,
    cluster_sums,
    holm,
    judge,
    paired_difference,
    permutation_p,
    rank,
    ratio,
    separation,
    wilson,
)


def verdict(low: float, high: float, *, threshold: float = 0.5, null=None, above: bool = True):
    middle = (low + high) / 2 if math.isfinite(low + high) else 0.5
    return judge(
        "a claim",
        "a statistic",
        Interval(middle, low, high, 9),
        threshold=threshold,
        null=null,
        unit="documents",
        above=above,
    )


@pytest.mark.parametrize(
    ("low", "high", "outcome"), [(0.6, 0.8, "PASS"), (0.1, 0.4, "FAIL"), (0.4, 0.6, "INCONCLUSIVE")]
)
def test_the_outcome_follows_from_where_the_interval_lies(low, high, outcome):
    assert verdict(low, high).outcome == outcome


def test_a_claim_of_smallness_is_judged_from_the_other_side():
    assert verdict(0.1, 0.4, above=False).outcome == "PASS"
    assert verdict(0.6, 0.8, above=False).outcome == "FAIL"


def test_touching_the_threshold_is_not_passing_it():
    assert verdict(0.5, 0.8).outcome == "INCONCLUSIVE"


def test_a_claim_that_its_null_passes_too_is_trivial():
    assert verdict(0.6, 0.8, null=0.55).trivial
    assert not verdict(0.6, 0.8, null=0.45).trivial
    assert not verdict(0.6, 0.8, null=Interval(0.55, 0.45, 0.65, 9)).trivial
    assert not verdict(0.6, 0.8).trivial


def test_an_unknown_interval_is_inconclusive_and_valid_json():
    unknown = verdict(-math.inf, math.inf)
    assert unknown.outcome == "INCONCLUSIVE"
    read = json.loads(json.dumps(unknown.to_dict(), allow_nan=False))
    assert read["low"] is None
    assert read["claim"] == "a claim"


def test_a_number_that_was_not_computed_gets_no_verdict():
    with pytest.raises(ValueError, match=r"a claim.*nan"):
        judge("a claim", "s", Interval(math.nan, 0.0, 1.0, 9), threshold=0.0, null=None, unit="seeds")


def test_sums_within_clusters_equal_the_loop():
    rng = np.random.default_rng(0)
    values, clusters = rng.normal(size=(50, 3)), rng.integers(0, 7, 50)
    loop = np.stack([values[clusters == c].sum(0) for c in np.unique(clusters)])
    np.testing.assert_allclose(cluster_sums(values, clusters), loop)


def test_the_bootstrap_value_is_the_ratio_of_sums_not_the_mean_of_ratios():
    sums = np.array([[1.0, 1.0], [0.0, 9.0]])
    assert cluster_bootstrap(sums, ratio, seed=0).value == pytest.approx(0.1)


def test_the_bootstrap_covers_the_truth_as_often_as_it_says():
    """Clusters of strongly dependent rows: an interval over rows would cover about 40 %."""
    rng, hits, narrow = np.random.default_rng(1), 0, 0
    clusters = np.repeat(np.arange(40), 10)
    for trial in range(100):
        values = rng.normal(size=40)[clusters] + 0.3 * rng.normal(size=400)
        over_clusters = cluster_mean(values, clusters, seed=trial)
        over_rows = cluster_mean(values, np.arange(400), seed=trial)
        hits += over_clusters.low <= 0 <= over_clusters.high
        narrow += over_rows.low <= 0 <= over_rows.high
    assert 0.88 <= hits / 100 <= 0.99
    assert narrow / 100 < 0.6


def test_one_seed_gives_one_interval_and_another_seed_another():
    sums = np.random.default_rng(0).normal(size=(30, 2)) + [5, 10]
    assert cluster_bootstrap(sums, seed=3) == cluster_bootstrap(sums, seed=3)
    assert cluster_bootstrap(sums, seed=3) != cluster_bootstrap(sums, seed=4)


def test_a_single_cluster_bounds_nothing():
    assert cluster_bootstrap(np.array([[1.0, 2.0]]), seed=0)[1:] == (-math.inf, math.inf, 1)


def test_wilson_agrees_with_the_textbook_and_stays_inside_the_unit_interval():
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == pytest.approx(1.0)
    assert wilson(2, 2)[0] < 0.4
    with pytest.raises(ValueError, match="no rate"):
        wilson(3, 2)


def test_three_seeds_get_students_interval():
    value, low, high, n = paired_difference([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])
    assert (value, n) == (2.0, 3)
    assert high - value == pytest.approx(4.302653 / math.sqrt(3), rel=1e-5)
    assert paired_difference([1.0], [0.0]).low == -math.inf
    assert low < value


def test_a_permutation_p_is_never_zero():
    assert permutation_p(5.0, [1.0, 2.0, 3.0]) == 0.25
    assert permutation_p(2.0, [1.0, 2.0, 3.0]) == 0.75


def test_holm_matches_the_hand_example_and_keeps_order():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]).max() == 1.0


def pairwise_auroc(scores, labels):
    """The definition: over every pair of a positive and a negative."""
    found = np.full((labels.shape[1], scores.shape[1]), np.nan)
    for c in range(labels.shape[1]):
        positive, negative = scores[labels[:, c]], scores[~labels[:, c]]
        if len(positive) and len(negative):
            wins = (positive[:, None] > negative[None]) + 0.5 * (positive[:, None] == negative[None])
            found[c] = wins.mean((0, 1))
    return found


@pytest.mark.parametrize("smallest", [-2, 0])
def test_the_sparse_auroc_equals_the_count_over_all_pairs(smallest):
    rng = np.random.default_rng(0)
    scores = rng.integers(smallest, 4, size=(60, 11)).astype(np.float32) * (rng.random((60, 11)) < 0.4)
    scores[:, 3] = 0
    labels = rng.random((60, 5)) < 0.3
    labels[:, 4] = False
    expected = pairwise_auroc(scores, labels)
    np.testing.assert_allclose(auroc(rank(scores), labels), expected, atol=1e-12)
    np.testing.assert_allclose(
        auroc(rank(sparse.csr_matrix(scores)), sparse.csr_matrix(labels)), expected, atol=1e-12
    )
    assert (expected[:4, 3] == 0.5).all()
    for c in range(4):
        one = [separation(scores[:, latent].astype(np.float64), labels[:, c]) for latent in range(11)]
        np.testing.assert_allclose(one, expected[c], atol=1e-12)
    concepts, latents = np.array([2, 0, 0, 4]), np.array([1, 3, 7, 0])
    np.testing.assert_allclose(
        auroc_of(rank(scores), labels, concepts=concepts, latents=latents),
        expected[concepts, latents],
        atol=1e-12,
    )


def test_an_auroc_knows_right_from_wrong():
    labels = np.array([[True], [True], [False], [False]])
    scores = np.array([[3.0, 0.0, 1.0], [2.0, 0.0, 1.0], [1.0, 4.0, 1.0], [0.0, 5.0, 1.0]])
    np.testing.assert_allclose(auroc(rank(scores), labels), [[1.0, 0.0, 0.5]])


def test_a_code_that_never_fires_is_at_chance():
    assert auroc(rank(np.zeros((4, 2))), np.array([[True], [False], [True], [False]])).tolist() == [
        [0.5, 0.5]
    ]
