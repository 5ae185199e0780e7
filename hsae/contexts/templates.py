"""Sentences of four families in which any noun, verb, adjective or adverb can stand.

A causal LM knows at the word only what came before it, so many sentences say first which sense is meant, by
gloss or parent; those of the family `scene` say nothing of it and leave the sense to the word.
"""

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import Field, PositiveInt, field_validator

from hsae.concepts import Taxonomy
from hsae.config import Part
from hsae.contexts.context import Context, Role, Wanted, everything, role_of
from hsae.contexts.families import SHELVES
from hsae.contexts.sentence import Facts, Sentence, facts_of
from hsae.contexts.turns import in_turns
from hsae.errors import UserError
from hsae.seeding import unit_interval

Family = Literal["definition", "scene", "category", "dialogue"]

PREFIX = {"n": "", "v": "verb-", "a": "adjective-", "r": "adverb-"}
"""What the ids of the sentences for a part of speech begin with."""


class Settings(Part):
    """`per_concept`: how many of the sentences each concept gets, a different choice for each (null: all)."""

    families: Annotated[tuple[Family, ...], Field(min_length=1)]
    per_concept: PositiveInt | None

    @field_validator("families")
    @classmethod
    def _once(cls, families: tuple[Family, ...]) -> tuple[Family, ...]:
        if len(set(families)) < len(families):
            raise ValueError("each family is named once: a sentence must not count twice")
        return families


class Template(NamedTuple):
    """A numbered sentence; the number stays with the sentence when others are added behind it."""

    id: str
    sentence: Sentence
    role: Role
    family: Family

    def of(self, concept: str, facts: Facts) -> Context:
        """The sentence about one concept."""
        filled = self.sentence.fill(facts)
        return Context(concept, *filled, template=self.id, role=self.role, source=self.family)


@cache
def templates(pos: str, families: tuple[Family, ...] = get_args(Family)) -> tuple[Template, ...]:
    """The sentences for nouns (`n`), verbs (`v`), adjectives (`a`) or adverbs (`r`).

    Raises `UserError` for any other part of speech.
    """
    if pos not in SHELVES:
        raise UserError(
            f"contexts=[templates] has sentences for the parts of speech {', '.join(SHELVES)}, "
            f"none for pos={pos!r}."
        )
    return tuple(
        Template(f"{PREFIX[pos]}{family}-{number:02d}", Sentence(text), role_of(text), family)
        for family in families
        for number, text in enumerate(SHELVES[pos][family], start=1)
    )


def make(
    taxonomy: Taxonomy, settings: Settings, *, seed: int, wanted: Wanted | None = None
) -> Iterator[Context]:
    """The contexts of each concept; sentences with a gloss where there is one.

    Each concept has an order of its own, in which the roles take turns: whoever asks for a few gets all
    roles, and every sentence falls to about as many concepts as any other of its role.
    """
    rows, have, each, *_ = wanted or everything(taxonomy)
    facts = facts_of(taxonomy)
    for row, before in zip(rows, have, strict=True):
        concept = taxonomy.concepts[row]
        shelf = [
            template
            for template in templates(concept.pos, settings.families)
            if facts[row].has_gloss or not template.sentence.needs_gloss
        ]
        salt = f"{seed}/{concept.id}"
        shelf.sort(key=lambda template, salt=salt: unit_interval(template.id, salt=salt))
        last = len(shelf) if settings.per_concept is None else settings.per_concept
        for template in in_turns(shelf)[:last][before : None if each is None else before + each]:
            yield template.of(concept.id, facts[row])
