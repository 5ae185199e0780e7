"""A new concept is registered by a few contexts, in a space that knows the seen concepts alone."""

import numpy as np
import pytest
import torch
from worlds_interpreters import C, roles, world

from hsae.errors import UserError
from hsae.interpreters.base import Rows
from hsae.interpreters.classes import classes
from hsae.interpreters.unseen.held_out import HeldOut
from hsae.interpreters.unseen.registration import Registered, Space, learned, places, plain, register, scores
from hsae.interpreters.unseen.shots import curve, swapped
from hsae.seeding import stream

SEEN = np.arange(C) < 8


def space(fit: Rows) -> Space:
    return learned(classes(fit.chosen(torch.from_numpy(SEEN)[fit.concept]), concepts=C))


def points(fit: Rows, test: Rows, *, shots=(1, 4, 16), draws: int = 3):
    named = register(fit, test, SEEN, space=space(fit), shots=shots, draws=draws, seed=0)
    split = HeldOut(SEEN, ~SEEN, np.zeros(C, bool), np.arange(C), 0)
    return {(one["score"], one["shots"]): one for one in curve(named, test.concept.numpy(), split, seed=0)}


def test_more_contexts_tell_a_new_concept_better_and_another_ones_contexts_do_not():
    fit, _, test = roles()
    found = points(fit, test)
    for kind in ("predictive", "cosine"):
        rising = [found[kind, n]["accuracy"]["value"] for n in (1, 4, 16)]
        assert rising[0] + 0.02 < min(rising[1:])
        assert rising[2] > 5 * found[kind, 16]["accuracy"]["chance"]
        assert found[kind, 16]["accuracy"]["chance"] == pytest.approx(1 / C)
        assert found[kind, 16]["permuted"]["value"] < 2 / C
    assert all(len(one["draws"]) == 3 for one in found.values())


def test_with_many_contexts_a_registered_concept_is_told_nearly_as_well_as_by_the_true_gaussians():
    fit, _, test = roles()
    named = points(fit, test, shots=(50,))["predictive", 50]
    new = test.chosen(torch.from_numpy(~SEEN)[test.concept])
    assert named["accuracy"]["value"] > world().optimum(new) - 0.1


def test_the_space_knows_nothing_of_the_held_out_concepts():
    fit = roles()[0]
    held = torch.from_numpy(~SEEN)[fit.concept]
    other = fit._replace(x=torch.where(held[:, None, None], fit.x * 7 + 1, fit.x))
    for one, two in zip(space(fit), space(other), strict=True):
        torch.testing.assert_close(one, two)


def test_in_the_space_contexts_of_one_concept_scatter_equally_in_all_directions():
    fit = roles()[0]
    z = space(fit).of(fit.x).double()
    known = classes(Rows(z[:, None], fit.concept, fit.template), concepts=C)
    assert known.within.diagonal().min() > 0.5 and known.within.diagonal().max() < 1.6


def test_a_draw_names_each_row_once_and_fewer_contexts_are_among_the_more():
    concept = torch.tensor([2, 0, 2, 2, 0, 5])
    found = places(concept, seed=0, draw=0)
    assert sorted(found[concept == 2].tolist()) == [0, 1, 2] and found[5] == 0
    draws = {tuple(places(concept, seed=0, draw=draw).tolist()) for draw in range(20)}
    assert len(draws) > 3
    torch.testing.assert_close(found, places(concept, seed=0, draw=0))


def test_the_predictive_score_is_the_log_density_of_a_gaussian_that_knows_its_own_doubt():
    g = stream(0, "predictive")
    t = torch.tensor([0.0, 0.5, 4.0])
    known = Registered(torch.randn(5, 3, generator=g), torch.tensor([1, 2, 8, 100, 0]))
    z = torch.randn(6, 3, generator=g)
    found = scores(Space(torch.zeros(3), torch.eye(3), t), known, z, "predictive")
    for c in range(4):
        n = known.n[c]
        own = torch.distributions.Normal(known.mean[c] * n * t / (1 + n * t), (1 + t / (1 + n * t)).sqrt())
        slow = own.log_prob(z).sum(1)
        torch.testing.assert_close(found[:, c] - found[:, 0], slow - _first(known, t, z))
    assert (found[:, 4] == -torch.inf).all()


def _first(known: Registered, t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    n = known.n[0]
    own = torch.distributions.Normal(known.mean[0] * n * t / (1 + n * t), (1 + t / (1 + n * t)).sqrt())
    return own.log_prob(z).sum(1)


def test_what_has_no_spread_within_concepts_is_registered_in_a_plain_space():
    fit, _, test = roles()
    still = lambda rows: rows._replace(x=world().means[rows.concept].reshape(-1, 2, 8))
    with pytest.raises(UserError, match="no covariance"):
        space(still(fit))
    named = register(
        still(fit), still(test), SEEN, space=plain(still(fit).x), kinds=["cosine"], shots=[1], draws=1, seed=0
    )
    assert (next(named).of_all == test.concept.numpy()).all()


def test_the_null_looks_for_every_held_out_concept_under_another():
    found = swapped(np.arange(C), SEEN)
    assert (found[SEEN] == np.flatnonzero(SEEN)).all()
    assert (found[~SEEN] != np.flatnonzero(~SEEN)).all() and sorted(found[~SEEN]) == list(range(8, C))
