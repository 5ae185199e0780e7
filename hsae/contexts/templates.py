"""Sentences of four families in which any noun, or any verb, can stand.

A causal LM knows at the word only what came before it, so many sentences say first which sense is meant, by
gloss or parent; those of the family `scene` say nothing of it and leave the sense to the word.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import Field, PositiveInt, field_validator

from hsae.concepts import Taxonomy
from hsae.config import Part
from hsae.contexts.context import Context, Role, Wanted, everything, role_of
from hsae.contexts.sentence import Facts, Sentence, facts_of
from hsae.errors import UserError
from hsae.seeding import unit_interval

Family = Literal["definition", "scene", "category", "dialogue"]

NOUNS: dict[Family, tuple[str, ...]] = {
    "definition": (
        "{Gloss}: this is what we call {a}.",
        "The word for {gloss} is {x}.",
        "In plain words, {gloss} is {a}.",
        "By definition, {a} is {gloss}.",
        "To define {a}, one first has to say that it is {a_parent}.",
        "In the dictionary, the entry for {x} fills half a page.",
        "The meaning of the word {x} is not hard to explain.",
        "Look up {parent} in the dictionary, and it will send you on to {x}.",
    ),
    "scene": (
        "Yesterday they talked about {a} all evening.",
        "She closed her eyes and pictured {a}.",
        "On the last page of the notebook someone had written about {a}.",
        "He laughed when his sister compared him to {a}.",
        "For weeks the painter had been looking for a way to paint {a}.",
        "They walked home and hardly spoke, for each was thinking of {the}.",
        "The whole story turns around {a}.",
        "The first thing she noticed was {the}.",
    ),
    "category": (
        "{A} is a kind of {parent}.",
        "Of all the kinds of {parent}, the first that comes to mind is {a}.",
        "Under the heading {parent} you will also find {a}.",
        "One example of {a_parent} is {a}.",
        "In a list of things that count as {parent}, the next entry reads {x}.",
        "They argued over whether {a} counts as {a_parent}, and agreed that it does.",
        "Nobody doubts that {a} is {a_parent}.",
        "The chapter on {parent} ends with a page about {a}.",
    ),
    "dialogue": (
        '"What do you call this?" he asked. "I call it {a}," she answered.',
        "Question: which word means {gloss}? Answer: {x}.",
        '"Have you ever thought about {a}?" asked the teacher.',
        '"Tell me something about {a}," said the boy, and his grandfather began.',
        "Is {a} a kind of {parent}? Yes, it is.",
        '"Why do you ask me about {the}?" "Because it matters to me."',
        '"Name a kind of {parent}." "{A}, for example."',
        '"Do you mean {a}?" "Yes, that is the word I was looking for."',
    ),
}
VERBS: dict[Family, tuple[str, ...]] = {
    "definition": (
        "{Gloss}: that is what it means to {x}.",
        "To {x} is to {gloss}.",
        "In the dictionary, the verb {x} fills half a page.",
        "What it means to {x} is not hard to explain.",
        "Whoever looks up the verb {parent} is sent on to the verb {x}.",
        "The verb for this meaning, to {gloss}, is {x}.",
    ),
    "scene": (
        "Yesterday evening they began to {x}.",
        "She wanted to {x}, but not alone.",
        "There was no time left to {x} before the rain.",
        "He had learned to {x} as a child.",
        "At last all of them were ready to {x}.",
        "In her dream she tried again and again to {x}.",
    ),
    "category": (
        "To {x} is one way to {parent}.",
        "Whoever wants to {parent} may {x}.",
        "Of all the ways to {parent}, the first that comes to mind is to {x}.",
        "Under the heading {parent} you will also find the verb {x}.",
        "Those who {x} can be said to {parent}.",
        "In a list of verbs that mean to {parent}, the next entry reads {x}.",
    ),
    "dialogue": (
        '"What shall we do?" he asked. "We could {x}," she answered.',
        "Question: which verb means to {gloss}? Answer: {x}.",
        '"Do you know how to {x}?" asked the teacher.',
        '"Tell me when to {x}," said the boy, and his grandfather nodded.',
        '"Name a way to {parent}." "To {x}, for example."',
        '"Why would anybody {x}?" "Because there is no other way."',
    ),
}
TURNS: tuple[Role, ...] = ("fit", "tune", "fit", "test")


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
    """The sentences for nouns (`n`) or verbs (`v`). Raises `UserError` for other parts of speech."""
    shelf = {"n": ("", NOUNS), "v": ("verb-", VERBS)}.get(pos)
    if shelf is None:
        raise UserError(f"contexts=[templates] has sentences for nouns and verbs, none for pos={pos!r}.")
    prefix, texts = shelf
    return tuple(
        Template(f"{prefix}{family}-{number:02d}", Sentence(text), role_of(text), family)
        for family in families
        for number, text in enumerate(texts[family], start=1)
    )


def make(
    taxonomy: Taxonomy, settings: Settings, *, seed: int, wanted: Wanted | None = None
) -> Iterator[Context]:
    """The contexts of each concept, in the taxonomy's order; sentences with a gloss where there is one."""
    rows, have, each, *_ = wanted or everything(taxonomy)
    facts = facts_of(taxonomy)
    for row, before in zip(rows, have, strict=True):
        concept = taxonomy.concepts[row]
        shelf = [
            template
            for template in templates(concept.pos, settings.families)
            if facts[row].has_gloss or not template.sentence.needs_gloss
        ]
        if settings.per_concept is not None:
            shelf = _draw(shelf, settings.per_concept, salt=f"{seed}/{concept.id}")
        for template in shelf[before : None if each is None else before + each]:
            yield template.of(concept.id, facts[row])


def _draw(shelf: Iterable[Template], n: int, *, salt: str) -> list[Template]:
    """`n` of the templates, the roles taking turns while they last, so that four suffice for all three."""
    waiting: dict[Role, list[Template]] = {role: [] for role in TURNS}
    for template in sorted(shelf, key=lambda template: unit_interval(template.id, salt=salt)):
        waiting[template.role].append(template)
    drawn: list[Template] = []
    while len(drawn) < n and any(waiting.values()):
        for role in TURNS:
            if waiting[role] and len(drawn) < n:
                drawn.append(waiting[role].pop(0))
    return drawn
