"""ConceptNet 5: the English nodes of its assertions, the heaviest `IsA` edges as parents.

The file is https://s3.amazonaws.com/conceptnet/downloads/2019/edges/conceptnet-assertions-5.7.0.csv.gz
(475 MB, CC BY-SA 4.0), compressed or not: five columns with tabs between them, the URIs of the assertion, of
its relation, of its start and of its end, and an object of JSON that holds its weight (Speer, Chin and Havasi
2017, arXiv:1612.03975). Nothing else is read.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import PositiveInt

from hsae import console
from hsae.concepts import files
from hsae.concepts.choose import first
from hsae.concepts.hierarchy import parents_first, without_circles
from hsae.concepts.taxonomy import Concept, Taxonomy
from hsae.config import Part
from hsae.errors import UserError

KIND = (
    "conceptnet-assertions-5.7.0.csv.gz, from "
    "https://s3.amazonaws.com/conceptnet/downloads/2019/edges/conceptnet-assertions-5.7.0.csv.gz"
)
ENGLISH = "/c/en/"
ADJECTIVES = {"s": "a"}  # WordNet's satellites


class Settings(Part):
    """`n`: how many, ancestors included (null: all), the most connected first: those with the largest sum of
    the weights of all English assertions that they stand in. `parents`: at most so many a concept."""

    name: Literal["conceptnet"]
    path: str | None
    n: PositiveInt | None
    senses: bool
    parents: PositiveInt | None


class Assertion(NamedTuple):
    """One line about two English nodes, whose URIs are given without `/c/en/`."""

    relation: str
    start: str
    end: str
    weight: float


def load(settings: Settings, *, seed: int) -> Taxonomy:  # noqa: ARG001  every source takes the seed
    """The taxonomy of the nodes; `frequency` is the sum of the weights.

    An `IsA` edge that closes a circle with heavier ones is left out, and how many these are is said. Raises
    `UserError` for a missing file, a line that is no assertion, and where there are fewer than `n` nodes.
    """
    file = files.find(settings.path, source="conceptnet", kind=KIND)
    weights: dict[str, float] = defaultdict(float)
    kinds: dict[tuple[str, str], float] = defaultdict(float)
    for relation, *ends, weight in assertions(file):
        start, end = ends if settings.senses else (node.split("/", 1)[0] for node in ends)
        for node in {start, end}:
            weights[node] += weight
        if relation == "/r/IsA":
            kinds[start, end] += weight
    if not weights:
        raise UserError(f"{file} holds no English assertions.\nconcepts=conceptnet reads {KIND}.")
    # the heaviest edges first; of equal ones those to the most connected parents
    edges = sorted(kinds, key=lambda edge: (-kinds[edge], -weights[edge[1]], edge))
    parents, circles = without_circles(edges, most=settings.parents)
    if circles:
        console.say(f"conceptnet: {circles:,} of {len(edges):,} IsA edges close a circle and are left out")
    in_order = parents_first({node: parents.get(node, ()) for node in weights})
    taxonomy = Taxonomy(
        _concept(node, parents.get(node, ()), depth, weights[node]) for node, depth in in_order
    )
    if settings.n is None:
        return taxonomy
    order = sorted(range(len(taxonomy)), key=lambda row: -taxonomy.concepts[row].frequency)
    return first(taxonomy, settings.n, order=order, source=str(file))


def fingerprint(settings: Settings) -> str:
    """A hash of the file's bytes: the path alone does not say what is in it."""
    return files.fingerprint(files.find(settings.path, source="conceptnet", kind=KIND))


def assertions(file: Path) -> Iterator[Assertion]:
    """The assertions of which both ends are English, in the file's order."""
    english = f"\t{ENGLISH}".encode()
    for number, line in files.lines(file):
        if line.count(english) < 2:  # of 34 million lines most are of other languages
            continue
        fields = files.text(file, number, line).split("\t", 4)
        try:
            _, relation, start, end, said = fields
            weight = float(json.loads(said)["weight"])
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f"{file}, line {number}: not an assertion: five columns with tabs between them, the last "
                'an object such as {"weight": 1.0}.'
            ) from None
        if start.startswith(ENGLISH) and end.startswith(ENGLISH):
            yield Assertion(relation, start.removeprefix(ENGLISH), end.removeprefix(ENGLISH), weight)


def _concept(node: str, parents: tuple[str, ...], depth: int, weight: float) -> Concept:
    """`dog/n/wn/animal`: the term, then perhaps its part of speech (a noun where none stands), its sense."""
    term, *sense = node.split("/")
    name = term.replace("_", " ").strip()
    return Concept(
        id=f"conceptnet:{node}",
        name=name,
        pos=ADJECTIVES.get(sense[0], sense[0]) if sense else "n",
        parents=tuple(f"conceptnet:{parent}" for parent in parents),
        depth=depth,
        frequency=weight,
        lemmas=(name,),
    )
