"""job=crossvalidate as a person meets it: every row judged once, several interpreters on the same folds."""

import pytest
from worlds import random_lm_folder

import hsae
from hsae import build
from hsae.build import address
from hsae.errors import ConfigError, UserError
from hsae.execute import execute
from hsae.jobs import crossvalidate


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An encyclopedia of 40 nouns in two stages, and the overrides that name it."""
    model, outputs = random_lm_folder(tmp_path_factory.mktemp("model")), tmp_path_factory.mktemp("outputs")
    said = [f"model.path={model}", f"outputs={outputs}", "layers.sites=[resid_post.1]"]
    said += ["concepts=builtin", "concepts.n=40", "hardware=cpu", "evaluations=[]"]
    said += ["encyclopedia.controls=0", "contexts.templates.per_concept=16"]
    for stage in ("raw", "templates"):
        execute(build.compose([*said, "job=bootstrap", f"stage={stage}"]))
    return said


def composed(made, *overrides):
    return build.compose([*made, "job=crossvalidate", "interpreter=lda", *overrides])


def told(outcome):
    return hsae.load(outcome.folder)


def test_interpreters_are_compared_on_the_same_folds_of_templates(made):
    outcome = execute(composed(made, "job.against=[nearest_mean]", "job.folds=4"))
    found = told(outcome)
    assert list(found["accuracy"]) == ["lda", "nearest_mean"] and list(found["against"]) == ["nearest_mean"]
    assert found["accuracy"]["lda"]["low"] > 5 * found["chance"] == 5 / 40
    assert len(found["folds"]) == 4 and found["n"] == sum(one["rows"] for one in found["folds"])
    gain = found["accuracy"]["lda"]["value"] - found["accuracy"]["nearest_mean"]["value"]
    assert found["against"]["nearest_mean"]["value"] == pytest.approx(gain)
    assert outcome.metrics["accuracy"] == pytest.approx(found["accuracy"]["lda"]["value"], abs=1e-4)


def test_one_source_after_another_is_left_out(made):
    found = told(execute(composed(made, "job.by=source")))
    assert {one["fold"] for one in found["folds"]} == {"raw", "definition", "scene", "category", "dialogue"}
    assert found["units"] == 5


def test_a_stage_of_one_source_has_none_to_leave_out(made):
    with pytest.raises(UserError, match="all raw rows are of the source raw"):
        execute(composed(made, "job.by=source", "stage=raw"))


def test_an_interpreter_is_not_compared_with_itself(made):
    with pytest.raises(ConfigError, match="Name each once"):
        crossvalidate.needs(composed(made, "job.against=[lda]"))
    with pytest.raises(ConfigError, match="interpreter=lda"):
        crossvalidate.needs(composed(made, "interpreter=none"))


def test_the_choices_of_a_crossvalidation_decide_its_address(made):
    where = lambda *overrides: address(composed(made, *overrides)).fingerprint
    others = (["interpreter=linear"], ["seed=1"], ["job.by=source"], ["job.folds=7"], ["job.against=[mlp]"])
    assert len({where(), *(where(*other) for other in others)}) == 6
