"""A part of a taxonomy is closed, exact, and in the order of what was asked for."""

from itertools import permutations

import pytest

from hsae.concepts import Concept, Taxonomy
from hsae.concepts.choose import first
from hsae.errors import UserError

LADDER = Taxonomy(
    [
        Concept("top", "top"),
        Concept("other", "other"),
        Concept("middle", "middle", parents=("top", "other")),
        Concept("low", "low", parents=("middle",)),
        Concept("alone", "alone"),
    ]
)


def names(n, order):
    return {concept.id for concept in first(LADDER, n, order=order, source="the ladder")}


def test_a_concept_brings_everything_above_it_over_all_parents():
    assert names(4, [3, 4, 0, 1, 2]) == {"low", "middle", "top", "other"}


def test_a_concept_whose_ancestors_do_not_fit_lets_smaller_ones_pass():
    assert names(1, [3, 4, 0, 1, 2]) == {"alone"}


@pytest.mark.parametrize("order", list(permutations(range(5))))
def test_any_order_gives_exactly_as_many_as_are_asked_for(order):
    assert [len(names(n, order)) for n in range(1, 6)] == [1, 2, 3, 4, 5]


def test_more_than_there_are_is_refused_with_the_number():
    with pytest.raises(UserError, match="the ladder has 5 concepts"):
        names(6, range(5))
