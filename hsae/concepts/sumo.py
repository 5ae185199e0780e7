"""Ontologies in SUO-KIF: SUMO's Merge.kif, Mid-level-ontology.kif, a domain's, or one's own.

From github.com/ontologyportal/sumo. A file is a list of s-expressions, of which these are read where they
stand at the top and name terms alone; axioms and rules are passed over:

    (subclass Dog Canine)   (subrelation son child)   (instance Europe Continent)
    (documentation Dog EnglishLanguage "A &%Canine that ...")   (termFormat EnglishLanguage Dog "dog")

A concept is a term, keyed by its name (`sumo:Dog`). It may have several parents, in the file's order.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, final

from pydantic import PositiveInt

from hsae import console
from hsae.concepts import files
from hsae.concepts.choose import first
from hsae.concepts.hierarchy import parents_first, without_circles
from hsae.concepts.taxonomy import Concept, Taxonomy
from hsae.config import Part
from hsae.errors import UserError

KIND = "Merge.kif or another file in SUO-KIF, perhaps with .gz"

# a comment ends with its line, a string at a quote without a backslash before it
_PIECE = re.compile(
    r"""\s+ | ;[^\n]* | (?P<mark>[()]) | "(?P<string>(?:[^"\\]|\\.)*)" | (?P<atom>[^\s()";]+)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_TERM = re.compile(r"[A-Za-z][\w-]*")


class Settings(Part):
    """`n`: how many, ancestors included (null: all), those nearest to the roots first. `instances`: with
    individuals such as Europe, and relations under the kind of relation that they are."""

    name: Literal["sumo"]
    path: str | None
    n: PositiveInt | None
    instances: bool


class Form(NamedTuple):
    """What stands between two parentheses: atoms and strings, and further forms only as `None`."""

    line: int
    parts: tuple[str | None, ...]


@final
class Ontology:
    """What a file says: edges (child, parent) in its order, English texts and names by term."""

    def __init__(self) -> None:
        self.edges: list[tuple[str, str]] = []
        self.glosses: dict[str, str] = {}
        self.names: dict[str, list[str]] = {}
        self.passed = 0
        """Statements of what stands above what that are not about terms alone."""

    def take(self, form: Form, *, instances: bool) -> None:
        match form.parts:
            case ("subclass" | "subrelation" | "instance" as relation, child, parent):
                if relation == "instance" and not instances:
                    return
                if (
                    child is None
                    or parent is None
                    or not (_TERM.fullmatch(child) and _TERM.fullmatch(parent))
                ):
                    self.passed += 1
                else:
                    self.edges.append((child, parent))
            case ("documentation", str(term), "EnglishLanguage", str(text)):
                self.glosses.setdefault(term, gloss(text))
            case ("termFormat", "EnglishLanguage", str(term), str(text)):
                self.names.setdefault(term, []).append(_plain(text))


def load(settings: Settings, *, seed: int) -> Taxonomy:  # noqa: ARG001  every source takes the seed
    """The taxonomy of the terms that stand above or below another.

    What is left out is said: statements that are not about terms, and edges that close a circle. Raises
    `UserError`, with the line, for a file that is no SUO-KIF, and where it has fewer than `n` terms.
    """
    file = files.find(settings.path, source="sumo", kind=KIND)
    said = Ontology()
    for form in forms(file):
        said.take(form, instances=settings.instances)
    if not said.edges:
        raise UserError(f"{file} says of no term what it is a kind of: it has no (subclass X Y).")
    parents, circles = without_circles(said.edges)
    for many, what in (
        (said.passed, "statements are not about terms alone"),
        (circles, "edges close a circle"),
    ):
        if many:
            console.say(f"sumo: {many:,} {what} and are left out")
    terms = dict.fromkeys(term for edge in said.edges for term in edge)
    in_order = parents_first({term: parents.get(term, ()) for term in terms})
    taxonomy = Taxonomy(_concept(said, term, parents.get(term, ()), depth) for term, depth in in_order)
    if settings.n is None:
        return taxonomy
    order = sorted(range(len(taxonomy)), key=lambda row: taxonomy.concepts[row].depth)
    return first(taxonomy, settings.n, order=order, source=str(file))


def fingerprint(settings: Settings) -> str:
    """A hash of the file's bytes: the path alone does not say what is in it."""
    return files.fingerprint(files.find(settings.path, source="sumo", kind=KIND))


def forms(file: Path) -> Iterator[Form]:
    """The s-expressions at the top of the file, in its order.

    Raises `UserError`, with its line, for a parenthesis or string that is never closed, a parenthesis that
    closes nothing, and text outside of any.
    """
    text = "\n".join(files.text(file, number, line) for number, line in files.lines(file))
    depth, line, start, at, parts = 0, 1, 1, 0, []
    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None:
            raise UserError(f"{file}, line {line}: a string begins here and is never closed.")
        mark, string, atom = piece["mark"], piece["string"], piece["atom"]
        if mark == "(":
            depth += 1
            if depth == 1:
                start, parts = line, []
            elif depth == 2:
                parts.append(None)
        elif mark == ")":
            depth -= 1
            if depth < 0:
                raise UserError(f"{file}, line {line}: this parenthesis closes nothing.")
            if depth == 0:
                yield Form(start, tuple(parts))
        elif string is not None or atom is not None:
            if depth == 0:
                raise UserError(f"{file}, line {line}: {piece[0][:40]} stands outside of any parentheses.")
            if depth == 1:
                parts.append(atom if string is None else _ESCAPED.sub(r"\1", string))
        line += piece[0].count("\n")
        at = piece.end()
    if depth:
        raise UserError(f"{file}, line {start}: the expression that begins here is never closed.")


def gloss(documentation: str) -> str:
    """Its first sentence, the terms that it links to (`&%CorpuscularObject`) as words, without HTML."""
    text = _plain(documentation)
    ends = [found.end() for found in re.finditer(r"(?<!\b[ei]\.[ge])(?<!\bcf)\.(?= [A-Z(])", text)]
    return text[: ends[0]].rstrip(".") if ends else text.rstrip(".")


def _plain(text: str) -> str:
    linked = re.sub(r"&%([A-Za-z][\w-]*)", lambda term: spelled(term[1]), text)
    return " ".join(re.sub(r"</?[A-Za-z][^>]*>", " ", linked).split())


def _concept(said: Ontology, term: str, parents: tuple[str, ...], depth: int) -> Concept:
    formats = [name.replace("_", " ").strip() for name in said.names.get(term, ())]
    lemmas = tuple(dict.fromkeys(name for name in formats if name)) or (spelled(term),)
    return Concept(
        id=f"sumo:{term}",
        name=lemmas[0],
        gloss=said.glosses.get(term, ""),
        parents=tuple(f"sumo:{parent}" for parent in parents),
        depth=depth,
        lemmas=lemmas,
    )


def spelled(term: str) -> str:
    """A term as words: `CorpuscularObject` is a corpuscular object, `TVShow` a TV show."""
    return " ".join(
        word if word.isupper() and len(word) > 1 else word.lower()
        for word in re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", term)
    )
