"""The pages of cards and differences tell what they were given, stand alone, and take names for text."""

import re
from pathlib import Path

import pytest
from report_browser import browse

from hsae.report import difference
from hsae.report.card import Told, certainty, counted, fared, page

pytestmark = pytest.mark.timeout(150)

EVIL = "<b>dog</b>"

PROBE = """(() => {
  const all = selector => [...document.querySelectorAll(selector)];
  return {
    fetched: performance.getEntriesByType("resource").map(entry => entry.name),
    wide: document.documentElement.scrollWidth - innerWidth,
    planted: all("td b b, th b b, h1 b, .path b b").length,
    lost: all("a[href^='#']").filter(link => !document.getElementById(link.hash.slice(1))).length,
    marks: all("mark").map(mark => mark.textContent),
    bars: all(".bar .fill").map(fill => fill.getBoundingClientRect().width / fill.parentElement.clientWidth),
    dots: all(".chart .spot").length,
  };
})()"""


def rate(value=0.75, n=16):
    return {"value": value, "low": 0.5, "high": 0.9, "n": n, "templates": n}


def named(name, **more):
    return {"id": f"t:{name}.n", "name": name, "gloss": f"what a {name} is", **more}


def kin(name, **more):
    return {"id": f"t:{name}.n", "name": name, "edges": 2, "over": "t:animal.n", "kin": "sibling", **more}


def place(site, error=0.2):
    return {
        "site": site,
        "error": error,
        "upper": error and error + 0.05,
        "reliability": error and 1 / (1 + error**2),
        "least_reliability": error and 0.9,
        "contexts_for_reliability": 9.0,
        "found": {**rate(), "chance": 0.005, "rank": 1.0} if error else None,
        "margin": {"value": 3.0, "low": 2.0, "high": None} if error else None,
        "separation": {**rate(0.95), "others": 99} if error else None,
        "norms": {"span": {"mean": 9.0, "rms": 10.0, "typical": 11.0}},
    }


def card(name=EVIL, error=0.2, status=None):
    known = error is not None
    return {
        **named(name),
        "pos": "n",
        "lemmas": [name, "hound"],
        "concepts": 200,
        "model": "m",
        "site": "resid_post.2",
        "path": [named("animal")],
        "parents": [named("animal")],
        "children": [named("puppy")],
        "senses": [named("frank")],
        "contexts": {"total": 9, "templates": 7, "tokens": 8.0, "role": {"fit": 5, "tune": 4}}
        | {"source": {"raw": 9}, "stage": {"raw": 9}},
        "status": status,
        "nearest": [kin("cat", cosine=0.5, centred=-0.25)] if known else [],
        "among": [],
        "typical": {"median": 0.0, "high": 0.25, "n": 199} if known else None,
        "confusers": [
            kin("cat", distance=4.0, margin=place("s")["margin"], confusion=0.1, beyond=rate(0.125))
        ]
        if known
        else [],
        "found": {**rate(), "chance": 0.005, "rank": 1.0, "taken_for": [kin("cat", n=4)]} if known else None,
        "profile": [place(f"resid_post.{layer}", error) for layer in range(4)],
        "examples": [
            {"text": "The dog & I.", "start": 4, "end": 7, "role": "fit", "stage": "raw"}
            | {"template": "raw-01", "source": "raw"}
        ],
    }


def told(*cards):
    return page(Told("tiny", "templates", cards))


def found(moved=1):
    one = {"value": 0.8, "low": 0.7, "high": 0.9, "null": 0.1, "p": 0.01}
    side = {
        "label": "tiny, stage raw",
        "model": "m",
        "site": "s",
        "stage": "raw",
        "concepts": 9,
        "contexts": 9,
    }
    known = moved is not None
    concept = {"id": "t:dog.n", "name": EVIL, "moved": 0.5, "low": 0.25, "high": 1.0, "p": 0.01, "q": 0.02}
    concept |= {"contexts": [4, 8], "kept_neighbours": 0.7, "nearest": [["cat", "cow"], ["cat", "sun"]]}
    if not known:
        concept |= {"low": None, "high": None, "p": None, "q": None}
    names = ("cka", "rsa", "procrustes", "neighbours")
    ceiling = {"concepts": 9, "first": 0.9, "second": 0.9, "ceiling": 0.9, "across": 0.45, "corrected": 0.5}
    return {
        "first": side,
        "second": side | {"label": "tiny, stage templates"},
        "concepts": {"compared": 60, "common": 80},
        "only_first": [named("cow")],
        "only_second": [],
        "spaces": {"centred": {**dict.fromkeys(names, one), "ceiling": ceiling}},
        "movement": {"aligned": False, "fdr": 0.05, "shared_contexts": 1.0, "moved": moved}
        | {"effective_dimensions": 30.0 if known else None, "concepts": [concept]},
        "layers": {"first": ["a", "b"], "second": ["a"], "cka": [[1.0], [0.5]], "concepts": 60},
    }


PAGES = {
    "one card": lambda: told(card()),
    "two cards": lambda: told(card(), card("cat")),
    "difference": lambda: difference.page(found()),
}


@pytest.mark.parametrize("name", PAGES)
def test_it_opens_without_a_word_fetches_nothing_and_takes_names_for_text(name, tmp_path: Path):
    seen = browse(PAGES[name](), tmp_path, probe=PROBE)
    said = seen.told()
    assert seen.console == [] and said["fetched"] == []
    assert said["wide"] <= 0 and said["planted"] == 0 and said["lost"] == 0
    if name == "one card":
        assert said["marks"] == ["dog"]
        assert said["dots"] == 16, "four charts of four sites"
        assert said["bars"] == pytest.approx([0.5, 0.125], abs=0.02)


def test_what_is_unknown_is_said_to_be_unknown():
    text = re.sub(r"<[^>]+>", " ", told(card(error=None))).casefold()
    for words in ("is unknown", "no context to fit by", "no held-out context", "stage=templates"):
        assert words in text
    assert "Which concepts moved beyond noise is unknown" in difference.page(found(moved=None))
    assert "None" not in re.sub(r"<[^>]+>|&[^;]+;", " ", difference.page(found(moved=None)))


def test_the_stopping_rule_says_why():
    status = {"status": "ambiguous", "reason": "after 64 contexts: two senses explain them better than one"}
    assert "ambiguous: after 64 contexts" in certainty(card(status=status))
    assert "stopping rule" in told(card(status=status)) and "stopping rule" not in told(card())


def test_the_terminal_is_told_in_sentences():
    assert (
        counted(card()["contexts"]) == "9 contexts: 5 fit, 4 tune; of the kinds 9 raw; from the stages 9 raw"
    )
    assert fared(card()) == (
        "of 16 held-out contexts 75 % [50, 90] lie nearest to its own vector among 200 concepts "
        "(chance 0.5 %); the others are taken for cat (4)"
    )


def test_the_difference_tells_which_neighbours_are_new():
    shown = difference.page(found())
    assert '<span class="new">sun</span>' in shown and '<span class="new">cow</span>' in shown
    assert '<span class="new">cat</span>' not in shown
    assert "agree at 0.450, which is 0.500 of it" in shown
