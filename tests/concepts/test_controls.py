"""Controls look like concepts and mean nothing, or not what they say."""

import re
from collections import Counter

import pytest

from hsae.concepts import Concept, Taxonomy, builtin
from hsae.concepts.controls import Letters, controls, kind_of
from hsae.errors import UserError

EACH = 60


@pytest.fixture(scope="module")
def nouns():
    return builtin.load(builtin.Settings(name="builtin", n=None), seed=0)


@pytest.fixture(scope="module")
def made(nouns):
    return controls(nouns, each=EACH, seed=0, length=tokens)


def tokens(name):
    """A tokenizer's habit: longer words in pieces of four letters."""
    return sum(-(-len(word) // 4) for word in name.split())


def of(kind, made):
    return [concept for concept in made if kind_of(concept.id) == kind]


def test_each_kind_is_there_as_often_as_asked_and_ids_tell_it(made, nouns):
    kinds = Counter(kind_of(concept.id) for concept in made)
    assert kinds == {"pseudo_word": EACH, "placeholder": EACH, "shuffled_gloss": EACH}
    assert not any(kind_of(concept.id) for concept in nouns) and kind_of("control:other:x") is None
    assert not any(concept.parents for concept in made)
    assert all(re.fullmatch(r"\S+", concept.id) for concept in made)


def test_the_seed_alone_decides(made, nouns):
    assert controls(nouns, each=EACH, seed=0, length=tokens).concepts == made.concepts
    other = controls(nouns, each=EACH, seed=1, length=tokens)
    assert not {c.id for c in of("pseudo_word", other)} & {c.id for c in of("pseudo_word", made)}


def test_pseudo_words_have_the_lengths_of_real_names(nouns):
    """Where every length can be had, those of the first drawn concepts, one by one."""
    more = controls(nouns, each=300, seed=0, length=tokens)
    lengths = [Counter(tokens(c.name) for c in chosen) for chosen in (of("pseudo_word", more), nouns)]
    for length, n in lengths[1].items():
        share = n / len(nouns)
        assert abs(lengths[0][length] / 300 - share) < 4 * (share * (1 - share) / 300) ** 0.5 + 0.01


def test_a_pseudo_word_is_no_word_and_can_be_said(made, nouns):
    words = {
        word.lower() for c in nouns for text in (*c.lemmas, c.gloss) for word in re.findall(r"\w+", text)
    }
    for concept in of("pseudo_word", made):
        assert concept.gloss == "" and concept.lemmas == (concept.name,)
        for word in concept.name.split():
            assert word.lower() not in words and re.search("[aeiouy]", word.lower())


def test_letters_follow_each_other_as_they_do_in_the_names(made, nouns):
    def threes(names):
        words = [f"^^{word}^" for name in names for word in name.split() if word.isalpha()]
        return {word[at : at + 3] for word in words for at in range(len(word) - 2)}

    pseudo = [concept.name for concept in of("pseudo_word", made)]
    assert threes(pseudo) <= threes(lemma for concept in nouns for lemma in concept.lemmas)


def test_the_letter_model_draws_as_often_as_it_has_seen():
    from hsae.seeding import numpy_stream

    letters, random = Letters(["ab", "ac", "acd", "ace", "USA"]), numpy_stream(0, "test")
    drawn = Counter(letters.word(random) for _ in range(4000))
    assert set(drawn) == {"ab", "ac", "acd", "ace"}
    assert all(abs(n - 1000) < 120 for n in drawn.values())


def test_a_length_that_no_pseudo_word_has_is_passed_over_and_too_few_are_refused(nouns):
    known = {concept.name for concept in nouns}

    def familiar(name):
        """Everyday names of one word are one token, and nothing else is."""
        return 1 if name in known and " " not in name else 3

    rare = of("pseudo_word", controls(nouns, each=3, seed=0, length=familiar))
    assert all(familiar(concept.name) == 3 for concept in rare)
    with pytest.raises(UserError, match=r"matched|as many tokens[\s\S]*Ask for \d+ or less"):
        controls(nouns, each=1000, seed=0, length=familiar)


def test_placeholders_are_the_historical_strings(made):
    assert [c.name for c in of("placeholder", made)][:2] == ["concept_000000", "concept_000001"]
    assert made["control:placeholder:concept_000059"].gloss == ""


def test_a_shuffled_gloss_is_a_real_one_and_wrong(made, nouns):
    shuffled = of("shuffled_gloss", made)
    owner = {concept.gloss: row for row, concept in enumerate(nouns)}
    for concept in shuffled:
        row = nouns.index[concept.id.removeprefix("control:shuffled_gloss:")]
        other = owner[concept.gloss]
        assert nouns.concepts[row].lemmas == concept.lemmas and concept.examples == ()
        assert row != other and row not in nouns.ancestors(other) and other not in nouns.ancestors(row)
    assert len({concept.gloss for concept in shuffled}) == EACH


def test_none_asked_none_given(nouns):
    assert len(controls(nouns, each=0, seed=0, length=len)) == 0


def test_what_a_small_taxonomy_cannot_give_is_refused():
    words = ("banana", "cabana", "bandana", "canal", "bandit")
    plain = [Concept(f"x:{word}", word) for word in words]
    chain = [
        Concept(f"x:{word}", word, gloss=word, parents=() if row == 0 else (f"x:{words[row - 1]}",))
        for row, word in enumerate(words)
    ]
    for concepts, each, said in (
        (chain, 1, "they cannot be dealt so that none is right"),
        (chain, 6, "6 pseudo-words were asked for"),
        (plain, 2, "2 shuffled glosses were asked for, and 0 concepts"),
    ):
        with pytest.raises(UserError, match=said):
            controls(Taxonomy(concepts), each=each, seed=0, length=lambda _: 1)
