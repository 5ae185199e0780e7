"""job=interpret as a person meets it: fitted on some templates, asked on others, beside its controls."""

import json

import pytest
import torch
from worlds import random_lm_folder

import hsae
from hsae import build
from hsae.build import address
from hsae.errors import ConfigError, UserError
from hsae.execute import execute
from hsae.jobs import interpret

SITES = "layers.sites=[resid_post.0,resid_post.1]"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An encyclopedia of 40 nouns in two stages, and the overrides that name it."""
    model, outputs = random_lm_folder(tmp_path_factory.mktemp("model")), tmp_path_factory.mktemp("outputs")
    said = [f"model.path={model}", f"outputs={outputs}", SITES, "concepts=builtin", "concepts.n=40"]
    said += ["hardware=cpu", "evaluations=[]", "encyclopedia.controls=3", "contexts.templates.per_concept=16"]
    for stage in ("raw", "templates"):
        execute(build.compose([*said, "job=bootstrap", f"stage={stage}"]))
    return said


def composed(made, *overrides):
    return build.compose([*made, "job=interpret", "site=resid_post.1", *overrides])


def scores(outcome):
    return json.loads((outcome.folder / "scores.json").read_text())


@pytest.mark.parametrize("name", ["nearest_mean", "lda"])
def test_it_tells_concepts_apart_and_permuted_labels_do_not(made, name):
    outcome = execute(composed(made, f"interpreter={name}"))
    found = scores(outcome)
    assert found["accuracy"]["low"] > 5 * found["chance"] == 5 / 40
    assert found["controls"]["permuted"]["low"] < 3 * found["chance"]
    assert 0 <= found["ece"] <= 1 and found["n"] > 100 and found["concepts"] == 40
    assert outcome.metrics["accuracy"] == pytest.approx(found["accuracy"]["value"], abs=1e-4)
    assert set(found["controls"]) == {"permuted", "sure_of_test", "sure_of_noise", "sure_of_controls"}
    interpreter = hsae.load(outcome.folder)
    assert interpreter.log_posterior(torch.zeros(1, 32)).exp().sum() == pytest.approx(1, abs=1e-4)


def test_every_source_that_can_be_fitted_on_is_asked_about_every_other(made):
    found = scores(execute(composed(made, "interpreter=lda")))["matrix"]
    families = {"definition", "scene", "category", "dialogue"}
    assert {line["test"] for line in found} == families
    assert {line["fit"] for line in found} <= {*families, "raw"}
    assert all(0 <= line["low"] <= line["value"] <= line["high"] <= 1 for line in found)


def test_stages_are_compared_on_the_same_contexts(made):
    alone = ["interpreter=nearest_mean", "stage=raw", "job.matrix=false"]
    with pytest.raises(UserError, match="no raw row of the role tune"):
        execute(composed(made, *alone))
    early = composed(made, *alone, "job.judge=templates")
    assert set(interpret.needs(early)) == {"encyclopedia", "judge"}
    late = scores(execute(composed(made, "interpreter=nearest_mean", "job.matrix=false")))
    assert scores(execute(early))["n"] == late["n"]


def test_the_historical_split_gives_zero_and_says_why(made, capsys):
    outcome = execute(
        composed(made, "stage=raw", "interpreter=historical", "interpreter.epochs=2", "job.split=concept")
    )
    assert outcome.metrics["validation"] == outcome.metrics["test"] == 0
    assert "by construction" in capsys.readouterr().out


def test_an_interpreter_that_knows_better_refuses_that_split(made):
    with pytest.raises(UserError, match="by construction"):
        execute(composed(made, "stage=raw", "interpreter=lda", "job.split=concept"))


def test_several_sites_are_read_at_once(made):
    config = build.compose([*made, "job=interpret", "interpreter=tokens", "interpreter.epochs=2"])
    found = scores(execute(config))
    assert found["accuracy"]["value"] > found["chance"]


def test_what_decides_the_content_decides_the_address(made):
    where = lambda *overrides: address(composed(made, *overrides)).fingerprint
    others = (["interpreter=linear"], ["seed=1"], ["job.miss=0.2"], ["stage=raw"], ["job.judge=raw"])
    assert len({where(), *(where(*other) for other in others)}) == 6
    assert where("hardware.batch_tokens=9") == where()


def test_none_tells_nothing_apart(made):
    with pytest.raises(ConfigError, match="interpreter=lda"):
        interpret.needs(composed(made, "interpreter=none"))
