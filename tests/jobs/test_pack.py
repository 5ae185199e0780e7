"""job=pack as a person meets it: a small folder that loads, its bytes and what rounding costs said."""

import json

import pytest

import hsae
from hsae import build
from hsae.build import address
from hsae.errors import UserError
from hsae.execute import execute

CHOICES = ["concepts=builtin", "concepts.n=40", "corpus=builtin", "hardware=cpu", "evaluations=[]"]
CHOICES += ["encyclopedia.controls=0", "contexts.templates.per_concept=12", "layers.sites=[resid_post.1]"]


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    said = [*CHOICES, f"outputs={tmp_path_factory.mktemp('outputs')}"]
    for stage in ("raw", "templates"):
        execute(build.compose(["job=bootstrap", *said, f"stage={stage}"]))
    return said


def packed(said, *overrides):
    return execute(build.compose(["job=pack", *said, *overrides]))


def test_a_pack_says_its_bytes_and_its_cost_and_loads(said):
    for dtype, bytes_ in (("float16", 2), ("int8", 1)):
        outcome = packed(said, f"job.dtype={dtype}")
        told = json.loads((outcome.folder / "retrieval.json").read_text())
        assert set(told["precision"]) == {"float32", "float16", "int8"} and told["pooling"] == "span"
        assert outcome.metrics["lost"] == pytest.approx(told["precision"][dtype]["lost"]["value"], abs=1e-5)
        found = hsae.load(outcome.folder)
        assert (len(found), found.dtype, found.site) == (40, dtype, "resid_post.1")
        words = outcome.metrics["bytes_per_concept"] - bytes_ * found.d - 4
        assert 0 < words < 20


def test_concepts_with_one_context_each_are_packed_plain_and_the_cost_is_unknown(said, capsys):
    outcome = packed(said, "stage=raw", "job.whiten=false")
    assert outcome.metrics["accuracy"] == "unknown" and outcome.metrics["bytes_shared"] < 4000
    assert "no rows of the role test" in capsys.readouterr().out


def test_a_pooling_that_is_not_there_is_named(said):
    with pytest.raises(UserError, match="has no pooling 'last'"):
        packed(said, "job.pooling=last")


def test_every_setting_decides_the_address(said):
    where = lambda *more: address(build.compose(["job=pack", *said, *more])).fingerprint
    others = ("job.dtype=int8", "job.pooling=span", "job.whiten=false", "job.shrinkage=0.2")
    assert len({where(), *map(where, others)}) == 5
