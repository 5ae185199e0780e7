"""What every interpreter promises, whatever it is: each YAML in conf/interpreter is held to all of it."""

import json

import pytest
import torch
from worlds_interpreters import (
    LEARNERS,
    SITES,
    VARIANTS,
    C,
    D,
    accuracy,
    fitted,
    make,
    ready,
    roles,
    world,
)

from hsae.errors import UserError
from hsae.interpreters import Rows, files
from hsae.interpreters.base import nll

FIT, TUNE, TEST = roles()
GAPS = {"lda": 0.03, "tokens": 0.16, "open_vocabulary": 0.26, "nearest_mean": 0.26}
"""How far below the true Gaussians an interpreter may stay: those that ignore the covariance, farther."""


@pytest.fixture(params=VARIANTS)
def variant(request):
    """Every interpreter in conf/interpreter: a new one is tested by existing."""
    return request.param


def test_every_learner_is_on_the_list():
    assert {name for name in VARIANTS if make(name).weights} == set(LEARNERS)


def test_it_finds_concepts_in_templates_that_it_never_met(variant):
    best, reached = world().optimum(TEST), accuracy(ready(variant), TEST)
    assert reached > 5 / C, "chance is 1 / C"
    assert reached > best - GAPS.get(variant, 0.13), (reached, best)


def test_its_posterior_is_one(variant):
    log_p = ready(variant).log_posterior(TEST.x)
    assert log_p.shape == (len(TEST.concept), C) and log_p.dtype == torch.float32
    assert (log_p.double().exp().sum(1) - 1).abs().max() < 1e-6


def test_a_row_is_read_alike_alone_and_in_a_batch(variant):
    alone = torch.cat([ready(variant).log_posterior(row[None]) for row in TEST.x[:5]])
    torch.testing.assert_close(alone, ready(variant).log_posterior(TEST.x)[:5], rtol=1e-4, atol=1e-5)


def test_permuted_labels_stay_at_chance(variant):
    order = torch.randperm(len(FIT.concept), generator=torch.Generator().manual_seed(0))
    broken = fitted(variant, fit=FIT._replace(concept=FIT.concept[order]))
    standard_error = (1 / C * (1 - 1 / C) / (len(TEST.concept) / 10)) ** 0.5
    assert accuracy(broken, TEST) < 1 / C + 3 * standard_error


def test_the_same_seed_is_the_same_interpreter(variant):
    again = fitted(variant)
    assert torch.equal(again.log_posterior(TEST.x), ready(variant).log_posterior(TEST.x))


@pytest.mark.parametrize("variant", LEARNERS)
def test_another_seed_starts_elsewhere_and_nobody_else_s_random_numbers_are_touched(variant):
    before = torch.get_rng_state()
    first, other = make(variant, seed=0).state_dict(), make(variant, seed=1).state_dict()
    assert any(not torch.equal(first[name], other[name]) for name in first)
    fitted(variant, "interpreter.epochs=1")
    assert torch.equal(torch.get_rng_state(), before)


def test_it_comes_back_from_disk_bit_for_bit(variant, tmp_path):
    files.save(ready(variant), tmp_path, site="resid_post.1")
    twin = files.load(tmp_path)
    assert torch.equal(twin.log_posterior(TEST.x), ready(variant).log_posterior(TEST.x))
    said = json.loads((tmp_path / "interpreter.json").read_text())
    assert (said["variant"], said["d"], said["sites"], said["site"]) == (variant, D, SITES, "resid_post.1")
    assert said["weights"] == ready(variant).weights
    assert [concept.id for concept in twin.taxonomy] == [f"toy:{row}" for row in range(C)]
    assert not any(weight.requires_grad for weight in twin.parameters()) and not twin.training


@pytest.mark.parametrize("damage", ["cut", "foreign", "gone", "unreadable"])
def test_a_damaged_file_says_so(damage, tmp_path):
    files.save(ready("lda"), tmp_path)
    weights, card = tmp_path / "interpreter.safetensors", tmp_path / "interpreter.json"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-9])
    elif damage == "foreign":
        files.save_tensors({"W": torch.ones(2)}, weights)
    elif damage == "gone":
        card.unlink()
    else:
        card.write_text("{")
    with pytest.raises(UserError):
        files.load(tmp_path)


def test_what_it_learns_does_not_hang_on_the_units_of_activations(variant):
    """Normalisation is fitted on fit and stays inside: 100 times the activations, the same answers."""
    louder = lambda rows: rows._replace(x=100 * rows.x)
    loud = make(variant)
    for _ in loud.fit(louder(FIT), louder(TUNE), device="cpu", checkpoint=None):
        pass
    same = loud.log_posterior(100 * TEST.x).argmax(1) == ready(variant).log_posterior(TEST.x).argmax(1)
    assert same.float().mean() > 0.98


def test_its_answer_for_a_row_does_not_hang_on_the_other_rows(variant):
    """Each role normalised by its own statistics would fail here: the historical code did that."""
    near, far = TEST.x[:8], torch.cat([TEST.x[:8], 50 + TEST.x[8:]])
    torch.testing.assert_close(
        ready(variant).log_posterior(far)[:8], ready(variant).log_posterior(near), rtol=1e-4, atol=1e-4
    )


def test_one_site_needs_no_axis_of_sites(variant):
    if variant == "tokens":
        with pytest.raises(UserError, match="several sites"):
            make(variant, sites=1)
        return
    flat = [rows._replace(x=rows.x.flatten(1)) for rows in (FIT, TUNE, TEST)]
    interpreter = make(variant, d=D * SITES, sites=1)
    for _ in interpreter.fit(flat[0], flat[1], device="cpu", checkpoint=None):
        pass
    assert accuracy(interpreter, flat[2]) == pytest.approx(accuracy(ready(variant), TEST), abs=0.02)


def test_activations_of_another_width_are_refused(variant):
    with pytest.raises(UserError, match="layers="):
        ready(variant).log_posterior(TEST.x[:, :1])


def test_a_fit_says_its_steps_and_ends_with_tune(variant):
    interpreter = make(variant)
    steps = list(interpreter.fit(FIT, TUNE, device="cpu", checkpoint=None))
    assert [step.n for step in steps] == list(range(1, len(steps) + 1)) and steps[-1].of >= len(steps)
    judged = [step.tune for step in steps if step.tune is not None]
    assert min(judged) == pytest.approx(nll(interpreter, TUNE), rel=1e-5), "the best epoch is kept"


@pytest.mark.parametrize("bad", ["empty", "infinite"])
def test_rows_that_cannot_be_learned_from_are_refused(variant, bad):
    rows = TUNE.chosen(slice(0, 0)) if bad == "empty" else TUNE._replace(x=TUNE.x / 0)
    with pytest.raises(UserError):
        next(make(variant).fit(FIT, rows, device="cpu", checkpoint=None))


def test_concepts_never_fitted_on_are_refused_or_have_an_answer(variant):
    """All closed ones refuse but the historical, which shows what comes of it: accuracy 0."""
    known = FIT.concept != C - 1
    fit, unseen = FIT.chosen(known), TEST.chosen(TEST.concept == C - 1)
    if make(variant).refuses_unseen:
        with pytest.raises(UserError, match="by construction"):
            next(make(variant).fit(fit, TUNE, device="cpu", checkpoint=None))
        seen = TUNE.chosen(TUNE.concept != C - 1)
        interpreter = make(variant)
        for _ in interpreter.fit(fit, seen, device="cpu", checkpoint=None):
            pass
        log_p = interpreter.log_posterior(unseen.x)
        assert (log_p[:, -1] == -torch.inf).all() and not log_p.isnan().any()
        assert accuracy(interpreter, TEST.chosen(TEST.concept != C - 1)) > 5 / C
    else:
        log_p = fitted(variant, fit=fit).log_posterior(unseen.x)
        assert log_p.isfinite().all()
        assert variant != "historical" or not (log_p.argmax(1) == C - 1).any()


def test_rows_can_be_few(variant):
    """One row per concept and template, and a last batch of one row."""
    few = FIT.chosen(torch.arange(len(FIT.concept)) % 5 == 0)
    odd = Rows(*(torch.cat([column, column[:1]]) for column in few)).chosen(slice(0, 65))
    assert len(odd.concept) == 65
    tune = TUNE.chosen(torch.isin(TUNE.concept, odd.concept))
    interpreter = make(variant)
    for _ in interpreter.fit(odd, tune, device="cpu", checkpoint=None):
        pass
    assert interpreter.log_posterior(TEST.x).exp().isfinite().all()
