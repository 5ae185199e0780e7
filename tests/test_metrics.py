"""The numbers that peers got wrong, by hand."""

import pytest
import torch

from hsae.metrics import Variance, cosine, dead, density, explained_variance, fvu, l0, norm_ratio
from hsae.seeding import stream

X = torch.tensor([[2.0, 0.0], [0.0, 4.0]])


def test_explained_variance_of_the_hand_example():
    assert explained_variance(X, torch.tensor([[2.0, 1.0], [0.0, 3.0]])) == pytest.approx(0.8)
    assert fvu(X, torch.tensor([[2.0, 1.0], [0.0, 3.0]])) == pytest.approx(0.2)


def test_predicting_the_mean_explains_nothing_and_an_offset_is_far_below():
    assert explained_variance(X, X.mean(0).expand(2, 2)) == pytest.approx(0.0)
    assert explained_variance(X, X + 5) == pytest.approx(-9.0)
    assert explained_variance(X, X) == 1.0


def test_explained_variance_is_pooled_over_batches_whatever_their_size():
    x = torch.randn(101, 6, generator=stream(0, "x")) * torch.tensor([1.0, 2, 3, 4, 5, 6]) + 7
    x_hat = x + 0.5 * torch.randn(101, 6, generator=stream(0, "noise"))
    whole = explained_variance(x, x_hat)
    for batch in (1, 10, 64):
        pooled = Variance()
        for start in range(0, 101, batch):
            pooled.add(x[start : start + batch], x_hat[start : start + batch])
        assert pooled.explained == pytest.approx(whole, rel=1e-10)
        assert pooled.rows == 101


def test_a_large_mean_does_not_drown_a_small_variance():
    x = 1e6 + 0.01 * torch.randn(500, 4, generator=stream(0, "x"), dtype=torch.float64)
    noise = 0.001 * torch.randn(500, 4, generator=stream(0, "noise"), dtype=torch.float64)
    assert explained_variance(x, x + noise) == pytest.approx(0.99, abs=1e-3)


def test_where_nothing_varies_there_is_nothing_to_explain():
    with pytest.raises(ValueError, match="without variance"):
        explained_variance(torch.ones(3, 2), torch.ones(3, 2))
    with pytest.raises(ValueError, match="without rows"):
        _ = Variance().explained


def test_l0_is_a_count_and_density_a_share():
    code = torch.tensor([[1.0, 0, -2, 0], [0, 0, 3, 0]])
    assert l0(code) == 1.5
    assert density(code).tolist() == [0.5, 0, 1, 0]


def test_dead_says_in_how_many_tokens_and_how_rare_a_latent_may_still_be():
    silent = dead(torch.tensor([0, 5, 0, 1]), tokens=3000)
    assert (silent.count, silent.share, silent.bound) == (2, 0.5, 0.001)
    assert silent.latents.tolist() == [True, False, True, False]
    with pytest.raises(ValueError, match="before a token"):
        dead(torch.tensor([0]), tokens=0)


def test_cosine_and_norm_ratio_by_hand():
    y = torch.tensor([[2.0, 0.0], [4.0, 0.0]])
    assert cosine(X, y).tolist() == [1.0, 0.0]
    assert cosine(X, torch.zeros(2, 2)).tolist() == [0.0, 0.0]
    assert norm_ratio(X, X / 2) == pytest.approx(0.5)
