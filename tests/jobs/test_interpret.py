"""job=interpret as a person meets it: fitted on some templates, asked on others, beside its controls."""

import json

import pytest
import torch
from worlds import random_lm_folder

import hsae
from hsae import build
from hsae.build import address
from hsae.concepts.controls import KINDS
from hsae.errors import ConfigError, MissingInput, UserError
from hsae.execute import execute
from hsae.interpreters.judging import judged
from hsae.jobs import interpret

SITES = "layers.sites=[resid_post.0,resid_post.1]"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An encyclopedia of 40 nouns in two stages, and the overrides that name it."""
    model, outputs = random_lm_folder(tmp_path_factory.mktemp("model")), tmp_path_factory.mktemp("outputs")
    said = [f"model.path={model}", f"outputs={outputs}", SITES, "concepts=builtin", "concepts.n=40"]
    said += ["hardware=cpu", "evaluations=[]", "encyclopedia.controls=3", "contexts.templates.per_concept=16"]
    for job in ("bootstrap", "reread"):
        for stage in ("raw", "templates"):
            execute(build.compose([*said, f"job={job}", f"stage={stage}"]))
    return said


def composed(made, *overrides):
    return build.compose([*made, "job=interpret", "site=resid_post.1", *overrides])


FEW = "job.controls=[permuted]"


def scores(outcome):
    return json.loads((outcome.folder / "scores.json").read_text())


def rows(outcome):
    assert outcome.folder is not None
    return judged.load(outcome.folder)


@pytest.mark.parametrize("name", ["nearest_mean", "lda"])
def test_it_tells_concepts_apart_and_permuted_labels_do_not(made, name):
    outcome = execute(composed(made, f"interpreter={name}"))
    found = scores(outcome)
    assert found["accuracy"]["low"] > 5 * found["chance"] == 5 / 40
    assert found["controls"]["permuted"]["low"] < 3 * found["chance"]
    assert 0 <= found["ece"] <= 1 and found["n"] > 100 and found["concepts"] == 40
    assert outcome.metrics["accuracy"] == pytest.approx(found["accuracy"]["value"], abs=1e-4)
    assert set(found["controls"]) == {"permuted", "embedding", "untrained", "characters", "firing"}
    assert set(found["controls"]["firing"]["kinds"]) == {"noise", *KINDS}
    interpreter = hsae.load(outcome.folder)
    assert interpreter.log_posterior(torch.zeros(1, 32)).exp().sum() == pytest.approx(1, abs=1e-4)


def test_each_control_is_judged_on_the_rows_of_the_interpreter_itself(made):
    """And the order of what the terminal shows: accuracy, then what it must beat."""
    outcome = execute(composed(made, "interpreter=nearest_mean"))
    found = scores(outcome)
    for name in ("permuted", "embedding", "untrained", "characters"):
        control = found["controls"][name]
        gain = found["accuracy"]["value"] - control["value"]
        assert control["gain"]["value"] == pytest.approx(gain) and control["by"] == "nearest_mean"
        assert outcome.metrics[name] == pytest.approx(control["value"], abs=1e-4)
    assert found["controls"]["characters"]["value"] > 0.9, "the word itself names the concept"
    shown = ["accuracy", "low", "high", "chance", "permuted", "embedding", "untrained", "characters"]
    assert list(outcome.metrics)[:8] == shown


def test_only_the_controls_that_are_asked_for_are_made(made):
    config = composed(made, "interpreter=nearest_mean", FEW)
    assert set(interpret.needs(config)) == {"encyclopedia"}
    assert set(scores(execute(config))["controls"]) == {"permuted"}
    assert scores(execute(composed(made, "interpreter=nearest_mean", "job.controls=[]")))["controls"] == {}


def test_an_untrained_model_that_was_not_read_is_asked_for_with_the_command(made):
    with pytest.raises(MissingInput, match="hsae job=reread") as told:
        execute(composed(made, "interpreter=lda", "seed=7"))
    without = str(told.value).splitlines()[-1].removeprefix("Or do without: ")
    assert without.startswith("job.controls=[permuted,")
    assert set(interpret.needs(composed(made, "interpreter=lda", "seed=7", without))) == {"encyclopedia"}


def test_what_was_made_of_each_row_is_kept_and_its_means_are_the_scores(made):
    early = execute(composed(made, "interpreter=nearest_mean", "stage=raw", "job.judge=templates"))
    late = execute(composed(made, "interpreter=nearest_mean"))
    for outcome in (early, late):
        kept = rows(outcome)
        assert kept.correct.mean() == pytest.approx(scores(outcome)["accuracy"]["value"])
        assert kept.nll.mean() == pytest.approx(scores(outcome)["nll"]["value"], rel=1e-5)
        assert len(set(kept.concept.tolist())) == scores(outcome)["concepts"] and len(set(kept.source)) == 4
    one, other = judged.matched(rows(early), rows(late))
    assert len(one.uid) == len(set(one.uid.tolist())) == scores(late)["n"]
    assert (one.concept == other.concept).all() and (one.template == other.template).all()


def test_every_source_that_can_be_fitted_on_is_asked_about_every_other(made):
    found = scores(execute(composed(made, "interpreter=lda", FEW)))["matrix"]
    families = {"definition", "scene", "category", "dialogue"}
    assert {line["test"] for line in found} == families
    assert {line["fit"] for line in found} <= {*families, "raw"}
    assert all(0 <= line["low"] <= line["value"] <= line["high"] <= 1 for line in found)


def test_stages_are_compared_on_the_same_contexts(made):
    alone = ["interpreter=nearest_mean", "stage=raw", "job.matrix=false", FEW]
    with pytest.raises(UserError, match="no raw row of the role tune"):
        execute(composed(made, *alone))
    early = composed(made, *alone, "job.judge=templates")
    assert set(interpret.needs(early)) == {"encyclopedia", "judge"}
    both = composed(made, "interpreter=nearest_mean", "stage=raw", "job.judge=templates")
    assert set(interpret.needs(both)) == {"encyclopedia", "judge", "reread", "judge_reread"}
    late = scores(execute(composed(made, "interpreter=nearest_mean", "job.matrix=false", FEW)))
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
    config = build.compose([*made, "job=interpret", "interpreter=tokens", "interpreter.epochs=2", FEW])
    found = scores(execute(config))
    assert found["accuracy"]["value"] > found["chance"]


def test_what_decides_the_content_decides_the_address(made):
    where = lambda *overrides: address(composed(made, *overrides)).fingerprint
    others = (
        ["job.controls=[]"],
        ["interpreter=linear"],
        ["seed=1"],
        ["job.miss=0.2"],
        ["stage=raw"],
        ["job.judge=raw"],
    )
    assert len({where(), *(where(*other) for other in others)}) == 7
    assert where("hardware.batch_tokens=9") == where()


def test_none_tells_nothing_apart(made):
    with pytest.raises(ConfigError, match="interpreter=lda"):
        interpret.needs(composed(made, "interpreter=none"))
