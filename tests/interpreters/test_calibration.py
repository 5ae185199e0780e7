"""Temperature, calibration error, risk over coverage and conformal sets, each against a slow twin."""

import numpy as np
import pytest
import torch
from worlds_interpreters import C, fitted, ready, roles, taxonomy, world

from hsae.config import Part
from hsae.errors import UserError
from hsae.interpreters.base import Interpreter, Rows, nll
from hsae.interpreters.calibration import Assessment, assess, fit_temperature
from hsae.interpreters.historical import entropy_confidence
from hsae.interpreters.judging.conformal import halves, sets, threshold

FIT, TUNE, TEST = roles()


class Given(Interpreter):
    """Says what it is given: x is the logits."""

    def __init__(self, concepts: int = C):
        super().__init__(Part(), d=concepts, sites=1, taxonomy=taxonomy(), seed=0)

    def scores(self, x):
        return x[:, 0]

    def fit(self, fit, tune, *, device, checkpoint):
        raise NotImplementedError


def told(rows: int, *, sharper: float = 1.0, seed: int = 0) -> Rows:
    """Logits whose softmax is the truth's own distribution, then sharpened."""
    g = torch.Generator().manual_seed(seed)
    logits = 1.5 * torch.randn(rows, C, generator=g)
    concept = torch.multinomial(logits.softmax(1), 1, generator=g).squeeze(1)
    return Rows(sharper * logits, concept, torch.arange(rows) % 10)


@pytest.mark.parametrize("sharper", [0.2, 1.0, 7.0])
def test_the_temperature_undoes_what_was_sharpened(sharper):
    interpreter = Given()
    found = fit_temperature(interpreter, told(8000, sharper=sharper))
    assert found == pytest.approx(sharper, rel=0.06) and interpreter.temperature == pytest.approx(found)


def test_no_other_temperature_makes_tune_likelier():
    interpreter, rows = Given(), told(500, sharper=3.0)
    best = fit_temperature(interpreter, rows, batch=77)
    losses = {}
    for factor in (0.9, 1.0, 1.1):
        interpreter.temperature.fill_(best * factor)
        losses[factor] = nll(interpreter, rows, batch=77)
    assert min(losses, key=losses.get) == 1.0


def test_where_every_row_is_right_the_temperature_ends_where_nothing_is_left_to_gain():
    rows, interpreter = told(50), Given()
    rows = rows._replace(x=torch.eye(C)[rows.concept])
    assert 0.001 <= fit_temperature(interpreter, rows) < 0.2 and nll(interpreter, rows) < 1e-5


def test_where_every_row_is_wrong_the_temperature_leaves_no_opinion():
    rows, interpreter = told(50), Given()
    rows = rows._replace(x=-torch.eye(C)[rows.concept])
    fit_temperature(interpreter, rows)
    assert nll(interpreter, rows) == pytest.approx(np.log(C), abs=0.01)


def test_concepts_that_are_impossible_do_not_disturb_the_temperature():
    rows = told(2000, sharper=2.0)
    masked = rows._replace(x=rows.x.clone())
    never = rows.concept.bincount(minlength=C).argmin()
    keep = rows.concept != never
    masked.x[:, never] = -torch.inf
    found = fit_temperature(Given(), masked.chosen(keep))
    assert found == pytest.approx(2.0, rel=0.15)


def test_a_true_posterior_is_calibrated_and_a_sharpened_one_is_not():
    honest, sure = (assess(Given(), told(8000, sharper=sharper)) for sharper in (1.0, 4.0))
    assert honest.ece() < 0.03 < 0.2 < sure.ece()
    assert honest.summary()["accuracy"] == sure.summary()["accuracy"]
    assert (
        honest.summary()["nll"] < sure.summary()["nll"]
        and honest.summary()["brier"] < sure.summary()["brier"]
    )


def test_scores_per_row_equal_their_formulas():
    rows = told(300)
    p = rows.x.double().softmax(1)
    onehot = torch.eye(C)[rows.concept].double()
    seen = assess(Given(), rows, batch=64)
    assert seen.nll == pytest.approx(-p.gather(1, rows.concept[:, None]).log().squeeze(1).numpy(), rel=1e-5)
    assert seen.brier == pytest.approx((p - onehot).square().sum(1).numpy(), rel=1e-4)
    assert seen.confidence == pytest.approx(p.amax(1).numpy(), rel=1e-5)
    assert (seen.correct == (p.argmax(1) == rows.concept).numpy()).all()


def test_bins_of_the_calibration_error_hold_equal_numbers():
    seen = assess(Given(), told(103))
    order = np.argsort(seen.confidence, kind="stable")
    by_hand = sum(
        len(part) / 103 * abs(seen.correct[part].mean() - seen.confidence[part].mean())
        for part in np.array_split(order, 10)
    )
    assert seen.ece(bins=10) == pytest.approx(by_hand)


def test_risk_over_coverage_equals_a_loop_and_ties_are_shared():
    seen = assess(Given(), told(60))
    order = np.argsort(-seen.confidence)
    risks = [1 - seen.correct[order[: n + 1]].mean() for n in range(60)]
    assert seen.aurc() == pytest.approx(np.mean(risks))
    tied = Assessment(np.array([True, False, True, False]), np.full(4, 0.5), np.zeros(4), np.zeros(4))
    assert tied.aurc() == pytest.approx(0.5), "no order among equals is better than another"


def test_the_historical_confidence_can_be_reported_beside():
    rows = told(400)
    plain, historical = assess(Given(), rows), assess(Given(), rows, confidence=entropy_confidence)
    assert (plain.correct == historical.correct).all() and not np.allclose(
        plain.confidence, historical.confidence
    )
    assert historical.ece() > plain.ece(), "it is no probability"


@pytest.mark.parametrize("miss", [0.1, 0.3])
@pytest.mark.parametrize("sharper", [1.0, 5.0])
def test_sets_cover_as_often_as_promised_even_of_a_wrong_posterior(miss, sharper):
    t = threshold(Given(), told(3000, sharper=sharper, seed=1), miss=miss, seed=0)
    judged = sets(Given(), told(4000, sharper=sharper, seed=2), t=t, seed=0)
    assert judged.covered.mean() == pytest.approx(1 - miss, abs=0.025)
    assert 1 <= judged.size.mean() < C


def test_a_set_is_the_likeliest_concepts_one_by_one():
    rows, t = told(40), 0.8
    u = torch.rand(40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    judged = sets(Given(), rows, t=t, seed=0)
    again = sets(Given(), rows, t=t, seed=0, batch=7)
    assert (judged.size == again.size).all() and (judged.covered == again.covered).all()
    p = rows.x.double().softmax(1)
    for row in range(40):
        mass = [p[row][p[row] > p[row, c]].sum() for c in range(C)]
        least = sum(bool(mass[c] + p[row, c] <= t) for c in range(C))
        most = sum(bool(mass[c] <= t) for c in range(C))
        assert least <= judged.size[row] <= most, u[row]


def test_too_few_rows_to_promise_give_everything():
    few = told(8)
    assert threshold(Given(), few, miss=0.1, seed=0) == np.inf
    assert sets(Given(), few, t=np.inf, seed=0).size.tolist() == [C] * 8


def test_surer_interpreters_have_smaller_sets():
    size = {}
    for variant in ("nearest_mean", "lda"):
        _, calibration = halves(TUNE, seed=0)
        t = threshold(ready(variant), calibration, miss=0.1, seed=0)
        size[variant] = sets(ready(variant), TEST, t=t, seed=0).size.mean()
    assert size["lda"] < size["nearest_mean"]


def test_halves_share_no_template_and_lose_no_row():
    first, second = halves(TUNE, seed=0)
    assert not set(first.template.tolist()) & set(second.template.tolist())
    assert len(first.concept) + len(second.concept) == len(TUNE.concept)
    assert len(first.template.unique()) == len(second.template.unique()) == 2
    with pytest.raises(UserError, match="halved by template"):
        halves(TUNE._replace(template=torch.zeros_like(TUNE.template)), seed=0)


def test_a_temperature_makes_tune_likelier_and_changes_no_answer(tmp_path):
    interpreter = fitted("mlp", "interpreter.dropout=0.0")
    before, loss = interpreter.log_posterior(TEST.x), nll(interpreter, TUNE)
    fit_temperature(interpreter, TUNE)
    assert nll(interpreter, TUNE) <= loss
    assert torch.equal(interpreter.log_posterior(TEST.x).argmax(1), before.argmax(1))


def test_the_toy_world_can_be_known_but_not_wholly():
    assert 0.9 < world().optimum(TEST) < 1
