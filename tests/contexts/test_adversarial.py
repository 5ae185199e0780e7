"""What a concept is taken for: minimal pairs that differ in the word alone, other senses, use and mention."""

import re

import pytest
from pydantic import ValidationError

from hsae.concepts import Concept, Taxonomy, builtin
from hsae.contexts import Wanted, adversarial
from hsae.contexts.contrasts import SENTENCES, SOURCES
from hsae.contexts.kin import Kin
from hsae.errors import UserError

ZOO = Taxonomy(
    [
        Concept("x:thing", "thing"),
        Concept("x:animal", "animal", gloss="a creature that moves", parents=("x:thing",)),
        Concept("x:plant", "plant", gloss="a creature that stays", parents=("x:thing",)),
        Concept("x:bat", "bat", gloss="a small animal that flies by night", parents=("x:animal",)),
        Concept("x:owl", "owl", gloss="an owl of the night", parents=("x:animal",)),
        Concept("x:cat", "cat", parents=("x:animal",)),
        Concept("x:club", "bat", gloss="a club used for hitting a ball", parents=("x:thing",)),
        Concept("x:kitten", "kitten", parents=("x:cat",)),
        Concept("x:nonowl", "nonowl", parents=("x:plant",)),
    ]
)
BAT, OWL, CAT = (ZOO.index[f"x:{name}"] for name in ("bat", "owl", "cat"))


def made(taxonomy=ZOO, *, sources=SOURCES, confusers=3, seed=0, wanted=None):
    settings = adversarial.Settings(sources=sources, confusers=confusers)
    return list(adversarial.make(taxonomy, settings, seed=seed, wanted=wanted))


def of(source, id, **more):
    return [context for context in made(sources=(source,), **more) if context.concept == id]


def test_the_two_contexts_of_a_minimal_pair_differ_in_the_word_alone():
    confusers = {OWL: [CAT], CAT: [OWL]}
    found = made(sources=("pair",), wanted=Wanted([OWL, CAT], [0, 0], None, confusers=confusers))
    frames = {"x:owl": {}, "x:cat": {}}
    for context in found:
        before = re.sub(r"\ban?$", "a", context.text[: context.start].rstrip())
        frames[context.concept][context.template] = before, context.text[context.end :]
    assert frames["x:owl"] == frames["x:cat"] and len(frames["x:owl"]) == len(SENTENCES["n"]["pair"])
    assert all("owl" in context.text and "cat" in context.text for context in found)


def test_only_the_concepts_that_are_asked_for_get_contexts():
    assert {context.concept for context in made(wanted=Wanted([OWL], [0], None))} == {"x:owl"}


def test_confusers_are_named_nearest_first_and_relatives_where_none_are_known():
    plant = ZOO.index["x:plant"]
    known = Wanted([OWL], [0], 1, confusers={OWL: [plant, CAT]})
    assert "plant" in made(sources=("negation",), wanted=known)[0].text
    assert [ZOO.concepts[row].name for row in Kin(ZOO).nearest(OWL)] == [
        *("cat", "bat"),
        *("plant", "bat"),
        "kitten",
    ]


def test_a_concept_is_never_set_against_its_own_name():
    for context in made():
        if context.source in ("pair", "negation", "contrast"):
            assert context.text.count("bat") != 2 or context.source == "pair"
    assert not Kin(ZOO).comparable(BAT, ZOO.index["x:club"])


def test_antonyms_come_first_in_contrasts():
    assert [ZOO.concepts[row].name for row in Kin(ZOO).antonyms(OWL)] == ["nonowl"]
    assert any("nonowl" in context.text for context in of("contrast", "x:owl"))


def test_antonyms_that_the_source_names_take_the_place_of_guesses_by_name():
    antonyms = ("x:cat", "x:unknown", "x:verb", "x:other_owl")
    zoo = Taxonomy(
        [concept for concept in ZOO if concept.id != "x:owl"]
        + [
            Concept("x:verb", "hoot", pos="v"),
            Concept("x:other_owl", "owl"),
            Concept("x:owl", "owl", parents=("x:animal",), antonyms=antonyms),
        ]
    )
    row = zoo.index["x:owl"]
    found = [zoo.concepts[other].name for other in Kin(zoo).antonyms(row)]
    assert found == ["cat"], "not there, of another part of speech and of the same name are left out"
    first = made(zoo, sources=("contrast",), confusers=1, wanted=Wanted([row], [0], None))
    assert first and all("cat" in context.text.lower() for context in first)


def test_a_homograph_sentence_tells_both_senses_apart():
    for context in of("homograph", "x:bat"):
        assert "flies by night" in context.text and "hitting a ball" in context.text
    assert of("homograph", "x:bat") and not of("homograph", "x:cat")


def test_use_without_mention_never_names_the_concept_and_ends_in_a_word_of_content():
    for context in of("unmentioned", "x:bat"):
        assert "bat" not in context.text and context.text[context.start : context.end] == "night"
    assert of("unmentioned", "x:club")[0].text.endswith("for hitting a ball.")
    assert not of("unmentioned", "x:owl"), "its gloss names it"
    assert not of("unmentioned", "x:cat"), "it has no gloss"


def test_mention_without_use_says_what_is_true_of_the_letters():
    texts = " ".join(context.text for context in of("mentioned", "x:owl"))
    assert "It has 3 letters." in texts and "begins with the letter O." in texts
    assert made(Taxonomy([Concept("x:7", "7")]), sources=("mentioned",))


@pytest.mark.parametrize("pos", SENTENCES)
def test_every_part_of_speech_has_sentences_of_every_source_and_role(pos):
    shelf = [template for source in SOURCES for template in adversarial.templates(pos, source)]
    assert {template.source for template in shelf} == set(SOURCES)
    assert {template.role for template in shelf} == {"fit", "tune", "test"}
    two = [Concept(f"x:{gloss}", "set", gloss=gloss, pos=pos) for gloss in ("one", "two")]
    assert {context.source for context in made(Taxonomy(two))} == {"homograph", "unmentioned", "mentioned"}


def test_the_span_is_the_word_unless_it_is_unmentioned_and_the_beginning_holds_all_roles():
    taxonomy = Taxonomy(entry.concept for entry in builtin.entries())
    rows = list(range(0, len(taxonomy), 30))
    found = made(taxonomy, wanted=Wanted(rows, [0] * len(rows), 4))
    for context in found:
        word = taxonomy[context.concept].name
        if context.source != "unmentioned":
            assert context.text[context.start : context.end] in (word, word[:1].upper() + word[1:])
        assert not re.search(r"[{}]|  | [.,?;:]", context.text)
    for start in range(0, len(found), 4):
        assert {context.role for context in found[start : start + 4]} == {"fit", "tune", "test"}


def test_two_and_then_two_more_are_the_same_as_four_and_none_comes_twice():
    four = made(wanted=Wanted([BAT], [0], 4))
    assert four == made(wanted=Wanted([BAT], [0], 2)) + made(wanted=Wanted([BAT], [2], 2))
    everything = made()
    assert len({(context.concept, context.text) for context in everything}) == len(everything)
    assert made(seed=1) == made(seed=1) != made(seed=2)


def test_a_wrong_choice_is_refused():
    for sources in ((), ("pair", "pair"), ("poem",)):
        with pytest.raises(ValidationError):
            adversarial.Settings(sources=sources, confusers=1)
    with pytest.raises(UserError, match="none for pos='q'"):
        made(Taxonomy([Concept("x:a", "a", pos="q")]))
