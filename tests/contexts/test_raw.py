"""The raw stage: the term alone, and the term where its gloss can be felt."""

from hsae.concepts import Concept, Taxonomy
from hsae.contexts import Context, raw

PETS = Taxonomy([Concept("x:dog", "dog", gloss="it barks; not a cat"), Concept("x:cat", "cat")])


def test_the_gloss_comes_before_the_term_where_a_causal_model_reads_it():
    assert list(raw.make(PETS, raw.Settings(gloss=True), seed=0)) == [
        Context("x:dog", "dog", 0, 3, "raw-01", "fit", "raw"),
        Context("x:dog", "It barks: dog", 10, 13, "raw-02", "fit", "raw"),
        Context("x:cat", "cat", 0, 3, "raw-01", "fit", "raw"),
    ]


def test_the_gloss_can_be_left_out():
    assert [context.text for context in raw.make(PETS, raw.Settings(gloss=False), seed=0)] == ["dog", "cat"]
