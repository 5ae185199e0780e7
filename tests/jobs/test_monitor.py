"""job=monitor as a person meets it: a text in, the concepts of each token out, each with its p."""

import json
import re

import pytest

import hsae
from hsae import build
from hsae.build import address
from hsae.encyclopedia import Encyclopedia
from hsae.errors import ConfigError, UserError
from hsae.execute import execute
from hsae.jobs import monitor

TEXT = "The dog drank water near the river."


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """An encyclopedia of 80 nouns, of the LM inside the package."""
    outputs = tmp_path_factory.mktemp("outputs")
    said = [
        "model=tiny",
        "layers.sites=[resid_post.1]",
        "concepts=builtin",
        "concepts.n=80",
        "corpus=builtin",
    ]
    said += [f"outputs={outputs}", "hardware=cpu", "evaluations=[]", "encyclopedia.controls=0"]
    said += ["contexts.templates.per_concept=12"]
    for stage in ("raw", "templates"):
        execute(build.compose([*said, "job=bootstrap", f"stage={stage}"]))
    return said


def composed(said, *overrides):
    return build.compose([*said, "job=monitor", f"job.text='{TEXT}'", "job.background=3000", *overrides])


@pytest.fixture(scope="module")
def outcome(said):
    return execute(composed(said))


def test_every_token_of_the_text_is_told_in_its_order(outcome):
    told = json.loads((outcome.folder / "monitor.json").read_text())
    assert "".join(token["token"].strip() for token in told) == TEXT.replace(" ", "")
    for token in told:
        for one in token["concepts"]:
            assert 0 < one["p"] <= 0.05 and one["path"][-1] == one["name"]
    assert outcome.metrics["tokens"] == len(told)
    assert outcome.metrics["with_a_concept"] == sum(bool(token["concepts"]) for token in told)


def test_the_terminal_shows_the_tokens_that_have_a_concept_and_counts_the_others(said, capsys):
    found = execute(composed(said, "job.top=1"))
    lines = capsys.readouterr().out.splitlines()
    tokens, named = found.metrics["tokens"], found.metrics["with_a_concept"]
    assert sum("(p=" in line for line in lines) == named
    assert f"  no concept, beyond chance, at {tokens - named} of {tokens} tokens" in lines


def test_the_page_holds_the_text_and_fetches_nothing(outcome):
    page = (outcome.folder / "timeline.html").read_text()
    assert "river" in page and not re.search(r"(src|href)=.?(https?:)?//", page)


def test_another_text_can_be_read_with_what_was_fitted(said, outcome):
    found = hsae.load(outcome.folder)
    book = Encyclopedia(next(outcome.folder.parents[1].glob("bootstrap/*templates*")))
    active = found.active(book.mean("resid_post.1"), fdr=0.05, top=3)
    own = [found.prototypes.index[concept.id] for concept in book.taxonomy]
    # a concept's own mean is what it scores highest on
    assert (active.concept[:, 0].cpu().numpy() == own).mean() > 0.9


def test_no_text_is_a_mistake_that_says_what_to_type(said):
    for nothing in ("job.text=null", "job.text= "):
        with pytest.raises(ConfigError, match=r"job\.text="):
            monitor.needs(composed(said, nothing))


def test_a_text_too_long_for_the_model_is_named(said):
    with pytest.raises(UserError, match="does not fit into the model's context"):
        execute(composed(said, f"job.text='{'word ' * 400}'"))


def test_the_text_and_how_it_is_read_decide_the_address(said):
    where = lambda *overrides: address(composed(said, *overrides)).fingerprint
    others = (["job.text=other"], ["job.fdr=0.1"], ["job.top=3"], ["job.background=99"], ["job.dtype=int8"])
    assert len({where(), *(where(*other) for other in others)}) == 6
