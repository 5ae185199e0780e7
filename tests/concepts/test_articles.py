"""Articles by sound, and none where English has none."""

import pytest

from hsae.concepts import Concept, Taxonomy, builtin
from hsae.concepts.articles import indefinite, is_proper, uncountable


@pytest.mark.parametrize(
    "phrase",
    [
        *("a hound", "an apple", "an hour", "an hourglass", "an heir", "an honest man", "a house", "an egg"),
        *("a unicorn", "a unit", "an uninvited guest", "an umbrella", "an uncle", "a utensil", "a ukulele"),
        *("a European", "a eucalyptus", "a ewe", "a one-way street", "an onion", "an urn", "a uranium mine"),
        *("an X-ray", "a UFO", "an MP", "a T-shirt", "an e-mail"),
    ],
)
def test_the_article_follows_the_sound(phrase):
    article, name = phrase.split(" ", 1)
    assert indefinite(name) == f"{article} "


def test_names_are_proper_where_every_word_is_capitalised():
    assert is_proper("Paris") and is_proper("New York")
    assert not is_proper("German shepherd") and not is_proper("T-shirt") and not is_proper("dog")


def test_the_outline_decides_for_its_own_nouns():
    nouns = builtin.load(builtin.Settings(name="builtin", n=None), seed=0)
    bare = {nouns[id].name for id in uncountable(nouns)}
    assert {"water", "joy", "chess", "jazz", "bread", "furniture", "anger", "rain"} <= bare
    assert not bare & {"dog", "T-shirt", "German shepherd", "chair", "storm", "sandwich", "orange", "hobby"}
    assert bare == {entry.concept.name for entry in builtin.entries() if entry.is_mass}


def test_other_nouns_are_uncountable_below_stuff_and_where_the_outline_knows_the_word():
    food = Concept("wn30:food.n.01", "food")
    foods = [Concept("a", "gruel", parents=(food.id,)), Concept("b", "sandwich", parents=(food.id,))]
    others = [Concept("c", "gadget"), Concept("d", "water"), Concept("e", "Paris")]
    assert uncountable(Taxonomy([food, *foods, *others])) == {food.id, "a", "d", "e"}
