"""Statistics that were merged piece by piece equal those of all rows at once."""

import numpy as np
import pytest

from hsae.encyclopedia.statistics import ROLES, Moments, Statistics, role_of

D, CONCEPTS = 5, 4


def rows(seed, n=60):
    """Far from the origin, where a naive sum of squares would lose its digits."""
    random = np.random.default_rng(seed)
    concept = random.integers(0, CONCEPTS - 1, n)  # the last concept stays empty
    x = 1e4 + concept[:, None] + random.normal(size=(n, D))
    return x, concept, random.integers(0, len(ROLES), n)


def of(x, concept, role):
    return Statistics.of(x, concept, role, concepts=CONCEPTS)


def same(one, other):
    np.testing.assert_array_equal(one.moments.count, other.moments.count)
    np.testing.assert_allclose(one.moments.mean, other.moments.mean, rtol=1e-12)
    np.testing.assert_allclose(one.moments.m2, other.moments.m2, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(one.scatter, other.scatter, rtol=1e-7, atol=1e-7)


def test_moments_are_numpys_mean_and_variance():
    x, concept, role = rows(0)
    found = of(x, concept, role)
    for number in range(CONCEPTS - 1):
        for r, name in enumerate(ROLES):
            mine = x[(concept == number) & (role == r)]
            moments = role_of(found.moments, name)
            assert moments.count[number] == len(mine)
            np.testing.assert_allclose(moments.mean[number], mine.mean(0))
            np.testing.assert_allclose(moments.m2[number] / (len(mine) - 1), mine.var(0, ddof=1))


def test_the_scatter_is_the_covariance_around_each_concepts_own_mean():
    x, concept, role = rows(1)
    fit = role == 0
    residual = np.concatenate(
        [x[fit & (concept == c)] - x[fit & (concept == c)].mean(0) for c in range(CONCEPTS - 1)]
    )
    np.testing.assert_allclose(of(x, concept, role).scatter, residual.T @ residual)


@pytest.mark.parametrize("seed", range(5))
def test_merging_in_any_order_and_any_pieces_equals_all_rows_at_once(seed):
    x, concept, role = rows(seed)
    order = np.random.default_rng(seed).permutation(len(x))
    cuts = sorted(np.random.default_rng(seed + 100).integers(0, len(x), 4))
    merged = of(x[:0], concept[:0], role[:0])
    for part in np.split(order, cuts):
        merged = merged.merge(of(x[part], concept[part], role[part]))
    same(merged, of(x, concept, role))


def test_an_empty_side_changes_nothing():
    full, empty = of(*rows(3)), of(*(part[:0] for part in rows(3)))
    same(full.merge(empty), full)
    same(empty.merge(full), full)


def test_a_concept_without_rows_has_count_zero_and_adds_nothing():
    found = of(*rows(4)).moments
    assert not found.count.reshape(CONCEPTS, -1)[-1].any()
    assert not found.m2.reshape(CONCEPTS, len(ROLES), D)[-1].any()


def test_float32_rows_are_summed_in_float64():
    x = np.full((100_000, 1), 1000.1, dtype=np.float32)
    zeros = np.zeros(len(x), dtype=np.int64)
    moments = Moments.of(x, zeros, groups=1)
    assert moments.mean.dtype == np.float64
    np.testing.assert_allclose(moments.mean[0], np.float64(np.float32(1000.1)), rtol=1e-12)
