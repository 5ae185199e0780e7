"""HatCat's templates: word for word and in its order, for that decides what its first samples were."""

import pytest
from pydantic import ValidationError

from hsae.concepts import Concept, Taxonomy
from hsae.contexts import Wanted, historical

PETS = Taxonomy([Concept("x:dog", "dog"), Concept("x:owl", "barn owl")])


def texts(first: int, wanted: Wanted | None = None) -> list[str]:
    made = historical.make(PETS, historical.Settings(first=first), seed=0, wanted=wanted)
    return [context.text for context in made]


def test_the_first_ten_are_those_that_hatcat_read():
    assert texts(10)[:10] == [
        "dog",
        "The concept of dog",
        "An example of dog is",
        "dog refers to",
        "When discussing dog",
        "The meaning of dog",
        "In the context of dog",
        "Understanding dog",
        "dog can be described as",
        "The nature of dog",
    ]


def test_there_are_twenty_and_the_last_is_the_role():
    assert len(texts(20)) == 2 * len(set(historical.TEMPLATES)) == 40
    assert texts(20)[-1] == "The role of barn owl"


def test_a_later_round_goes_on_where_the_earlier_stopped():
    rest = Wanted(rows=[1], have=[17], each=5)
    assert texts(20, rest) == ["Exploring barn owl", "barn owl manifests as", "The role of barn owl"]


def test_all_roles_are_there_and_the_name_is_where_the_span_says():
    made = list(historical.make(PETS, historical.Settings(first=20), seed=0))
    assert {context.role for context in made} == {"fit", "tune", "test"}
    assert {context.text[context.start : context.end] for context in made} == {"dog", "barn owl"}
    assert {context.source for context in made} == {"historical"}


@pytest.mark.parametrize("first", [0, 21])
def test_more_than_there_are_is_refused(first):
    with pytest.raises(ValidationError):
        historical.Settings(first=first)
