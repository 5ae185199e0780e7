"""Whitening makes contexts of one concept scatter equally in all directions."""

import numpy as np
import pytest

from hsae.encyclopedia.whitening import discriminants, whitener


def test_with_many_contexts_the_covariance_becomes_the_identity():
    random = np.random.default_rng(0)
    mix = random.normal(size=(6, 6))
    within = mix @ mix.T
    w = whitener(within, freedom=10**9)
    np.testing.assert_allclose(w @ within @ w, np.eye(6), atol=1e-5)
    np.testing.assert_allclose(w, w.T)


def test_with_few_contexts_it_comes_nearer_to_the_truth_than_no_shrinkage():
    random = np.random.default_rng(1)
    truth = np.diag(np.linspace(1, 3, 20))
    x = random.normal(size=(25, 20)) @ np.sqrt(truth)
    sample = np.cov(x.T)
    error = lambda w: np.linalg.norm(w @ truth @ w - np.eye(20))
    values, axes = np.linalg.eigh(sample)
    assert error(whitener(sample, freedom=24)) < error((axes / np.sqrt(values)) @ axes.T) / 5


def test_a_direction_without_variance_does_not_swallow_the_others():
    w = whitener(np.diag([1.0, 1.0, 0.0]), freedom=10**9)
    assert w[2, 2] < 2000 and np.isfinite(w).all()


def test_contexts_that_never_vary_cannot_whiten():
    with pytest.raises(ValueError, match="cannot whiten"):
        whitener(np.zeros((3, 3)), freedom=10)


def test_discriminants_are_where_concepts_differ():
    random = np.random.default_rng(2)
    means = random.normal(size=(200, 10)) * 0.1
    means[:, [3, 7]] += random.normal(size=(200, 2)) * [9, 4]
    found = discriminants(means, 2)
    np.testing.assert_allclose(found.T @ found, np.eye(2), atol=1e-12)
    assert abs(found[3, 0]) > 0.99 and abs(found[7, 1]) > 0.99
