"""A concept is a meaning, keyed by its sense; a taxonomy holds concepts and what stands above what."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import final

from hsae.errors import UserError


@final
@dataclass(frozen=True, slots=True)
class Concept:
    """One meaning of one word.

    `id` is unique across sources (`wn30:dog.n.01`), `name` the commonest surface form, `parents` the ids of
    what it is a kind of (the first is the main one), `depth` the length of the main path to a root,
    `frequency` how often the sense was counted in the source's tagged text (0 where it was not), `antonyms`
    the ids of what means the opposite, as far as the source says so: they need not be in the taxonomy.
    """

    id: str
    name: str
    gloss: str = ""
    pos: str = "n"
    parents: tuple[str, ...] = ()
    depth: int = 0
    frequency: float = 0.0
    lemmas: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    antonyms: tuple[str, ...] = ()


@final
class Taxonomy:
    """Concepts in a fixed order, each after all of its parents; every parent is in the taxonomy itself.

    Raises `UserError` for a parent that is missing, a name given twice or a circle.
    """

    def __init__(self, concepts: Iterable[Concept]):
        self.concepts = tuple(concepts)
        self.index = {concept.id: row for row, concept in enumerate(self.concepts)}
        if len(self.index) < len(self.concepts):
            twice = sorted({c.id for row, c in enumerate(self.concepts) if self.index[c.id] != row})
            raise UserError(f"{len(twice)} concept ids stand twice in the taxonomy: {twice[:5]}")
        for row, concept in enumerate(self.concepts):
            for parent in concept.parents:
                if self.index.get(parent, row) >= row:
                    raise UserError(
                        f"the concept {concept.id} names the parent {parent}, which "
                        + (
                            "stands after it or is itself."
                            if parent in self.index
                            else "is not in the taxonomy."
                        )
                        + "\nList every parent before its children."
                    )

    def __len__(self) -> int:
        return len(self.concepts)

    def __iter__(self) -> Iterator[Concept]:
        return iter(self.concepts)

    def __getitem__(self, id: str) -> Concept:
        return self.concepts[self.index[id]]

    @cached_property
    def parents(self) -> list[int]:
        """Row of each concept's main parent, -1 at the roots."""
        return [self.index[c.parents[0]] if c.parents else -1 for c in self.concepts]

    @cached_property
    def children(self) -> list[list[int]]:
        """Rows of the concepts whose main parent this is."""
        below: list[list[int]] = [[] for _ in self.concepts]
        for row, parent in enumerate(self.parents):
            if parent >= 0:
                below[parent].append(row)
        return below

    def ancestors(self, row: int) -> list[int]:
        """Rows above along the main path, nearest first."""
        above = []
        while (row := self.parents[row]) >= 0:
            above.append(row)
        return above

    def descendants(self, row: int) -> list[int]:
        """Rows below, nearest first, without the row itself."""
        below, frontier = [], list(self.children[row])
        while frontier:
            below.extend(frontier)
            frontier = [grandchild for child in frontier for grandchild in self.children[child]]
        return below

    def keep(self, ids: Iterable[str]) -> "Taxonomy":
        """The taxonomy of the given concepts and everything above them, in the old order."""
        wanted: set[str] = set()
        todo = list(ids)
        while todo:
            if (id := todo.pop()) not in wanted:
                wanted.add(id)
                todo.extend(self[id].parents)
        return Taxonomy(concept for concept in self.concepts if concept.id in wanted)
