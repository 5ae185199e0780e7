"""Baselines that are worth beating."""

import pytest
import torch

from hsae.dictionary import Dictionary
from hsae.evaluations.baselines import PCA, RandomDictionary
from hsae.metrics import explained_variance, l0
from hsae.seeding import stream


@pytest.fixture
def rows():
    """Ten dimensions, each half as strong as the one before, far from the origin."""
    generator = stream(0, "rows of baselines")
    return torch.randn(2000, 10, generator=generator) * 2.0 ** -torch.arange(10) + 3


def explained(dictionary, x):
    return explained_variance(x, dictionary.decode(dictionary.encode(x)))


@pytest.mark.parametrize(
    "make", [lambda x: PCA(x, k=4), lambda x: RandomDictionary(x, latents=30, k=4, seed=0)]
)
def test_a_baseline_is_a_dictionary_of_the_l0_that_was_asked_for(rows, make):
    baseline = make(rows)
    code = baseline.encode(rows)
    assert isinstance(baseline, Dictionary)
    assert code.shape == (2000, baseline.latents)
    assert baseline.vectors.shape == (baseline.latents, baseline.d)
    assert (code >= 0).all()
    assert l0(code) == pytest.approx(4, abs=0.01)


def test_all_components_give_back_everything(rows):
    assert explained(PCA(rows, k=10), rows) == pytest.approx(1.0, abs=1e-6)


def test_a_component_is_chosen_per_row_by_its_magnitude(rows):
    pca = PCA(rows, k=1)
    x = pca.mean + torch.stack([pca.basis[7] * 0.5, -pca.basis[2]])
    code = pca.encode(x)
    assert code.nonzero().tolist() == [[0, 7], [1, 12]]
    torch.testing.assert_close(pca.decode(code), x)
    assert pca.vectors[12].dot(pca.basis[2]).item() == pytest.approx(-1.0)


def test_choosing_components_per_row_beats_the_same_few_for_all(rows):
    pca = PCA(rows, k=3)
    away = rows - rows.mean(0)
    fixed = rows.mean(0) + away @ pca.basis[:3].T @ pca.basis[:3]
    assert explained(pca, rows) >= explained_variance(rows, fixed)


def test_random_directions_with_their_gain_do_not_overshoot(rows):
    random = RandomDictionary(rows, latents=200, k=20, seed=0)
    best = explained(random, rows)
    assert 0 < best < explained(PCA(rows, k=20), rows)
    for factor in (0.9, 1.1):
        random.gain *= factor
        assert explained(random, rows) < best
        random.gain /= factor


def test_random_directions_follow_the_seed(rows):
    vectors = [RandomDictionary(rows, latents=5, k=2, seed=seed).vectors for seed in (0, 0, 1)]
    assert torch.equal(vectors[0], vectors[1])
    assert not torch.equal(vectors[0], vectors[2])
