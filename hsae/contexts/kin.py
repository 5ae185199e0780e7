"""What stands near a concept in the taxonomy, and how a sentence about the concept names it."""

from collections.abc import Iterable, Iterator
from copy import copy
from functools import cached_property
from itertools import chain
from typing import final

from hsae.concepts import Taxonomy
from hsae.contexts.contrasts import ANTONYMS, PREFIXES
from hsae.contexts.sentence import Facts, facts_of


@final
class Kin:
    """The relatives of each concept of a taxonomy, by rows.

    Concepts with the same name, or of another part of speech, are left out but for `homographs`: no sentence
    can set them against each other by their names.
    """

    def __init__(self, taxonomy: Taxonomy):
        self.taxonomy = taxonomy
        self.facts = facts_of(taxonomy)

    @cached_property
    def _named(self) -> dict[str, list[int]]:
        named: dict[str, list[int]] = {}
        for row, concept in enumerate(self.taxonomy):
            named.setdefault(concept.name.lower(), []).append(row)
        return named

    def homographs(self, row: int) -> list[int]:
        """Other concepts with the same name."""
        return [other for other in self._named[self.taxonomy.concepts[row].name.lower()] if other != row]

    def antonyms(self, row: int) -> list[int]:
        """Concepts of the same part of speech that mean the opposite: those that the source names, or else
        those whose name says it, by a list or by its prefix."""
        told, index = self.taxonomy.concepts[row].antonyms, self.taxonomy.index
        named = [index[id] for id in told if id in index and self.comparable(row, index[id])]
        return named or self._opposite_names(row)

    def _opposite_names(self, row: int) -> list[int]:
        name = self.taxonomy.concepts[row].name.lower()
        opposite = ANTONYMS.get(name, set()) | {f"{prefix}{name}" for prefix in PREFIXES}
        opposite |= {name.removeprefix(prefix) for prefix in PREFIXES} - {name}
        found = (other for word in sorted(opposite) for other in self._named.get(word, ()))
        return [other for other in found if self.comparable(row, other)]

    def comparable(self, row: int, other: int) -> bool:
        """Whether a sentence can name both without confusion."""
        one, two = self.taxonomy.concepts[row], self.taxonomy.concepts[other]
        return one.pos == two.pos and one.name.lower() != two.name.lower()

    def children(self, row: int) -> list[int]:
        """Concepts right below."""
        return [child for child in self.taxonomy.children[row] if self.comparable(row, child)]

    def siblings(self, row: int) -> Iterator[int]:
        """The parent's other children, from the concept's own place on and around, so that not all concepts
        of a large family are told apart from the same few."""
        for other in self._beside(row):
            if self.comparable(row, other):
                yield other

    def nearest(self, row: int) -> Iterator[int]:
        """Siblings, then aunts and uncles, then nephews and nieces."""
        parent = self.taxonomy.parents[row]
        further = chain(
            self._beside(parent) if parent >= 0 else (),
            *(self.taxonomy.children[sibling] for sibling in self._beside(row)),
        )
        yield from self.siblings(row)
        for other in further:
            if self.comparable(row, other):
                yield other

    def named_apart(self, rows: Iterable[int]) -> Iterator[int]:
        """The rows without those whose name stood there before: a sentence can name it only once."""
        seen: set[str] = set()
        for row in rows:
            if (name := self.taxonomy.concepts[row].name.lower()) not in seen:
                seen.add(name)
                yield row

    def _beside(self, row: int) -> Iterator[int]:
        if (parent := self.taxonomy.parents[row]) >= 0:
            family = self.taxonomy.children[parent]
            at = family.index(row)
            yield from family[at + 1 :]
            yield from family[:at]

    def with_others(self, row: int, **others: int) -> Facts:
        """The facts of a concept and the names of others: `sibling=7` brings `{sibling}`, `{a_sibling}`,
        `{A_sibling}` and `{sibling_gloss}`."""
        facts = copy(self.facts[row])
        for name, other in others.items():
            facts.around = facts.around | _names(self.facts[other], name)
        return facts


def _names(told: Facts, name: str) -> dict[str, str]:
    phrase = told.article["a"] + told.word
    return {
        name: told.word,
        f"a_{name}": phrase,
        f"A_{name}": phrase[:1].upper() + phrase[1:],
        f"{name}_gloss": told.around["gloss"],
    }
