"""Controls find nothing where nothing is, everything where the token tells everything, and say who fitted."""

import numpy as np
import pytest
import torch
from worlds_interpreters import VARIANTS, C, make, plugin, ready, roles, taxonomy

from hsae.interpreters.base import Interpreter, Rows
from hsae.interpreters.calibration import assess
from hsae.interpreters.judging.controls import control, nearest, permuted, trigrams
from hsae.interpreters.judging.firing import MEANINGLESS, alarms, firing, noise
from hsae.interpreters.roles import Roles

TOY = Roles(*roles())
TEST = TOY.test
REAL = assess(ready("lda"), TEST)


def of(x):
    """The toy's contexts with other activations, made of each row's concept."""
    return Roles(*(rows._replace(x=x(rows.concept)) for rows in TOY))


def line(variant, given, real=REAL):
    module, settings = plugin(variant)
    build = lambda roles: module.build(
        settings,
        d=roles.fit.x.shape[-1],
        sites=1 if roles.fit.x.ndim == 2 else roles.fit.x.shape[1],
        taxonomy=taxonomy(),
        seed=0,
    )
    made = control(build, given, taxonomy=taxonomy(), device="cpu", seed=0)
    return made.line(real, given, seed=0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_permuted_labels_leave_every_interpreter_at_chance_and_unsure(variant):
    found = line(variant, permuted(TOY, seed=0))
    assert found["low"] < 2 / C and found["refused"] is None and found["by"] == variant
    assert found["gain"]["low"] > 0.2
    assert found["confidence"]["value"] < 0.4


def test_permuting_keeps_how_many_rows_a_concept_has():
    shuffled = permuted(TOY, seed=0)
    assert torch.equal(shuffled.fit.concept.bincount(), TOY.fit.concept.bincount())
    assert not torch.equal(shuffled.fit.concept, TOY.fit.concept)
    assert shuffled.tune is TOY.tune and shuffled.test is TOY.test


def test_the_gain_over_a_control_is_paired():
    """The same interpreter beside itself gains nothing, row by row."""
    gain = line("lda", TOY)["gain"]
    assert gain == {"value": 0, "low": 0, "high": 0}


def test_where_the_token_says_all_nothing_varies_and_the_nearest_mean_says_so():
    codes = torch.randn(C, 8, generator=torch.Generator().manual_seed(0))
    found = line("lda", of(lambda concept: codes[concept]))
    assert found["value"] == 1 and found["by"] == "nearest_mean"
    assert "do not vary within concepts" in found["refused"]
    assert line("nearest_mean", of(lambda concept: codes[concept]))["refused"] is None


def test_a_transformer_over_sites_is_replaced_where_there_is_one_site():
    found = line("tokens", of(lambda concept: torch.nn.functional.one_hot(concept, C).float()))
    assert found["by"] == "nearest_mean" and "several sites" in found["refused"]


def test_trigrams_are_counted_whatever_the_case():
    found = trigrams(["Banana", "banana", "x", ""], 4096)
    assert torch.equal(found[0], found[1])
    assert found.sum(1).tolist() == [6, 6, 1, 0]
    assert found[0].max() >= 2, "ana stands twice in banana"


def test_noise_has_the_mean_and_the_covariance_of_test_rows():
    x, made = TEST.x.flatten(1).double(), noise(TEST, seed=0).x.flatten(1).double()
    spread = x.std(0)
    assert ((made.mean(0) - x.mean(0)).abs() < 5 * spread / len(made) ** 0.5).all()
    scale = spread[:, None] * spread
    assert ((made.T.cov() - x.T.cov()) / scale).abs().max() < 0.15
    assert made.shape[1] == x.shape[1] and not torch.equal(noise(TEST, seed=1).x, noise(TEST, seed=0).x)


def fired(interpreter, **others):
    null = line("lda", permuted(TOY, seed=0))["confidence"]
    confidence = assess(interpreter, TEST).confidence
    return firing(interpreter, confidence, others, null=null, seed=0)


def test_the_threshold_lets_95_percent_of_test_rows_pass():
    found = fired(ready("lda"), again=TEST)
    assert found["test"]["value"] >= 0.95
    assert found["kinds"]["again"]["value"] == pytest.approx(found["test"]["value"])
    beyond = np.nextafter(found["threshold"], 2)
    assert (REAL.confidence >= beyond).mean() < 0.95


class Told(Interpreter):
    """Its scores are the activations themselves."""

    def scores(self, x):
        return x.flatten(1)

    def fit(self, fit, tune, *, device, checkpoint):
        raise NotImplementedError


def test_what_looks_like_no_concept_does_not_fire_and_what_looks_like_one_does():
    told = Told(plugin("lda")[1], d=C, sites=1, taxonomy=taxonomy(), seed=0)
    number = torch.arange(40)
    sure = Rows(10 * torch.eye(C)[number % C], number, number)
    confidence = assess(told, sure._replace(concept=number % C)).confidence
    null = {"value": 0.2, "low": 0.15, "high": 0.25}
    others = {"noise": sure._replace(x=torch.zeros(40, C)), "placeholder": sure}
    kinds = firing(told, confidence, others, null=null, seed=0)["kinds"]
    assert (kinds["noise"]["value"], kinds["placeholder"]["value"]) == (0, 1)
    assert not kinds["noise"]["surer_than_null"] and kinds["placeholder"]["surer_than_null"]
    assert 0.02 < kinds["noise"]["high"] < 0.2, "none of 40 is not proof of none"
    assert kinds["noise"]["confidence"]["value"] == pytest.approx(1 / C)


def test_what_is_surer_than_permuted_labels_leave_is_said_in_words():
    found = fired(ready("lda"), noise=TEST, shuffled_gloss=TEST)
    (said,) = alarms(found)
    assert said.startswith("noise is taken for a concept") and "95 % of test rows" in said
    assert "shuffled_gloss" not in MEANINGLESS


def test_without_permuted_labels_nothing_is_compared_with_them():
    found = firing(ready("lda"), REAL.confidence, {"noise": TEST}, null=None, seed=0)
    assert found["kinds"]["noise"]["surer_than_null"] is None and not alarms(found)


def test_the_nearest_mean_of_controls_reads_rows_of_any_shape():
    for rows in (TOY, of(lambda concept: torch.zeros(len(concept), 5))):
        blank = nearest(rows, taxonomy(), seed=0)
        assert blank.width == rows.fit.x[0].numel()
    assert make("lda").width == TOY.fit.x[0].numel()
