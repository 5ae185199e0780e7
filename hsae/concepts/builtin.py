"""Everyday English nouns in up to six levels, written for this project: they need no data and no network.

`builtin.txt` is the taxonomy as an indented outline that people can read and mend.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import PositiveInt

from hsae.concepts.choose import first, in_turns
from hsae.concepts.taxonomy import Concept, Taxonomy
from hsae.config import Part

OUTLINE = Path(__file__).with_suffix(".txt")
INDENT = 2


class Settings(Part):
    """`n`: how many concepts, ancestors included (null: all); roots take turns, the familiar come first."""

    name: Literal["builtin"]
    n: PositiveInt | None


class Entry(NamedTuple):
    """One line of the outline; `is_mass` marks a noun that takes no article (water, joy, chess)."""

    concept: Concept
    is_mass: bool


@cache
def entries() -> tuple[Entry, ...]:
    """The whole outline, every parent before its children."""
    return tuple(read_outline(OUTLINE.read_text(encoding="utf-8").splitlines()))


def read_outline(lines: Iterable[str]) -> Iterator[Entry]:
    """`~name, other names: gloss`, two spaces deeper than its parent; empty and `#` lines say nothing."""
    above: list[str] = []
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        depth = (len(line) - len(line.lstrip(" "))) // INDENT
        if depth > len(above):
            raise ValueError(f"a line stands deeper than a child of the line above it: {line.strip()}")
        names, gloss = line.strip().split(": ", 1)
        lemmas = tuple(names.removeprefix("~").split(", "))
        id = f"hsae:{lemmas[0].replace(' ', '_')}.n"
        above[depth:] = [id]
        concept = Concept(
            id=id, name=lemmas[0], gloss=gloss, parents=tuple(above[:-1][-1:]), depth=depth, lemmas=lemmas
        )
        yield Entry(concept, is_mass=names.startswith("~"))


def load(settings: Settings, *, seed: int) -> Taxonomy:  # noqa: ARG001  every source takes the seed
    """The taxonomy, or its `n` most familiar concepts with all that stands above them.

    Raises `UserError` where `n` is more than there are: it is never padded.
    """
    taxonomy = Taxonomy(entry.concept for entry in entries())
    if settings.n is None:
        return taxonomy
    return first(taxonomy, settings.n, order=familiar_first(taxonomy), source="the built-in taxonomy")


def familiar_first(taxonomy: Taxonomy) -> list[int]:
    """Rows in turns, one from each root; within a root, first children of first children come first."""
    late: list[int] = []
    place = {row: place for below in taxonomy.children for place, row in enumerate(below)}
    turns: dict[int, list[int]] = {}
    for row, parent in enumerate(taxonomy.parents):
        late.append(0 if parent < 0 else late[parent] + place[row])
        turns.setdefault(([row, *taxonomy.ancestors(row)])[-1], []).append(row)
    return in_turns(sorted(rows, key=lambda row: (late[row], row)) for rows in turns.values())
