"""Varied sentences about a concept by a small probabilistic grammar: no language model, no data.

A context-free grammar with equal chances (`skeletons`), except that no production is used twice in a sentence
while another is left. The role belongs to the skeleton, so what is judged stands in sentences of another
build; the template too, so that its effect can be told from the concept's. An example is quoted in skeletons
of its own role alone: where it is judged as a natural sentence, nothing was fitted on its words.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from typing import NamedTuple, final

from pydantic import PositiveInt

from hsae.concepts import Taxonomy
from hsae.config import Part
from hsae.contexts.context import Context, Role, Wanted, everything, role_of
from hsae.contexts.kin import Kin
from hsae.contexts.sentence import Facts, Sentence
from hsae.contexts.skeletons import SKELETONS, SYMBOLS
from hsae.contexts.turns import in_turns
from hsae.errors import UserError
from hsae.seeding import unit_interval

RELATIVES = 16
"""So many siblings and children of a concept are told of."""
STALE = 20
"""So many sentences in a row that stood there before mean that the grammar has no more to say."""

_SYMBOL = re.compile(r"<([A-Za-z]+)>")
_NEEDS = re.compile(r"(sibling|child|gloss|Gloss|example)\}")


class Settings(Part):
    """`per_concept`: how many sentences each concept gets at most."""

    per_concept: PositiveInt


class Skeleton(NamedTuple):
    """A numbered production of a whole sentence, and what it needs to be known of the concept."""

    id: str
    text: str
    role: Role
    needs: frozenset[str]


@cache
def skeletons(pos: str) -> tuple[Skeleton, ...]:
    """The skeletons for a part of speech (`n`, `v`, `a`, `r`). Raises `UserError` for any other."""
    if pos not in SKELETONS:
        raise UserError(
            f"contexts=[grammar] writes of the parts of speech {', '.join(SKELETONS)}; pos={pos!r} is none."
        )
    return tuple(
        Skeleton(
            f"grammar-{pos}-{number:02d}",
            text,
            role_of(text),
            frozenset(need.lower() for need in _NEEDS.findall(text)),
        )
        for number, text in enumerate(SKELETONS[pos], start=1)
    )


def make(
    taxonomy: Taxonomy, settings: Settings, *, seed: int, wanted: Wanted | None = None
) -> Iterator[Context]:
    """Each concept's sentences, no two alike; the skeletons take turns, the roles too.

    Raises `UserError` for a part of speech without skeletons.
    """
    rows, have, each, *_ = wanted or everything(taxonomy)
    kin = Kin(taxonomy)
    for row, before in zip(rows, have, strict=True):
        stop = settings.per_concept if each is None else min(settings.per_concept, before + each)
        yield from islice(_contexts(kin, row, seed), min(before, stop), stop)


def _contexts(kin: Kin, row: int, seed: int) -> Iterator[Context]:
    """All sentences about one concept, one after another."""
    concept = kin.taxonomy.concepts[row]
    known = Known(kin, row)
    shelf = [skeleton for skeleton in skeletons(concept.pos) if known.fill(skeleton)]
    salt = f"{seed}/{concept.id}"
    shelf = in_turns(sorted(shelf, key=lambda skeleton: unit_interval(skeleton.id, salt=salt)))
    seen: set[str] = set()
    number = stale = 0
    while stale < STALE:
        skeleton = shelf[number % len(shelf)]
        draw = Draw(f"{salt}/{number}")
        filled = Sentence(expand(skeleton.text, draw)).fill(known.facts(skeleton, draw))
        number += 1
        stale = stale + 1 if filled.text in seen else 0
        if not stale:
            seen.add(filled.text)
            yield Context(concept.id, *filled, template=skeleton.id, role=skeleton.role, source="grammar")


@final
class Draw:
    """A row of choices, each with equal chances, that depends on the salt alone."""

    def __init__(self, salt: str):
        self.salt, self.made = salt, 0

    def __call__(self, among: Sequence) -> int:
        """The place of one of them."""
        self.made += 1
        return int(unit_interval(str(self.made), salt=self.salt) * len(among))


def expand(text: str, draw: Draw) -> str:
    """The text with every symbol replaced, from left to right, until none is left."""
    left: dict[str, list[str]] = {}

    def production(found: re.Match[str]) -> str:
        symbol = found[1].lower()
        if not left.get(symbol):
            left[symbol] = list(SYMBOLS[symbol])
        chosen = left[symbol].pop(draw(left[symbol]))
        whole = _SYMBOL.sub(production, chosen)
        return whole[:1].upper() + whole[1:] if found[1][0].isupper() else whole

    return _SYMBOL.sub(production, text)


@final
class Known:
    """What the taxonomy knows of a concept, as far as skeletons can use it."""

    def __init__(self, kin: Kin, row: int):
        self.kin, self.row = kin, row
        self.others = {
            "sibling": list(islice(kin.siblings(row), RELATIVES)),
            "child": kin.children(row)[:RELATIVES],
        }
        # a quotation mark inside would end the quotation
        told = (" ".join(text.split()) for text in kin.taxonomy.concepts[row].examples if '"' not in text)
        self.examples: dict[Role, list[str]] = {}
        for text in dict.fromkeys(told):
            self.examples.setdefault(role_of(text), []).append(text)
        has = {name for name, rows in self.others.items() if rows}
        has |= {"gloss"} if kin.facts[row].has_gloss else set()
        self.things = frozenset(has)

    def fill(self, skeleton: Skeleton) -> bool:
        """Whether there is all that it needs."""
        has_example = {"example"} if skeleton.role in self.examples else set()
        return skeleton.needs <= self.things | has_example

    def facts(self, skeleton: Skeleton, draw: Draw) -> Facts:
        """The facts for one sentence, with one of the siblings, children or examples."""
        chosen = {name: rows[draw(rows)] for name, rows in self.others.items() if name in skeleton.needs}
        facts = self.kin.with_others(self.row, **chosen)
        if "example" in skeleton.needs:
            own = self.examples[skeleton.role]
            facts.around["example"] = own[draw(own)]
        return facts
