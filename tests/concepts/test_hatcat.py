"""HatCat's list as it was, with what is no concept in it marked as such."""

import re

import pytest

from hsae.concepts import controls
from hsae.concepts.hatcat import Settings, is_placeholder, load
from hsae.errors import UserError


@pytest.fixture(scope="module")
def thousand():
    return load(Settings(name="hatcat", n=1000), seed=0)


def test_a_thousand_concepts_are_103_words_and_897_placeholders(thousand):
    assert sum(is_placeholder(concept.id) for concept in thousand) == 897
    words = [concept.name for concept in thousand if not is_placeholder(concept.id)]
    assert len(set(words)) == 103 and words == [concept.name for concept in thousand][:103]


def test_the_words_are_those_of_2025_in_their_order(thousand):
    names = [concept.name for concept in thousand]
    assert names[:4] == ["dog", "cat", "house", "car"]
    assert [names[at] for at in (16, 30, 42, 58, 75, 102)] == [
        *("democracy", "running", "red", "causation", "gravity", "equality"),
    ]
    assert names.count("entropy") == names.count("justice") == 1, "each stood in two of its lists"


def test_what_was_validated_and_tested_on_were_placeholders_alone(thousand):
    is_word = [not is_placeholder(concept.id) for concept in thousand]
    assert sum(is_word[:800]) == 103 and not any(is_word[800:])


def test_a_placeholder_is_numbered_by_its_place_and_says_that_it_is_none(thousand):
    for place, concept in enumerate(thousand):
        if is_placeholder(concept.id):
            assert concept.name == f"concept_{place:06d}" and "placeholder" in concept.gloss
        else:
            assert re.fullmatch(r"[a-z]+", concept.name) and concept.gloss == ""


def test_no_other_id_passes_for_a_placeholder(thousand):
    assert not is_placeholder("control:placeholder:concept_000103")
    assert all(controls.kind_of(concept.id) is None for concept in thousand)


def test_more_than_it_ever_had_is_refused():
    assert len(load(Settings(name="hatcat", n=50_000), seed=0)) == 50_000
    with pytest.raises(UserError, match=r"concepts\.n=50001: HatCat's list has 50000 concepts"):
        load(Settings(name="hatcat", n=50_001), seed=0)
