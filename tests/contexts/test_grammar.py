"""The grammar: hundreds of different sentences for a concept, whole and in decent English."""

import re

import pytest

from hsae.concepts import Concept, Taxonomy, builtin
from hsae.contexts import Wanted, grammar, role_of
from hsae.contexts.skeletons import SKELETONS, SYMBOLS
from hsae.errors import UserError

ZOO = Taxonomy(
    [
        Concept("x:animal", "animal", gloss="a creature that moves"),
        Concept("x:owl", "owl", gloss="a bird of the night", parents=("x:animal",)),
        Concept("x:cat", "cat", examples=("the cat sat on the mat",), parents=("x:animal",)),
        Concept("x:kitten", "kitten", parents=("x:cat",)),
    ]
)


def made(taxonomy, *, most=64, seed=0, wanted=None):
    return list(grammar.make(taxonomy, grammar.Settings(per_concept=most), seed=seed, wanted=wanted))


def test_a_concept_gets_hundreds_of_sentences_no_two_alike():
    taxonomy = builtin_outline()
    found = made(taxonomy, most=500, wanted=Wanted([300], [0], None))
    assert len(found) == len({context.text for context in found}) == 500


def builtin_outline():
    return Taxonomy(entry.concept for entry in builtin.entries())


@pytest.mark.parametrize("taxonomy", [ZOO, builtin_outline()], ids=["toy", "builtin"])
def test_sentences_are_whole_and_hold_the_word_where_they_say(taxonomy):
    rows = list(range(0, len(taxonomy), max(1, len(taxonomy) // 40)))
    for context in made(taxonomy, wanted=Wanted(rows, [0] * len(rows), 40)):
        word = taxonomy[context.concept].name
        assert context.text[context.start : context.end] in (word, word[:1].upper() + word[1:])
        assert not re.search(r"[<>{}]|  | [.,?;:]|\b[Aa] ([aio]|e(?!u))", context.text), context.text
        assert re.match(r'["A-Z]', context.text) and context.text[-1] in '.?"'


def test_a_sentence_tells_what_the_taxonomy_knows_and_no_more():
    told = {id: " ".join(c.text for c in made(ZOO, most=200) if c.concept == id) for id in ZOO.index}
    assert "a bird of the night" in told["x:owl"] and "a cat" in told["x:owl"]
    assert '"the cat sat on the mat"' in told["x:cat"] and "kitten is a kind of cat" in told["x:cat"].lower()
    assert "a kind of kitten" not in told["x:kitten"] and " owl" not in told["x:kitten"]


def test_the_role_belongs_to_the_skeleton_and_every_beginning_holds_all_roles():
    found = made(builtin_outline(), wanted=Wanted(list(range(100)), [0] * 100, 4))
    assert len({(c.template, c.role) for c in found}) == len({c.template for c in found})
    for start in range(0, len(found), 4):
        assert {context.role for context in found[start : start + 4]} == {"fit", "tune", "test"}


def test_four_and_then_four_more_are_the_same_as_eight():
    rows = [0, 2]
    eight = made(ZOO, wanted=Wanted(rows, [0, 0], 8))
    four, more = (made(ZOO, wanted=Wanted(rows, [have, have], 4)) for have in (0, 4))
    assert eight == four[:4] + more[:4] + four[4:] + more[4:]
    assert made(ZOO, most=6, wanted=Wanted([1], [4], 4)) == made(ZOO, most=6)[6:12][4:]
    assert made(ZOO, seed=1) != made(ZOO, seed=2)


@pytest.mark.parametrize("pos", SKELETONS)
def test_every_part_of_speech_has_skeletons_of_all_roles_and_every_symbol_is_known(pos):
    assert {skeleton.role for skeleton in grammar.skeletons(pos)} == {"fit", "tune", "test"}
    texts = [*SKELETONS[pos], *(text for productions in SYMBOLS.values() for text in productions)]
    assert {name.lower() for text in texts for name in re.findall(r"<(\w+)>", text)} <= set(SYMBOLS)
    assert made(Taxonomy([Concept("x:a", "a", gloss="b", pos=pos, examples=("c",))]), most=100)


def test_a_part_of_speech_without_skeletons_is_refused_by_name():
    with pytest.raises(UserError, match="pos='q' is none"):
        made(Taxonomy([Concept("x:a", "a", pos="q")]))


def test_an_example_is_quoted_in_skeletons_of_its_own_role_alone():
    """It is a natural sentence too, and there it is judged, or fitted on, by that role."""
    for text in ("the fox ran off", "a fox in the yard", "no fox was seen", "that fox again", "foxes: a fox"):
        concept = Concept("x:fox", "fox", examples=(text,))
        quoting = [context for context in made(Taxonomy([concept]), most=300) if text in context.text]
        assert {context.role for context in quoting} <= {role_of(text)}
        assert quoting or role_of(text) == "tune"  # no skeleton of that role quotes
