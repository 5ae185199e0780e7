"""The sentences: enough of them, in all families and roles, in decent English."""

import re
from collections import Counter
from itertools import combinations
from typing import get_args

import pytest
from pydantic import ValidationError

from hsae.concepts import Concept, Taxonomy
from hsae.contexts import role_of, templates
from hsae.contexts.sentence import Sentence
from hsae.errors import UserError

FAMILIES = get_args(templates.Family)
ZOO = Taxonomy(
    [
        Concept("hsae:animal.n", "animal", gloss="a creature that moves"),
        Concept("hsae:owl.n", "owl", gloss="a bird of the night; not a crow", parents=("hsae:animal.n",)),
        Concept("hsae:water.n", "water", gloss="what falls as rain"),
        Concept("hsae:fog.n", "fog", parents=("hsae:water.n",)),
    ]
)
GO = Taxonomy(
    [Concept("v:go", "go", gloss="move away", pos="v"), Concept("v:run", "run", pos="v", parents=("v:go",))]
)


def texts(taxonomy, *, families=FAMILIES, per_concept=None, seed=0):
    settings = templates.Settings(families=families, per_concept=per_concept)
    return {(c.concept, c.template): c.text for c in templates.make(taxonomy, settings, seed=seed)}


def test_there_are_enough_sentences_of_every_family():
    assert Counter(t.id.split("-")[0] for t in templates.templates("n")) == dict.fromkeys(FAMILIES, 16)
    for pos in "var":
        assert Counter(t.id.split("-")[1] for t in templates.templates(pos)) == dict.fromkeys(FAMILIES, 6)
    shelves = [t for pos in "nvar" for t in templates.templates(pos)]
    assert len({t.id for t in shelves}) == len({t.sentence.text for t in shelves}) == 136


@pytest.mark.parametrize("pos", "nvar")
def test_no_two_sentences_differ_in_a_word_or_two(pos):
    said = [re.sub(r"\{(x|a|A|the)\}", "GAP", t.sentence.text) for t in templates.templates(pos)]
    words = [set(re.findall(r"\w+", text)) for text in said]
    for one, other in combinations(words, 2):
        assert len(one & other) < 0.7 * len(one | other), (one, other)


def test_the_word_stands_at_the_head_in_the_middle_and_at_the_end():
    places = []
    for context in templates.make(ZOO, templates.Settings(families=FAMILIES, per_concept=None), seed=0):
        places.append(context.start / (len(context.text) - (context.end - context.start)))
    for least, most in ((0.0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1.0)):
        assert sum(least <= place <= most for place in places) > 0.15 * len(places)


@pytest.mark.parametrize("pos", "nvar")
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_sentences_of_every_role(pos, family):
    assert {t.role for t in templates.templates(pos, (family,))} == {"fit", "tune", "test"}


def test_the_role_belongs_to_the_sentence_and_stays():
    assert role_of("{A} is a kind of {parent}.") == "fit"
    assert role_of("One example of {a_parent} is {a}.") == "tune"
    assert role_of("The chapter on {parent} ends with a page about {a}.") == "fit"
    assert role_of("Of all the kinds of {parent}, the first that comes to mind is {a}.") == "test"


def test_articles_capitals_and_parents_are_right():
    found = texts(ZOO)
    assert found["hsae:owl.n", "category-01"] == "An owl is a kind of animal."
    assert found["hsae:water.n", "category-01"] == "Water is a kind of thing."
    assert found["hsae:fog.n", "category-01"] == "Fog is a kind of water."
    assert found["hsae:owl.n", "category-04"] == "One example of an animal is an owl."
    assert found["hsae:fog.n", "category-07"] == "Nobody doubts that fog is water."
    assert found["hsae:owl.n", "scene-08"] == "The first thing she noticed was the owl."
    assert found["hsae:fog.n", "scene-08"] == "The first thing she noticed was fog."
    assert found["hsae:owl.n", "definition-01"] == "A bird of the night: this is what we call an owl."
    assert found["hsae:owl.n", "dialogue-07"] == '"Name a kind of animal." "An owl, for example."'


def test_verbs_get_sentences_of_their_own():
    found = texts(GO)
    assert found["v:run", "verb-category-01"] == "To run is one way to go."
    assert found["v:go", "verb-definition-02"] == "To go is to move away."
    assert found["v:go", "verb-category-01"] == "To go is one way to act."


def test_without_a_gloss_the_sentences_that_need_one_are_left_out():
    with_gloss, without = (
        {t for id, t in texts(ZOO) if id == concept} for concept in ("hsae:water.n", "hsae:fog.n")
    )
    assert without < with_gloss and len(with_gloss) == 64
    assert all("gloss" in t.sentence.text.lower() for t in templates.templates("n") if t.id not in without)


def test_families_can_be_chosen():
    assert {template.split("-")[0] for _, template in texts(ZOO, families=("scene",))} == {"scene"}


def test_a_family_named_twice_or_unknown_or_none_is_refused():
    for families in (("scene", "scene"), ("poem",), ()):
        with pytest.raises(ValidationError):
            templates.Settings(families=families, per_concept=None)


def test_four_sentences_a_concept_still_hold_every_role_and_differ_between_concepts_and_seeds():
    settings = templates.Settings(families=FAMILIES, per_concept=4)
    chosen = list(templates.make(ZOO, settings, seed=0))
    for concept in ZOO:
        roles = Counter(context.role for context in chosen if context.concept == concept.id)
        assert roles == {"fit": 2, "tune": 1, "test": 1}
    choices = {frozenset(c.template for c in chosen if c.concept == concept.id) for concept in ZOO}
    assert len(choices) == len(ZOO)
    assert chosen != list(templates.make(ZOO, settings, seed=1))


def test_more_than_there_are_gives_all_of_them():
    assert set(texts(ZOO, per_concept=1000)) == set(texts(ZOO))


def test_adjectives_and_adverbs_get_sentences_of_their_own():
    red = Concept("x:red", "red", gloss="of the colour of blood", pos="a")
    found = texts(Taxonomy([red, Concept("x:soon", "soon", pos="r")]))
    assert found["x:red", "adjective-definition-02"] == "red (adjective): of the colour of blood."
    assert found["x:red", "adjective-dialogue-03"] == '"Would you call it red?" asked the teacher.'
    assert found["x:soon", "adverb-scene-01"] == "They did it soon, or so the letter says."


def test_another_part_of_speech_is_refused_by_name():
    with pytest.raises(UserError, match="parts of speech n, v, a, r, none for pos='x'"):
        texts(Taxonomy([Concept("x:ouch", "ouch", pos="x")]))


def test_few_sentences_a_concept_still_use_every_sentence_about_as_often():
    many = Taxonomy(Concept(f"x:{n}", f"word{n}", gloss="a thing of its own") for n in range(800))
    settings = templates.Settings(families=FAMILIES, per_concept=4)
    times = Counter(context.template for context in templates.make(many, settings, seed=0))
    for role, share in (("fit", 2), ("tune", 1), ("test", 1)):
        shelf = [t.id for t in templates.templates("n") if t.role == role]
        even = share * len(many) / len(shelf)
        assert all(0.6 * even < times[id] < 1.5 * even for id in shelf)


def test_a_sentence_without_its_one_gap_is_refused():
    for text in ("no gap", "{a} and {x}"):
        with pytest.raises(ValueError, match="exactly one gap"):
            Sentence(text)
