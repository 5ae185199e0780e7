"""Fitting by gradients: exact resume, the schedule, what is kept, what is refused."""

import math

import pytest
import torch
from worlds_interpreters import LEARNERS, C, accuracy, fitted, make, ready, roles

from hsae.errors import UserError
from hsae.interpreters.base import Rows
from hsae.interpreters.training import Training, rate, seeded

FIT, TUNE, TEST = roles()
SHORT = "interpreter.epochs=3"


@pytest.fixture(params=LEARNERS)
def learner(request):
    return request.param


def state(training: Training, path) -> bytes:
    training.save(path)
    return path.read_bytes()


@pytest.mark.parametrize("killed_after", [4, 10, 17])
def test_a_killed_fit_ends_in_the_same_bytes(learner, killed_after, tmp_path):
    """Ten steps are an epoch: in its middle, at its end, and later; dropout is drawn again alike."""
    whole = Training(make(learner, SHORT), FIT, TUNE)
    list(whole.steps())
    cut = Training(make(learner, SHORT), FIT, TUNE)
    for step in cut.steps():
        if step.n == killed_after:
            break
    cut.save(tmp_path / "cut")
    del cut
    torch.rand(3)  # another process has drawn other numbers
    resumed = Training(make(learner, SHORT, seed=0), FIT, TUNE)
    resumed.load(tmp_path / "cut")
    steps = list(resumed.steps())
    assert steps[0].n == killed_after + 1
    assert state(resumed, tmp_path / "a") == state(whole, tmp_path / "b")


def test_a_fit_goes_on_from_its_checkpoint(learner, tmp_path):
    path = tmp_path / "checkpoint"
    first = make(learner, SHORT)
    steps = first.fit(FIT, TUNE, device="cpu", checkpoint=path)
    for step in steps:
        if step.n == 15:
            break
    steps.close()
    again = make(learner, SHORT)
    done = [step.n for step in again.fit(FIT, TUNE, device="cpu", checkpoint=path)]
    assert done[0] == 11, "it is saved after every epoch of ten steps"
    whole = fitted(learner, SHORT)
    assert torch.equal(again.log_posterior(TEST.x), whole.log_posterior(TEST.x))
    assert not list(make(learner, SHORT).fit(FIT, TUNE, device="cpu", checkpoint=path)), "all was done"


@pytest.mark.parametrize("other", ["another variant", "other rows", "another length"])
def test_the_checkpoint_of_another_fit_is_refused(other, tmp_path):
    path = tmp_path / "checkpoint"
    fitted("linear", SHORT, checkpoint=path)
    variant = "mlp" if other == "another variant" else "linear"
    rows = FIT.chosen(slice(0, 590)) if other == "other rows" else FIT
    epochs = "interpreter.epochs=2" if other == "another length" else SHORT
    with pytest.raises(UserError, match="start afresh"):
        next(make(variant, epochs).fit(rows, TUNE, device="cpu", checkpoint=path))


def test_every_weight_learns(learner):
    """But the historical queries and keys, which have one token to choose from."""
    interpreter = make(learner)
    interpreter.prepare(FIT)
    interpreter.loss(FIT.x, FIT.concept).backward()
    for name, weight in interpreter.named_parameters():
        assert weight.grad is not None and weight.grad.any(), name


def test_it_stops_when_tune_no_longer_gets_better_and_keeps_the_best():
    confused = TUNE._replace(concept=TUNE.concept.flip(0))
    interpreter = make("mlp", "interpreter.patience=2")
    steps = list(interpreter.fit(FIT, confused, device="cpu", checkpoint=None))
    judged = [step.tune for step in steps if step.tune is not None]
    assert len(judged) < 20 and judged.index(min(judged)) == len(judged) - 3


def test_the_rate_rises_along_a_line_and_falls_along_a_cosine():
    rates = [rate(step, 100, warmup=0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert max(rates) == 1.0 and rates[55] == pytest.approx(0.5) and 0 < rates[-1] < 0.001
    assert all(later < earlier for earlier, later in zip(rates[10:], rates[11:], strict=False))
    assert rate(0, 1, warmup=0.1) == 1.0 and rate(0, 7, warmup=0.0) == 1.0


def test_the_gradient_is_clipped():
    free, clipped = (
        next(make("linear", f"interpreter.clip={clip}").fit(FIT, TUNE, device="cpu", checkpoint=None))
        for clip in (1e9, 1e-3)
    )
    assert free.gradient == clipped.gradient > 1e-3, "what is told is the norm before"


def test_a_fit_that_diverges_says_so():
    interpreter = make("linear", "interpreter.lr=1e30", "interpreter.warmup=0")
    with pytest.raises(UserError, match="interpreter.lr below"):
        list(interpreter.fit(FIT, TUNE, device="cpu", checkpoint=None))


def test_nothing_is_as_large_as_all_rows_times_all_concepts(monkeypatch):
    largest = 0
    scores = type(make("linear")).scores

    def watched(self, x):
        nonlocal largest
        answer = scores(self, x)
        largest = max(largest, answer.numel())
        return answer

    monkeypatch.setattr(type(make("linear")), "scores", watched)
    fitted("linear", SHORT)
    assert largest == 64 * C < len(TUNE.concept) * C


def test_normalisation_is_of_fit_alone():
    interpreter = fitted("linear", SHORT)
    torch.testing.assert_close(interpreter.normalise.mean, FIT.x.mean(0), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(interpreter.normalise.std, FIT.x.std(0, correction=0), rtol=1e-5, atol=1e-5)


def test_a_unit_that_never_varies_does_no_harm():
    constant = lambda rows: Rows(
        torch.cat([rows.x[..., :-1], torch.full_like(rows.x[..., :1], 7.1)], -1), *rows[1:]
    )
    interpreter = make("linear")
    for _ in interpreter.fit(constant(FIT), constant(TUNE), device="cpu", checkpoint=None):
        pass
    assert accuracy(interpreter, constant(TEST)) > 0.6


def test_seeded_draws_depend_on_seed_and_purpose_alone():
    def draw(seed: int, purpose: str) -> float:
        with seeded(seed, purpose):
            return torch.rand(()).item()

    assert draw(0, "a") == draw(0, "a") and len({draw(0, "a"), draw(1, "a"), draw(0, "b")}) == 3


def test_a_second_fit_forgets_the_temperature():
    interpreter = fitted("linear", SHORT)
    interpreter.temperature.fill_(9.0)
    steps = list(interpreter.fit(FIT, TUNE, device="cpu", checkpoint=None))
    assert interpreter.temperature == 1.0 and math.isfinite(steps[-1].loss)


def test_a_fitted_interpreter_is_done_learning():
    assert not ready("mlp").training
