"""job=card, job=nearest and job=diff as a person meets them: a question in, an answer on every channel."""

import json
import re

import numpy as np
import pytest

import hsae
from hsae import build
from hsae.build import address
from hsae.encyclopedia import Encyclopedia
from hsae.encyclopedia.queries.cards import at_site, cards
from hsae.encyclopedia.queries.text import marked, nearest_to_text
from hsae.errors import ConfigError, UserError
from hsae.execute import execute
from hsae.jobs import card, diff, nearest

SITES = ("resid_post.0", "resid_post.1")


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """An encyclopedia of 80 nouns in two stages, of the LM inside the package."""
    outputs = tmp_path_factory.mktemp("outputs")
    said = ["model=tiny", f"layers.sites=[{','.join(SITES)}]", "concepts=builtin", "concepts.n=80"]
    said += [f"outputs={outputs}", "hardware=cpu", "evaluations=[]", "encyclopedia.controls=0"]
    said += ["contexts.templates.per_concept=12"]
    for stage in ("raw", "templates"):
        execute(build.compose([*said, "job=bootstrap", f"stage={stage}"]))
    return said


@pytest.fixture(scope="module")
def book(said):
    return Encyclopedia(address(build.compose([*said, "job=bootstrap", "stage=templates"])).folder)


def asked(said, job, *overrides):
    return execute(build.compose([*said, f"job={job}", "stage=templates", *overrides]))


@pytest.fixture(scope="module")
def outcome(said):
    return asked(said, "card", "job.concept=[dog,person]")


def alone(page):
    return "<html" in page and not re.search(r"(src|href)=.?(https?:)?//", page)


def test_a_card_says_what_the_encyclopedia_holds(outcome, book):
    first, second = json.loads((outcome.folder / "card.json").read_text())
    assert hsae.load(outcome.folder) == [first, second]
    assert (first["name"], second["name"]) == ("dog", "person")
    row = book.taxonomy.index[first["id"]]
    for role in ("fit", "tune", "test"):
        assert first["contexts"]["role"].get(role, 0) == int(book.count(role=role)[row])
    for kind in ("role", "source", "stage"):
        assert sum(first["contexts"][kind].values()) == first["contexts"]["total"]
    assert [place["site"] for place in first["profile"]] == list(SITES)
    assert first["site"] == SITES[-1]
    for one in first["examples"]:
        assert one["text"][one["start"] : one["end"]].casefold() == "dog"
    assert len(first["among"]) == 1 and first["among"][0]["id"] == second["id"]


def test_its_error_is_the_encyclopedia_s_up_to_the_bias_that_is_taken_off(outcome, book):
    first = json.loads((outcome.folder / "card.json").read_text())[0]
    row = book.taxonomy.index[first["id"]]
    for place in first["profile"]:
        biased = float(book.relative_error(place["site"])[row])
        assert biased < place["error"] < 1.3 * biased and place["error"] < place["upper"]
        assert place["reliability"] == pytest.approx(1 / (1 + place["error"] ** 2))
        rms = place["norms"]["span"]["rms"]
        sample = book.rows(place["site"])
        norms = np.linalg.norm(sample.x[sample.concept == row], axis=1)
        assert rms == pytest.approx(np.sqrt(np.square(norms).mean()), rel=0.1)
        assert place["norms"]["span"]["mean"] < rms


def test_its_neighbours_have_the_largest_cosines(outcome, book):
    first = json.loads((outcome.folder / "card.json").read_text())[0]
    plain = at_site(book, SITES[-1], shrinkage=0.1).plain
    mean = book.mean(SITES[-1]).double()
    unit = (mean - mean.mean(0)) / (mean - mean.mean(0)).norm(dim=1, keepdim=True)
    row = book.taxonomy.index[first["id"]]
    for one in first["nearest"]:
        slow = float(unit[row] @ unit[book.taxonomy.index[one["id"]]])
        assert one["centred"] == pytest.approx(slow, abs=1e-4)
    cosine = [one["cosine"] for one in first["nearest"]]
    assert cosine == sorted(cosine, reverse=True) and len(cosine) == 8
    assert first["id"] not in [one["id"] for one in first["nearest"]] and len(plain) == 80


def test_its_page_stands_alone(outcome):
    page = (outcome.folder / "card.html").read_text()
    assert alone(page) and "<mark>dog</mark>" in page and "Side by side" in page


def test_a_card_after_the_first_stage_tells_what_little_is_known(said):
    found = execute(build.compose([*said, "job=card", "stage=raw", "job.concept=dog"]))
    (card,) = json.loads((found.folder / "card.json").read_text())
    assert card["contexts"]["total"] == 2 and card["found"] is None
    assert all(one["margin"] is None for one in card["confusers"])
    assert alone((found.folder / "card.html").read_text())


def test_a_word_that_is_none_of_them_is_told_the_nearest_spelled(said):
    with pytest.raises(UserError, match="Spelled alike: dog"):
        asked(said, "card", "job.concept=dgo")


def test_a_site_that_was_not_read_is_named(book):
    with pytest.raises(UserError, match="no site 'resid_post.3'"):
        cards(book, ["hsae:dog.n"], site="resid_post.3")


def test_a_concept_s_own_word_in_brackets_is_nearest_to_it(said):
    outcome = asked(said, "nearest", 'job.text="The old [[dog]] slept."')
    found = json.loads((outcome.folder / "nearest.json").read_text())
    assert hsae.load(outcome.folder) == found
    assert [one["pooling"] for one in found["pooled"]] == ["mean", "last", "span"]
    span = found["pooled"][-1]
    assert span["text"] == "dog" and span["nearest"][0]["name"] == "dog"
    assert span["nearest"][0]["cosine"] > span["typical"]


def test_a_text_s_vectors_are_pooled_from_its_own_tokens(book):
    lm = hsae.language_model("tiny")
    text, site = "The old dog slept.", SITES[0]
    found = nearest_to_text(lm, book, text, site=site, k=3)
    tokens, rows = lm.capture_texts([text], [site])
    own = rows[site][0][~tokens.special[0]].float()
    prototypes = at_site(book, site, shrinkage=0.1).prototypes
    for one, x in zip(found["pooled"], (own.mean(0), own[-1]), strict=True):
        z = (x - prototypes.center) @ prototypes.whitener
        slow = prototypes.rows @ (z / z.norm())
        assert one["nearest"][0]["cosine"] == pytest.approx(float(slow.max()), abs=1e-3)


def test_brackets_are_taken_out_and_say_where_they_stood():
    assert marked("a [[furry pet]] by a [[fire]]") == ("a furry pet by a fire", [(2, 11), (17, 21)])
    for broken in ("a [[pet", "a pet]]", "a [[ ]] pet"):
        with pytest.raises(UserError, match="brackets"):
            marked(broken)


def test_no_text_is_a_mistake_that_says_what_to_type(said):
    with pytest.raises(ConfigError, match=r"job\.text="):
        nearest.needs(build.compose([*said, "job=nearest", "job.text=null"]))
    with pytest.raises(ConfigError, match=r"Type job\.concept="):
        card.needs(build.compose([*said, "job=card", "job.concept=''"]))


def test_two_stages_are_compared(said):
    outcome = asked(said, "diff", "job.other=stage:raw", "job.draws=19")
    found = json.loads((outcome.folder / "difference.json").read_text())
    assert hsae.load(outcome.folder) == found
    assert found["concepts"] == {"compared": 80, "common": 80}
    assert found["spaces"]["standardised"]["cka"]["value"] > 0.7
    moved = found["movement"]
    assert not moved["aligned"] and moved["shared_contexts"] == 1, "a later stage has the earlier's contexts"
    assert len(moved["concepts"]) == 80
    low = [one["low"] for one in moved["concepts"]]
    assert low[0] == max(low)
    assert "tune or test" in found["spaces"]["centred"]["ceiling"]["why"]
    page = (outcome.folder / "difference.html").read_text()
    assert alone(page) and "stage raw" in page


def test_two_layers_are_compared_after_a_rotation_and_under_a_ceiling(said):
    where = [f"site={SITES[1]}", f"job.other=site:{SITES[0]}", "job.draws=9"]
    found = json.loads((asked(said, "diff", *where).folder / "difference.json").read_text())
    assert (found["first"]["site"], found["second"]["site"]) == SITES[::-1]
    assert found["movement"]["aligned"]
    ceiling = found["spaces"]["standardised"]["ceiling"]
    assert ceiling["concepts"] == 80 and 0 < ceiling["across"] <= 1 and ceiling["ceiling"] > 0.5
    assert [len(line) for line in found["layers"]["cka"]] == [2, 2]


def test_concepts_of_one_side_alone_are_named_and_not_compared(said):
    for stage in ("raw", "templates"):
        execute(build.compose([*said, "job=bootstrap", f"stage={stage}", "concepts.n=60"]))
    found = asked(said, "diff", "job.other=concepts.n:60", "job.draws=3").folder / "difference.json"
    told = json.loads(found.read_text())
    assert told["concepts"]["common"] == 80 - len(told["only_first"]) == 60
    assert told["only_second"] == []
    # the contexts of what both know are the same, so nothing can have moved
    assert told["movement"]["moved"] == 0


def test_one_and_the_same_is_no_comparison(said):
    with pytest.raises(UserError, match="both sides are the same"):
        asked(said, "diff", "job.other=stage:templates")


def test_an_other_side_that_is_no_override_says_what_to_type(said):
    with pytest.raises(ConfigError, match="job.other=stage:raw"):
        diff.needs(build.compose([*said, "job=diff", "job.other=raw"]))


@pytest.mark.parametrize(
    ("job", "others"),
    [
        ("card", (["job.concept=person"], ["job.neighbours=3"], ["job.contexts=2"], ["site=resid_post.0"])),
        ("nearest", (["job.text=cat"], ["job.neighbours=3"], ["site=resid_post.0"])),
        ("diff", (["job.other=site:resid_post.0"], ["job.draws=3"], ["job.most=50"], ["seed=1"])),
    ],
)
def test_what_is_asked_decides_the_address(said, job, others):
    where = lambda *more: address(build.compose([*said, f"job={job}", "stage=templates", *more])).fingerprint
    assert len({where(), *(where(*other) for other in others)}) == 1 + len(others)
