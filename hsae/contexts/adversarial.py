"""Contexts that separate a concept from what it is taken for.

- `pair`: minimal pairs. One sentence names both and ends with one of them: the two contexts differ in the
  word (and its article) alone, so nothing but the concept can tell their activations apart. Each is a
  context of its own concept; only those of the concepts that are asked for are made.
- `negation`, `contrast`: what is named beside the concept is denied or set against it.
- `homograph`: another concept has the same name; the gloss says which is meant.
- `unmentioned`: use without mention. The gloss stands for the word, and the span is its last content word.
- `mentioned`: mention without use. Said of the word, and true whatever it means.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain, islice, zip_longest
from typing import Annotated, NamedTuple, final

from pydantic import Field, PositiveInt, field_validator

from hsae.concepts import Concept, Taxonomy
from hsae.config import Part
from hsae.contexts.context import Context, Role, Wanted, everything, role_of
from hsae.contexts.contrasts import PERIPHRASES, SENTENCES, Source
from hsae.contexts.function_words import FUNCTION_WORDS
from hsae.contexts.kin import Kin
from hsae.contexts.sentence import Filled, Sentence
from hsae.contexts.turns import in_turns
from hsae.errors import UserError
from hsae.seeding import unit_interval

_WORD = re.compile(r"\w[\w'-]*")


class Settings(Part):
    """`sources`: the kinds of sentences. `confusers`: from how many others, the likeliest first, each concept
    is told apart."""

    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    confusers: PositiveInt

    @field_validator("sources")
    @classmethod
    def _once(cls, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        if len(set(sources)) < len(sources):
            raise ValueError("each source is named once: a sentence must not count twice")
        return sources


class Template(NamedTuple):
    """A numbered sentence; the number stays with the sentence when others are added behind it."""

    id: str
    text: str
    role: Role
    source: Source


@cache
def templates(pos: str, source: Source) -> tuple[Template, ...]:
    """The sentences of one source for a part of speech (`n`, `v`, `a`, `r`). Raises `UserError` for any
    other."""
    if pos not in SENTENCES:
        raise UserError(
            f"contexts=[adversarial] has sentences for the parts of speech {', '.join(SENTENCES)}, none for "
            f"pos={pos!r}."
        )
    texts = PERIPHRASES[pos] if source == "unmentioned" else SENTENCES[pos][source]
    return tuple(
        Template(f"{source}-{pos}-{number:02d}", text, role_of(text), source)
        for number, text in enumerate(texts, start=1)
    )


def make(
    taxonomy: Taxonomy, settings: Settings, *, seed: int, wanted: Wanted | None = None
) -> Iterator[Context]:
    """Each concept's contexts: sources and roles take turns.

    The order of the sentences depends on concept and seed alone; `wanted.confusers` fills in whom they name,
    siblings, then aunts and uncles, then nephews where nothing is known. So a later round that knows better
    goes on with sentences that the earlier one had not come to.

    Raises `UserError` for a part of speech without sentences.
    """
    asked = wanted or everything(taxonomy)
    kin = Kin(taxonomy)
    for row, before in zip(asked.rows, asked.have, strict=True):
        cases = _cases(kin, row, settings, seed, (asked.confusers or {}).get(row, ()))
        for case in cases[before : None if asked.each is None else before + asked.each]:
            yield case.context(kin, row)


@final
class Case(NamedTuple):
    """A sentence, and whom it names beside the concept."""

    template: Template
    other: int | None

    @property
    def role(self) -> Role:
        """Of the sentence, whomever it names."""
        return self.template.role

    def context(self, kin: Kin, row: int) -> Context:
        """The sentence about one concept."""
        concept, (id, text, role, source) = kin.taxonomy.concepts[row], self.template
        if source == "unmentioned":
            filled = periphrasis(text, kin.facts[row].around["gloss"])
        else:
            others = {} if self.other is None else _roles_of(row, self.other)
            facts = kin.with_others(row, **others)
            facts.around = facts.around | spelling(concept.name)
            filled = Sentence(text).fill(facts)
        return Context(concept.id, *filled, template=id, role=role, source=source)


def _roles_of(row: int, other: int) -> dict[str, int]:
    return {"other": other, "first": min(row, other), "second": max(row, other)}


def _cases(kin: Kin, row: int, settings: Settings, seed: int, confusers: Iterable[int]) -> list[Case]:
    """All that can be said of a concept, in its order."""
    concept = kin.taxonomy.concepts[row]
    taken_for = [other for other in confusers if kin.comparable(row, other)] or kin.nearest(row)
    against = chain(kin.antonyms(row), kin.siblings(row))
    others = {
        "pair": (named := list(islice(kin.named_apart(taken_for), settings.confusers))),
        "negation": named,
        "contrast": list(islice(kin.named_apart(against), settings.confusers)),
        "homograph": _senses(kin, row)[: settings.confusers],
        "unmentioned": [None] if _tells(concept, kin.facts[row].around["gloss"]) else [],
        "mentioned": [None],
    }
    by_source = []
    for source in settings.sources:
        shelf = templates(concept.pos, source)
        if source == "mentioned" and not any(map(str.isalpha, concept.name)):
            shelf = [one for one in shelf if "{letters}" not in one.text and "{initial}" not in one.text]
        ordered = sorted(shelf, key=lambda one: unit_interval(one.id, salt=f"{seed}/{concept.id}"))
        by_source.append(list(_each_with_each(ordered, others[source])))
    taking_turns = (case for turn in zip_longest(*by_source) for case in turn if case is not None)
    return in_turns(taking_turns)


def _each_with_each(shelf: list[Template], others: list) -> Iterator[Case]:
    """Every sentence once, then every sentence again with the next of the others, until all were paired."""
    for turn in range(len(others)):
        for number, template in enumerate(shelf):
            yield Case(template, others[(number + turn) % len(others)])


def _senses(kin: Kin, row: int) -> list[int]:
    """Concepts of the same name and part of speech that mean something else, where both meanings are told."""
    concept, gloss = kin.taxonomy.concepts[row], kin.facts[row].around["gloss"]
    return [
        other
        for other in kin.homographs(row)
        if gloss
        and kin.facts[other].around["gloss"] not in ("", gloss)
        and kin.taxonomy.concepts[other].pos == concept.pos
    ]


def _tells(concept: Concept, gloss: str) -> bool:
    """Whether the gloss has a word of content and does not name what it explains."""
    names = "|".join(re.escape(name) for name in (concept.name, *concept.lemmas))
    named = re.search(rf"(?<!\w)(?:{names})(?!\w)", gloss, re.IGNORECASE)
    return not named and _last_content(gloss) is not None


def _last_content(gloss: str) -> re.Match[str] | None:
    words = [word for word in _WORD.finditer(gloss) if word[0].lower() not in FUNCTION_WORDS]
    return words[-1] if words else None


def periphrasis(text: str, gloss: str) -> Filled:
    """A sentence that ends with the gloss in a concept's place; the span is the gloss's last content word."""
    before, word = text.removesuffix("{gloss}"), _last_content(gloss)
    assert word is not None
    return Filled(f"{before}{gloss}.", len(before) + word.start(), len(before) + word.end())


def spelling(name: str) -> dict[str, str]:
    """What can be said of a name as a string of letters."""
    letters = [letter for letter in name if letter.isalpha()]
    counted = "1 letter" if len(letters) == 1 else f"{len(letters)} letters"
    return {"letters": counted, "initial": letters[0].upper() if letters else ""}
