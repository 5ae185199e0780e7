"""job=retrieve as a person meets it: concepts that nothing was fitted on, beside what words alone do."""

import pytest
from worlds import random_lm_folder

import hsae
from hsae import build
from hsae.build import address
from hsae.errors import UserError
from hsae.execute import execute


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An encyclopedia of 120 nouns in two stages, and the overrides that name it."""
    model, outputs = random_lm_folder(tmp_path_factory.mktemp("model")), tmp_path_factory.mktemp("outputs")
    said = [f"model.path={model}", f"outputs={outputs}", "layers.sites=[embed,resid_post.1]"]
    said += ["concepts=builtin", "concepts.n=120", "hardware=cpu", "evaluations=[]"]
    said += ["encyclopedia.controls=0", "contexts.templates.per_concept=16"]
    for stage in ("raw", "templates"):
        execute(build.compose([*said, "job=bootstrap", f"stage={stage}"]))
    return [*said, "job.shots=[1,4]", "job.draws=2", "job.permutations=3"]


def composed(made, *overrides):
    return build.compose([*made, "job=retrieve", "site=resid_post.1", *overrides])


def told(outcome):
    return hsae.load(outcome.folder)


@pytest.fixture(scope="module")
def outcome(made):
    return execute(composed(made, "interpreter=open_vocabulary"))


def test_unseen_concepts_are_asked_for_by_gloss_and_by_a_few_contexts(outcome):
    found = told(outcome)
    split, gloss, shots = found["split"], found["gloss"], found["shots"]
    assert split["seen"] + split["judged"] + split["border"] == split["concepts"] == 120
    assert len(split["judged_ids"]) == split["judged"] == outcome.metrics["held_out"]
    assert set(gloss["baselines"]) == {"overlap", "characters", "embedding"}
    assert gloss["quoting"] > 0 and len(gloss["permuted"]["mrr"]) == 3
    for scores in (gloss["among_all"], gloss["among_held_out"], *gloss["baselines"].values()):
        for score in scores.values():
            assert score["low"] <= score["value"] <= score["high"] and score["n"] <= split["judged"]
    assert set(shots["curves"]) == {"activation", "characters", "embedding"}
    assert [one["shots"] for one in shots["curves"]["characters"]] == [1, 4]
    assert all(one["accuracy"]["chance"] == 1 / 120 for one in shots["curves"]["activation"])


def test_a_word_is_known_again_by_its_letters_and_a_word_of_another_is_not(outcome):
    curves = told(outcome)["shots"]["curves"]
    assert curves["characters"][0]["accuracy"]["value"] > 0.9
    assert curves["activation"][1]["accuracy"]["low"] > 10 / 120
    assert curves["activation"][1]["permuted"]["value"] < 5 / 120


def test_a_closed_softmax_is_refused_with_the_reason(made):
    with pytest.raises(
        UserError, match="interpreter=lda has no answer .*by construction.*\n.*interpreter=open_vocabulary"
    ):
        execute(composed(made, "interpreter=lda"))


def test_without_an_interpreter_concepts_are_only_registered(made):
    found = told(execute(composed(made, "interpreter=none")))
    assert found["gloss"] is None and found["shots"]["concepts"] > 0


def test_more_contexts_than_are_kept_are_refused_with_what_to_type(made):
    with pytest.raises(UserError, match="encyclopedia.sample=99"):
        execute(composed(made, "interpreter=none", "job.shots=[99]"))


def test_a_depth_that_leaves_nothing_small_enough_is_refused(made):
    with pytest.raises(UserError, match="job.depth="):
        execute(composed(made, "interpreter=none", "job.depth=9"))


def test_the_choices_of_a_retrieval_decide_its_address(made):
    where = lambda *overrides: address(composed(made, *overrides)).fingerprint
    others = (["interpreter=none"], ["seed=1"], ["job.share=0.3"], ["job.depth=1"], ["job.draws=3"])
    assert len({where(), *(where(*other) for other in others)}) == 6
