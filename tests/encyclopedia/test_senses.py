"""A concept is split where its contexts are of two kinds, not because its cloud is wide or long."""

import numpy as np
import pytest

from hsae.encyclopedia.refinement.senses import bic_gain, senses, two_means


def clouds(random, shape, *, n=32, k=16, concepts=100):
    """Reservoirs of contexts of one sense, in clouds of several shapes."""
    x = random.normal(size=(concepts, n, k))
    if shape == "wide":
        x *= 3
    if shape == "long":
        x[..., 0] *= 6
    if shape == "heavy":
        x /= np.sqrt(random.chisquare(4, size=(concepts, n, 1)) / 4)
    if shape == "outliers":
        x[:, :2] += 30
    return x.reshape(-1, k), np.repeat(np.arange(concepts), n)


@pytest.mark.parametrize("shape", ["round", "wide", "long", "heavy", "outliers"])
@pytest.mark.parametrize(("n", "k"), [(16, 4), (32, 16), (32, 64), (128, 16)])
def test_one_sense_is_rarely_split(shape, n, k):
    x, concept = clouds(np.random.default_rng(0), shape, n=n, k=k)
    assert senses(x, concept, concepts=100).split.mean() <= 0.02


@pytest.mark.parametrize(("n", "k"), [(16, 4), (32, 16), (128, 16)])
def test_two_senses_are_found_and_their_rows_named(n, k):
    random = np.random.default_rng(1)
    x, concept = clouds(random, "round", n=n, k=k)
    second = np.tile(np.arange(n) < 0.4 * n, 100)
    axis = random.normal(size=(100, k))
    x += (8 * axis / np.linalg.norm(axis, axis=1, keepdims=True))[concept] * second[:, None]
    shuffled = random.permutation(len(x))
    found = senses(x[shuffled], concept[shuffled], concepts=100)
    assert found.split.mean() > 0.95
    assert (found.second == second[shuffled]).mean() > 0.99
    assert found.share[found.split].mean() == pytest.approx(0.4, abs=0.04)


def test_too_few_rows_are_not_judged():
    x, concept = clouds(np.random.default_rng(2), "round", n=15, concepts=3)
    x[::2] += 50
    found = senses(x, concept, concepts=4)
    assert not found.split.any() and not found.second.any() and np.isneginf(found.gain).all()


def test_two_means_ends_where_no_row_is_nearer_to_the_other_mean():
    random = np.random.default_rng(3)
    for _ in range(20):
        x = random.normal(size=(25, 6)) + 100
        members = two_means(x)
        one, two = x[members].mean(0), x[~members].mean(0)
        nearer = np.square(x - one).sum(1) < np.square(x - two).sum(1)
        assert (nearer == members).all() and members.mean() <= 0.5


def test_two_means_is_as_good_as_many_random_starts():
    from sklearn.cluster import KMeans

    random = np.random.default_rng(4)
    for _ in range(5):
        x = random.normal(size=(40, 5)) + 4 * (np.arange(40) < 15)[:, None]
        best = KMeans(2, n_init=10, random_state=0).fit(x).labels_
        assert (two_means(x) == (best == best[0])).all() or (two_means(x) == (best != best[0])).all()


def test_the_gain_is_the_smaller_difference_in_bic():
    """The slow twin: log-likelihoods of fitted normal densities."""
    from scipy.stats import norm

    x = np.random.default_rng(5).normal(size=(30, 4))
    members = np.arange(30) < 12
    x[members] += 3

    def bic(rows, groups):
        fit = np.zeros_like(rows)
        for group in groups:
            fit[group] = rows[group].mean(0)
        sd = np.sqrt(np.square(rows - fit).mean())
        shares = sum(g.sum() * np.log(g.mean()) for g in groups)
        parameters = len(groups) * rows.shape[1] + len(groups) - 1 + 1
        return -2 * (norm.logpdf(rows, fit, sd).sum() + shares) + parameters * np.log(len(rows))

    axis = x[members].mean(0) - x[~members].mean(0)
    line = (x @ axis)[:, None]
    everyone, both = [np.ones(30, dtype=bool)], [members, ~members]
    gains = [bic(rows, everyone) - bic(rows, both) for rows in (x, line)]
    assert bic_gain(x, members) == pytest.approx(min(gains))
