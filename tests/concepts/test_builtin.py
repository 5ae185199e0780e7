"""The built-in outline, read as a linguist would."""

import re
from collections import Counter

import pytest

from hsae.concepts import Taxonomy, builtin
from hsae.errors import UserError

SINGULAR_IN_S = {
    *("rhinoceros", "gas", "atlas", "rabies", "diabetes"),
    *("gymnastics", "physics", "economics", "mathematics"),
}


@pytest.fixture(scope="module")
def nouns() -> Taxonomy:
    return builtin.load(builtin.Settings(name="builtin", n=None), seed=0)


def test_there_are_enough_nouns_in_enough_levels(nouns):
    levels = Counter(concept.depth for concept in nouns)
    assert len(nouns) >= 1400
    assert len(levels) >= 5 and levels[3] > 300
    assert sum(not below for below in nouns.children) > 1000


@pytest.mark.parametrize(
    ("below", "above"),
    [
        ("beagle", "animal"),
        ("oak", "plant"),
        ("lemon", "food"),
        ("taxi", "vehicle"),
        ("hammer", "tool"),
        ("desk", "furniture"),
        ("mitten", "clothing"),
        ("mosque", "building"),
        ("wrist", "body part"),
        ("copper", "material"),
        ("grief", "emotion"),
        ("surgeon", "worker"),
        ("tennis", "sport"),
        ("jazz", "music"),
        ("drizzle", "weather phenomenon"),
        ("winter", "time period"),
        ("village", "place"),
        ("dollar", "money"),
        ("niece", "relative"),
    ],
)
def test_everyday_things_stand_where_people_would_look_for_them(nouns, below, above):
    by_name = {concept.name: row for row, concept in enumerate(nouns)}
    assert by_name[above] in nouns.ancestors(by_name[below])


def test_no_name_is_used_for_two_concepts(nouns):
    twice = [name for name, n in Counter(name for c in nouns for name in c.lemmas).items() if n > 1]
    assert not twice


def test_every_gloss_is_short_its_own_and_does_not_use_the_name_it_explains(nouns):
    assert max(Counter(concept.gloss for concept in nouns).values()) == 1
    for concept in nouns:
        assert 8 <= len(concept.gloss) <= 90 and concept.gloss[-1] not in ".;,"
        assert not re.search(rf"\b{re.escape(concept.name.lower())}\b", concept.gloss.lower()), concept


def test_articles_in_glosses_fit_the_next_word(nouns):
    for concept in nouns:
        assert not re.search(r"\b[Aa] [aeioAEIO]|\b[Aa]n [^aeiouhAEIOUH]", concept.gloss), concept


def test_no_name_is_a_plural(nouns):
    for concept in nouns:
        if re.search(r"[^suis]s$|[^aeiou]us$", concept.name):
            assert concept.name in SINGULAR_IN_S or concept.name.endswith("us"), concept.name


def test_a_few_concepts_come_from_every_part_of_life(nouns):
    few = builtin.load(builtin.Settings(name="builtin", n=200), seed=0)
    roots = [c for c in nouns if not c.parents]
    assert {c.id for c in roots} <= set(few.index)
    names = {concept.name for concept in few}
    assert {"dog", "cat", "apple", "car", "man", "rain", "book"} <= names
    assert not names & {"dachshund", "badger", "sickle"}, "what people think of last"


def test_the_outline_reads_indentation_as_kinds_and_marks_what_takes_no_article():
    entries = list(
        builtin.read_outline(
            ["# a note", "~food, fare: what is eaten", "", "  ripe pear: a fruit", "chair: a seat"]
        )
    )
    food, pear, chair = (entry.concept for entry in entries)
    assert food.lemmas == ("food", "fare") and pear.id == "hsae:ripe_pear.n"
    assert pear.parents == (food.id,) and pear.depth == 1 and chair.parents == ()
    assert [entry.is_mass for entry in entries] == [True, False, False]


def test_a_line_that_skips_a_level_is_noticed():
    with pytest.raises(ValueError, match="ripe pear"):
        list(builtin.read_outline(["food: what is eaten", "    ripe pear: a fruit"]))


def test_asking_for_more_than_there_is_names_the_number(nouns):
    with pytest.raises(UserError, match=rf"concepts.n={len(nouns)} or less"):
        builtin.load(builtin.Settings(name="builtin", n=len(nouns) + 1), seed=0)
