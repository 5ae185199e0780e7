"""Copies are dropped and counted, faulty documents named, and none of it costs much memory."""

import random
import tracemalloc
import unicodedata
from itertools import islice

import pytest

from hsae.corpora import SHARES, Document, Skipped, split
from hsae.corpora.unique import COPY, PATIENCE, Seen, normalised, unique
from hsae.errors import UserError


def given(*texts):
    return list(unique((Document(f"d{n}", text) for n, text in enumerate(texts)), source="x"))


@pytest.mark.parametrize(
    "copy", ["caf\u00e9 au lait", "cafe\u0301 au lait", "  café\tau\n\n lait ", "café\u00a0au\u2003lait"]
)
def test_texts_that_differ_in_white_space_or_composition_alone_are_copies(copy):
    assert given("café au lait", copy) == [Document("d0", "café au lait"), Skipped("d1", COPY)]


@pytest.mark.parametrize("other", ["Café au lait", "café aulait", "café au lait.", "ｃafé au lait"])
def test_texts_that_differ_in_anything_else_are_not(other):
    assert given("café au lait", other)[1] == Document("d1", other)


def test_a_text_is_given_as_it_was_and_not_normalised():
    text = " two  words\ncafe\u0301 "
    assert given(text)[0].text == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "it has no text"),
        (7, "its text is int, not text"),
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("a\0b", "it holds binary data"),
        ("dog \ud800", "it is not valid Unicode: surrogates not allowed"),
    ],
)
def test_a_faulty_document_is_named_in_its_place(text, why):
    assert given("one", text, "two") == [Document("d0", "one"), Skipped("d1", why), Document("d2", "two")]


def test_what_a_source_skipped_itself_is_passed_on_in_its_place():
    items = [Skipped("a", "broken"), Document("b", "one"), Skipped("c", "broken")]
    assert list(unique(items, source="x")) == items


@pytest.mark.parametrize("items", [[], [Skipped("a.txt", "empty")], [Document("d", " ")]])
def test_no_document_at_all_is_refused_and_says_why(items):
    with pytest.raises(UserError, match=r"corpus.path=x holds no text: \d documents") as refused:
        list(unique(items, source="corpus.path=x"))
    assert all(item.id in str(refused.value) for item in items)


def test_a_corpus_without_text_is_refused_before_all_of_it_is_read():
    read = []
    endless = (read.append(n) or Skipped(f"row {n}", "no 'body' in it") for n in iter(lambda: len(read), -1))
    with pytest.raises(UserError, match="row 0: no 'body' in it"):
        list(unique(endless, source="x"))
    assert len(read) == PATIENCE


def test_what_was_remembered_is_known_and_nothing_else():
    seen = Seen()
    assert all(seen.add(f"text {n}") for n in range(20_000))
    assert not any(seen.add(f"text {n}") for n in range(20_000))
    assert len(seen) == 20_000


def test_a_remembered_text_costs_a_few_bytes_however_long_it_is():
    tracemalloc.start()
    seen, long = Seen(), "x" * 1000
    for n in range(10_000):
        seen.add(f"{n}{long}")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / 10_000 < 25


def variant(text, draw):
    """The same text in other white space, perhaps decomposed."""
    spaced = "".join(draw.choice([" ", "  ", "\n", "\t "]) if c == " " else c for c in text)
    return unicodedata.normalize(draw.choice(["NFC", "NFD"]), spaced)


@pytest.mark.parametrize("seed", range(5))
def test_no_text_and_no_document_is_in_two_splits(seed):
    draw = random.Random(seed)
    words = ["né", "öl", "wörld", "dog", "한", "a", "b"]
    texts = [" ".join(draw.choices(words, k=draw.randint(1, 4))) for _ in range(600)]
    items = unique((Document(f"d{n}", variant(text, draw)) for n, text in enumerate(texts)), source="x")
    found = {name: [] for name in SHARES}
    skipped = 0
    for item in items:
        if isinstance(item, Skipped):
            skipped += 1
        else:
            found[split(item.id)].append(item)
    assert skipped > 50 and all(found.values())
    for of in (lambda d: d.id, lambda d: normalised(d.text)):
        keys = [of(document) for documents in found.values() for document in documents]
        assert len(set(keys)) == len(keys)
    assert {normalised(d.text) for d in sum(found.values(), [])} == {normalised(text) for text in texts}


@pytest.mark.parametrize("start", [0, 1, 7, 58])
def test_reading_on_from_a_number_gives_what_a_whole_reading_gives_from_there(start):
    texts = [f"text {n % 37}" if n % 5 else "" for n in range(60)]
    read = lambda: unique((Document(f"d{n}", text) for n, text in enumerate(texts)), source="x")
    assert list(islice(read(), start, None)) == list(read())[start:]
