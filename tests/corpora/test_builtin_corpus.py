"""The stated corpus: large enough, true to the taxonomy, and no sentence in two splits."""

import re

import pytest

from hsae.concepts import builtin as source
from hsae.corpora import Document, builtin, split


def read(seed=0):
    found = list(builtin.documents(builtin.Settings(name="builtin", tokens=1), seed=seed))
    assert all(isinstance(item, Document) for item in found)
    return found


@pytest.fixture(scope="module")
def documents():
    return read()


@pytest.fixture(scope="module")
def nouns():
    return source.load(source.Settings(name="builtin", n=None), seed=0)


def sentences(document):
    return re.findall(r"\S.*?[.](?= [A-Z]|$)", document.text)


def test_three_hundred_thousand_tokens_can_be_read(documents):
    words = sum(len(document.text.split()) for document in documents)  # each is a token at least
    assert words > 600_000 and sum(len(document.text) for document in documents) > 3_500_000


def test_documents_are_short_and_every_noun_has_some(documents, nouns):
    assert max(len(document.text) for document in documents) < 1200
    assert {document.id.split("#")[0] for document in documents} == set(nouns.index)


def test_no_sentence_stands_in_two_splits(documents):
    stated: dict[str, set[str]] = {}
    for document in documents:
        for sentence in sentences(document):
            stated.setdefault(sentence, set()).add(document.id)
    shared = [sentence for sentence, ids in stated.items() if len({split(id) for id in ids}) > 1]
    assert len(stated) > 50_000 and not shared


def bare(phrase, nouns):
    """The row that a phrase such as "A dog" or "an owl" names, or None."""
    by_name = {concept.name: row for row, concept in enumerate(nouns)}
    name = re.sub(r"^[Aa]n? ", "", phrase)
    return by_name.get(name, by_name.get(name[:1].lower() + name[1:]))


def claims(documents, nouns, pattern):
    """Pairs of rows that a sentence of the corpus speaks of; glosses that happen to fit name no noun."""
    compiled = re.compile(rf"(?:^|[.?] ){pattern}\.")
    names = {}
    for document in documents:
        for phrases in compiled.findall(document.text):
            for phrase in phrases:
                if phrase not in names:
                    names[phrase] = bare(phrase, nouns)
            if all(names[phrase] is not None for phrase in phrases):
                yield [names[phrase] for phrase in phrases]


def test_what_is_stated_as_a_kind_is_one(documents, nouns):
    pairs = list(claims(documents, nouns, r"([^.?,]+) is a kind of ([^.?,]+?)"))
    assert len(pairs) > 1000
    assert all(above in nouns.ancestors(below) for below, above in pairs)


def test_what_follows_from_a_kind_stands_above_it(documents, nouns):
    chains = list(claims(documents, nouns, r"([^.?,]+) is ([^.?,]+?) and therefore ([^.?,]+?)"))
    assert len(chains) > 1500
    for below, above, further in chains:
        assert nouns.parents[below] == above and further in nouns.ancestors(above)


def test_what_is_denied_is_not_so_under_any_reading(documents, nouns):
    roots = [nouns.concepts[([row, *nouns.ancestors(row)])[-1]].name for row in range(len(nouns))]
    pairs = list(claims(documents, nouns, r"([^.?,]+) is not a kind of ([^.?,]+?) but a kind of [^.]+"))
    assert len(pairs) > 1500
    for noun, other in pairs:
        assert roots[noun] != roots[other]
        assert frozenset((roots[noun], roots[other])) not in builtin.OVERLAPPING


def test_overlapping_roots_are_roots(nouns):
    roots = {concept.name for concept in nouns if not concept.parents}
    assert frozenset().union(*builtin.OVERLAPPING) <= roots


def test_the_seed_draws_other_sentences_in_another_order(documents):
    other = read(seed=1)
    assert [document.id for document in other] != [document.id for document in documents]
    assert {document.text for document in other} != {document.text for document in documents}
