"""The text made from WordNet keeps its secrets: what is held out is stated nowhere."""

import pytest

from hsae.concepts import wordnet as source
from hsae.corpora import Document, split, wordnet

needs_wordnet = pytest.mark.skipif(not source.found(), reason="WordNet is not on this machine: make wordnet")


@pytest.fixture(scope="module")
def documents():
    items = wordnet.documents(wordnet.Settings(name="wordnet", tokens=1), seed=0)
    return [item for item in items if isinstance(item, Document)]


@pytest.fixture(scope="module")
def nouns():
    return {row.id: row for row in source.synsets() if row.pos == "n"}


@needs_wordnet
def test_a_noun_held_out_is_never_stated_nor_listed(documents, nouns):
    hidden = {id for id, row in nouns.items() if wordnet.held_out(row)}
    assert 0.04 < len(hidden) / len(nouns) < 0.06
    stated = {document.id.split("#")[0] for document in documents if document.id.endswith("#stated")}
    assert not stated & hidden and len(stated) > 70_000
    ambiguous = {lemma for id, row in nouns.items() if id not in hidden for lemma in row.lemmas}
    secret = {row.lemmas[0] for id, row in nouns.items() if id in hidden} - ambiguous
    listed = {
        name.strip()
        for document in documents
        if "#kinds" in document.id
        for name in document.text.split(":", 1)[1].rstrip(".").replace(" and ", ", ").split(", ")
    }
    # a few names are torn apart by their own "and": Antigua and Barbuda
    assert len(secret) > 1000 and len(secret & listed) < 10


@needs_wordnet
def test_a_stated_parent_is_a_parent(documents, nouns):
    plain = [d for d in documents if d.id.endswith("#stated")][:2000]
    for document in plain:
        row = nouns[document.id.split("#")[0]]
        parents = {nouns[parent].lemmas[0] for parent in row.parents}
        assert any(f" is a kind of {parent}." in document.text for parent in parents), document


@needs_wordnet
def test_no_text_stands_twice_and_the_order_is_the_seeds(documents):
    texts = [document.text for document in documents]
    assert len(set(texts)) == len(texts)
    other = wordnet.documents(wordnet.Settings(name="wordnet", tokens=1), seed=1)
    assert [next(other).id for _ in range(5)] != [document.id for document in documents[:5]]


@needs_wordnet
def test_questions_are_about_hidden_nouns_and_their_answers_are_right(nouns):
    asked = wordnet.questions(seed=0)
    assert len(asked) > 1000
    hidden_names = {row.lemmas[0] for row in nouns.values() if wordnet.held_out(row)}
    for prompt, answers in asked[:200]:
        name = prompt.removesuffix(" is a kind of")
        assert answers and (name in hidden_names or name.split(" ", 1)[1] in hidden_names)


@pytest.mark.parametrize(
    ("name", "topic", "said"),
    [
        ("hound", "noun.animal", "a hound"),
        ("apple", "", "an apple"),
        ("Paris", "", "Paris"),
        ("gold", "noun.substance", "gold"),
    ],
)
def test_articles(name, topic, said):
    assert wordnet.with_article(name, topic=topic) == said


def test_a_document_falls_into_one_split_for_ever():
    assert [split(f"d{i}") for i in range(12)].count("train") > 8
    assert split("wn30:dog.n.01#gloss") == split("wn30:dog.n.01#gloss")
