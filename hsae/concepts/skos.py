"""Thesauri in SKOS, the W3C's vocabulary for concept schemes (2009): EuroVoc, AGROVOC, GEMET, UNESCO's.

pip install "hsae[skos]"

Turtle (`.ttl`), RDF/XML (`.rdf`, `.xml`) or N-Triples (`.nt`), compressed with gzip or not. A concept is
keyed by its URI; `prefLabel` is its name, `altLabel` its other lemmas, `definition` its gloss, `example` its
examples, and `broader`, or `narrower` the other way, says what stands above it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, cast
from xml.sax import SAXException

from pydantic import PositiveInt

from hsae import console
from hsae.concepts import files
from hsae.concepts.choose import first
from hsae.concepts.hierarchy import parents_first, without_circles
from hsae.concepts.taxonomy import Concept, Taxonomy
from hsae.config import Part
from hsae.errors import UserError

if TYPE_CHECKING:
    from rdflib import Graph, URIRef
    from rdflib.term import Node

KIND = "thesaurus.ttl, .rdf, .xml or .nt, or one of these with .gz"
FORMATS = {".ttl": "turtle", ".rdf": "xml", ".xml": "xml", ".nt": "nt"}


class Settings(Part):
    """`n`: how many, ancestors included (null: all), those nearest to the roots first. `language`: of the
    labels; `en` takes `en-GB` too, and labels of no language where there are none of its own."""

    name: Literal["skos"]
    path: str | None
    n: PositiveInt | None
    language: str


def load(settings: Settings, *, seed: int) -> Taxonomy:  # noqa: ARG001  every source takes the seed
    """The taxonomy of the concepts that have a URI and a name in the language.

    The parents of a concept stand in the order of their URIs, for the file gives them none. What is left out
    is said: concepts without a name, and edges that close a circle. Raises `UserError` for a file that is no
    thesaurus, and where it has fewer than `n` concepts.
    """
    file = _file(settings)
    graph = _graph(file)
    words = _Words(graph, settings.language)
    named, nameless = _named(graph, words)
    if not named:
        raise UserError(
            f"{file}: of {nameless} concepts none has a skos:prefLabel in {settings.language}.\n"
            "Type concepts.language=<language of its labels>, such as en or de."
        )
    every = set(_edges(graph))
    edges = sorted(edge for edge in every if named.keys() >= set(edge))
    parents, circles = without_circles(edges)
    _say_left_out(nameless, loose=len(every) - len(edges), circles=circles)
    in_order = parents_first({id: parents.get(id, ()) for id in named})
    taxonomy = Taxonomy(words.concept(named[id], parents.get(id, ()), depth) for id, depth in in_order)
    if settings.n is None:
        return taxonomy
    order = sorted(range(len(taxonomy)), key=lambda row: taxonomy.concepts[row].depth)
    return first(taxonomy, settings.n, order=order, source=str(file))


def _say_left_out(nameless: int, *, loose: int, circles: int) -> None:
    for many, what in (
        (nameless, "concepts have no name"),
        (loose, "edges lead to what is not there"),
        (circles, "edges close a circle"),
    ):
        if many:
            console.say(f"skos: {many:,} {what} and are left out")


def fingerprint(settings: Settings) -> str:
    """A hash of the file's bytes: the path alone does not say what is in it."""
    return files.fingerprint(_file(settings))


def _file(settings: Settings) -> Path:
    file = files.find(settings.path, source="skos", kind=KIND)
    if _suffix(file) not in FORMATS:
        raise UserError(f"concepts.path={settings.path}: a thesaurus is a file such as {KIND}.")
    return file


def _suffix(file: Path) -> str:
    return (file.with_suffix("") if file.suffix.lower() == ".gz" else file).suffix.lower()


def _graph(file: Path) -> "Graph":
    try:
        from rdflib import Graph
        from rdflib.exceptions import ParserError
    except ModuleNotFoundError:
        raise UserError(
            'Thesauri are read with the package rdflib.\nType  pip install "hsae[skos]"'
        ) from None
    try:
        with files.opened(file) as stream:
            return Graph().parse(cast("IO[bytes]", stream), format=FORMATS[_suffix(file)])
    # of these the three parsers make their complaints
    except (SyntaxError, SAXException, ParserError, ValueError, EOFError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"{file}: this is not {FORMATS[_suffix(file)]}: {said[:200]}") from None


def _named(graph: "Graph", words: "_Words") -> tuple[dict[str, "URIRef"], int]:
    """The concepts to keep, by URI, and how many have no URI or no name."""
    from rdflib import RDF, SKOS, URIRef

    concepts = set(graph.subjects(RDF.type, SKOS.Concept))
    named = {
        str(node): node for node in concepts if isinstance(node, URIRef) and words.of(node, SKOS.prefLabel)
    }
    return named, len(concepts) - len(named)


def _edges(graph: "Graph") -> Iterator[tuple[str, str]]:
    from rdflib import SKOS

    for child, parent in graph.subject_objects(SKOS.broader):
        yield str(child), str(parent)
    for parent, child in graph.subject_objects(SKOS.narrower):
        yield str(child), str(parent)


class _Words:
    """What a thesaurus says in one language."""

    def __init__(self, graph: "Graph", language: str):
        self.graph, self.language = graph, language.lower()

    def concept(self, node: "URIRef", parents: tuple[str, ...], depth: int) -> Concept:
        from rdflib import SKOS

        name, *others = self.of(node, SKOS.prefLabel)
        return Concept(
            id=str(node),
            name=name,
            gloss=next(iter(self.of(node, SKOS.definition)), ""),
            parents=parents,
            depth=depth,
            lemmas=tuple(dict.fromkeys([name, *others, *self.of(node, SKOS.altLabel)])),
            examples=tuple(self.of(node, SKOS.example)),
        )

    def of(self, node: "Node", predicate: "URIRef") -> list[str]:
        """The texts, those nearest to the language first, else by the alphabet."""
        found: set[tuple[int, str]] = set()
        for said in self._literals(node, predicate):
            language = (said.language or "").lower()
            if (text := " ".join(str(said).split())) and (rank := self._rank(language)) is not None:
                found.add((rank, text))
        # labels of no language stand in only where there are none of the right one
        own = {(rank, text) for rank, text in found if rank < 2}
        return [text for _, text in sorted(own or found)]

    def _literals(self, node: "Node", predicate: "URIRef"):
        from rdflib import RDF, Literal

        for said in self.graph.objects(node, predicate):
            if isinstance(said, Literal):
                yield said
            else:  # a definition with a source of its own is a node, its text that node's value
                yield from (text for text in self.graph.objects(said, RDF.value) if isinstance(text, Literal))

    def _rank(self, language: str) -> int | None:
        if language == self.language:
            return 0
        if language.startswith(f"{self.language}-"):
            return 1
        return None if language else 2
