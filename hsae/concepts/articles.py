"""English articles: "a hound", "an hour", "water", "the water", "Paris".

Whether a noun takes one is a fact of English that no taxonomy records. The built-in outline marks it for its
own words, which decide wherever they occur; other nouns are uncountable below some of WordNet's concepts of
stuff. A heuristic: where it errs it costs a clumsy sentence, never a wrong span.
"""

import re
from functools import cache

from hsae.concepts.builtin import entries
from hsae.concepts.taxonomy import Taxonomy

STUFF = frozenset(
    f"wn30:{synset}"
    for synset in (
        *("feeling.n.01", "psychological_state.n.01", "quality.n.01", "trait.n.01", "disease.n.01"),
        *(
            "material.n.01",
            "chemical_element.n.01",
            "fluid.n.01",
            "fluid.n.02",
            "body_substance.n.01",
            "food.n.01",
        ),
        *("energy.n.01", "radiation.n.01", "combustion.n.01", "precipitation.n.03", "land.n.04"),
        *("knowledge_domain.n.01", "music.n.01", "sport.n.01"),
    )
)
"""What stands below these mostly takes no article."""

# By sound, not by letter: a unicorn, a European, an hour, an X-ray.
_OPENS_WITH_CONSONANT = re.compile(
    r"uni(?!n|m)|u[bst][aeiou]|ur[aei]n|ukulele|euc?|ewe|one\b|once", re.IGNORECASE
)
_OPENS_WITH_VOWEL = re.compile(r"[aeiou]|hour|heir|hono|honest", re.IGNORECASE)
_SPELT = re.compile(r"[A-Z]{1,3}\b")  # letters that are named one by one


def indefinite(name: str) -> str:
    """`a` or `an` with a space after it, whichever the sound of the name asks for."""
    if _SPELT.match(name):
        return "an " if name[0] in "AEFHILMNORSX" else "a "
    return "an " if _OPENS_WITH_VOWEL.match(name) and not _OPENS_WITH_CONSONANT.match(name) else "a "


def is_proper(name: str) -> bool:
    """Whether every word is capitalised, as in "New York" and unlike "German shepherd" or "T-shirt"."""
    return all(word[:1].isupper() and word[1:2].islower() for word in name.split())


@cache
def _marked() -> dict[str, bool]:
    return {name: entry.is_mass for entry in entries() for name in entry.concept.lemmas}


def uncountable(taxonomy: Taxonomy) -> frozenset[str]:
    """Ids of the concepts whose name takes no "a"."""
    found: set[str] = set()
    stuff: set[str] = set()  # with everything below it
    for concept in taxonomy:
        if concept.id in STUFF or not stuff.isdisjoint(concept.parents[:1]):
            stuff.add(concept.id)
        if is_proper(concept.name) or _marked().get(concept.name, concept.id in stuff):
            found.add(concept.id)
    return frozenset(found)
