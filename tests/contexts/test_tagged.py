"""Sentences whose sense is known: examples as their authors meant them, and files that people tagged."""

import json
import re
from collections import Counter

import pytest

from hsae.concepts import Concept, Taxonomy
from hsae.contexts import role_of
from hsae.contexts.tagged import Tag, Tagged, from_examples, from_file, held_out
from hsae.errors import UserError

ZOO = Taxonomy(
    [
        Concept("x:owl", "owl", lemmas=("owl", "bird of Minerva"), examples=("wise as an owl", "it hooted")),
        Concept("x:bark", "bark", pos="v", examples=("the dogs  barked at an owl", "Minerva's bird")),
        Concept("x:dog", "dog", examples=("the dogs barked at an owl", "a bird of Minerva, a dog")),
    ]
)


def test_an_example_is_tagged_where_a_word_of_its_own_concept_stands():
    passed = Counter()
    found = list(from_examples(ZOO, passed))
    assert found[0] == Tagged("wise as an owl", (Tag(11, 14, "x:owl"),), "wise as an owl")
    assert [one.text[tag.start : tag.end] for one in found for tag in one.tags] == [
        *("owl", "barked", "dogs", "dog"),
    ]
    assert passed == {"examples without the word": 2}


def test_a_text_that_is_an_example_of_two_concepts_is_one_sentence_with_two_tags():
    found = [one for one in from_examples(ZOO, Counter()) if len(one.tags) > 1]
    assert [[tag.concept for tag in one.tags] for one in found] == [["x:bark", "x:dog"]]


def test_any_of_a_concepts_words_will_do():
    taxonomy = Taxonomy(
        [Concept("x:car", "car", lemmas=("car", "automobile"), examples=("two automobiles",))]
    )
    assert [one.tags for one in from_examples(taxonomy, Counter())] == [(Tag(4, 15, "x:car"),)]


def written(tmp_path, *lines):
    file = tmp_path / "tagged.jsonl"
    file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return str(file)


def test_a_file_is_read_line_by_line_and_a_sentence_may_name_its_document(tmp_path):
    path = written(
        tmp_path,
        {"text": "An owl.", "tags": [[3, 6, "x:owl"]], "document": "a01"},
        "",
        {"text": "Nothing.", "tags": []},
    )
    assert list(from_file(path)) == [
        Tagged("An owl.", (Tag(3, 6, "x:owl"),), "a01"),
        Tagged("Nothing.", (), "Nothing."),
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not JSON"),
        ([1], "found list"),
        ({"text": "An owl."}, "tags must be there"),
        ({"text": "An owl.", "tags": [], "sense": 1}, "found text, tags, sense"),
        ({"text": 7, "tags": []}, "must be texts"),
        ({"text": "An owl.", "tags": [[3, 99, "x:owl"]]}, "<= 7, the length"),
        ({"text": "An owl.", "tags": [[6, 3, "x:owl"]]}, "0 <= start < end"),
        ({"text": "An owl.", "tags": [["x:owl", 3, 6]]}, "a tag is"),
    ],
)
def test_a_line_that_is_no_tagged_sentence_is_named(tmp_path, line, says):
    good = {"text": "An owl.", "tags": [[3, 6, "x:owl"]]}
    with pytest.raises(UserError, match=rf"tagged\.jsonl, line 2.*{re.escape(says)}"):
        list(from_file(written(tmp_path, good, line)))


def test_what_was_fitted_on_is_left_out_by_the_hash_of_its_document():
    sentences = [Tagged("An owl.", (Tag(3, 6, "x:owl"),), f"document {n}") for n in range(40)]
    passed = Counter()
    kept = list(held_out([*sentences, Tagged("Nothing.", (), "a")], ["test"], passed))
    assert 0 < len(kept) < 40 and all(role_of(one.document) == "test" for one in kept)
    assert passed.pop("sentences without a tag") == 1
    assert sum(passed.values()) == 40 - len(kept) and set(passed) == {
        "sentences of documents of the role fit",
        "sentences of documents of the role tune",
    }
