"""job=converge as a person meets it: the historical numbers, their arithmetic, and what replaces them."""

import numpy as np
import pytest
from worlds import random_lm_folder

import hsae
from hsae import build
from hsae.encyclopedia import Encyclopedia
from hsae.errors import UserError
from hsae.execute import execute
from hsae.jobs.converge import _known


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    model, outputs = random_lm_folder(tmp_path_factory.mktemp("model")), tmp_path_factory.mktemp("outputs")
    said = [f"model.path={model}", f"outputs={outputs}", "layers.sites=[resid_post.1]", "concepts=builtin"]
    said += ["concepts.n=40", "hardware=cpu", "evaluations=[]", "encyclopedia.controls=3"]
    said += ["encyclopedia.sample=20", "contexts.raw.gloss=false"]
    for stage in ("raw", "historical"):
        execute(build.compose([*said, "job=bootstrap", f"stage={stage}"]))
    return said


@pytest.fixture(scope="module")
def outcome(said):
    return execute(build.compose([*said, "job=converge", "stage=historical"]))


def test_the_historical_numbers_are_those_of_its_own_rows(said, outcome):
    found = hsae.load(outcome.folder)["resid_post.1"]["historical"]
    book = Encyclopedia(next(outcome.folder.parents[1].glob("bootstrap/*historical*")))
    rows = book.rows("resid_post.1", role="all")
    _, counts = np.unique(rows.concept, return_counts=True)
    assert found["concepts"] == int((counts >= 20).sum()) == 40 and found["left_out"] == 0
    curve = found["curve"]
    assert len(curve["rel_difference"]) == 10 and curve["sigma"][0] == 0
    # with the reference's own error, no number of contexts brings the difference below this
    assert found["difference_with_endless_contexts"] < curve["rel_difference"][-1]
    assert found["cosine_that_equal_norms_imply"] == pytest.approx(curve["cosine"][-1], abs=0.02)


def test_what_replaces_them_is_said_of_every_concept(outcome):
    found = hsae.load(outcome.folder)["resid_post.1"]
    assert sum(found["status"].values()) == 40
    assert found["error"]["known"] == 40 and 0 < found["error"]["reliability"] <= 1
    assert found["components"]["concept"] > 0
    spaces = found["unrelated"]["spaces"]
    assert set(spaces) == {"raw", "centred", "whitened"}
    # raw cosines of unrelated concepts are near one: a high cosine says nothing
    assert spaces["raw"]["between"] > spaces["centred"]["between"]
    assert "all" in found["curves"] and found["curves"]["all"]["all"]["concepts"] == 40


def test_the_headline_is_in_words_that_a_table_can_hold(outcome):
    assert outcome.metrics["concepts"] == 40 and outcome.metrics["test_of_2025"] in (
        "supported",
        "not supported",
    )
    assert outcome.metrics["contexts_for_reliability_0.9"] > 0


def test_what_could_not_be_computed_is_null_and_stands_in_no_headline(said):
    """One context a concept: no spread, so no error, no components and no margin to speak of."""
    with pytest.raises(UserError, match="stage=templates"):
        execute(build.compose([*said, "job=converge", "stage=raw"]))
    assert _known("x", None) == {} and _known("x", 0.25) == {"x": 0.25}
