"""WordNet as running text: glosses, examples, and sentences that state what is a kind of what.

Three kinds of document, so that a split by document keeps them apart:
a synset's gloss (with its examples), a noun's stated sentences, and a parent's list of kinds. A fixed
twentieth of the nouns is never stated and never listed: a model trained on this text knows of their place
only from glosses, and can be asked about it (`held_out`).
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt

from hsae.concepts.wordnet import Synset, synsets
from hsae.config import Part
from hsae.corpora.document import Document, Skipped
from hsae.corpora.unique import unique
from hsae.seeding import numpy_stream, unit_interval

if TYPE_CHECKING:
    from numpy.random import Generator

HELD_OUT = 0.05
# Lexicographer files whose nouns mostly name stuff, states or acts and take no article.
WITHOUT_ARTICLE = {
    "noun.act",
    "noun.attribute",
    "noun.cognition",
    "noun.feeling",
    "noun.motive",
    "noun.phenomenon",
    "noun.possession",
    "noun.process",
    "noun.state",
    "noun.substance",
}
STATED = (
    "{a} is a kind of {h}.",
    "{a} is a type of {h}.",
    "{a} is {ah}.",
    "one kind of {h} is {a}.",
    "what is {a}? {a} is a kind of {h}.",
    "among the kinds of {h} is {a}.",
    "{a} and {b} are both kinds of {h}.",
    "like {b}, {a} is a kind of {h}.",
)
# These also state what the parent is a kind of, so they serve only where the parent may be stated.
STATED_TWICE = (
    "{a} is a sort of {h}, and {h} is a kind of {g}.",
    "{a}, like any {h}, is a kind of {g}.",
)


class Settings(Part):
    """`tokens`: how many tokens a job takes from the corpus, in the shuffled order of its documents."""

    name: Literal["wordnet"]
    tokens: PositiveInt


def held_out(synset: Synset) -> bool:
    """Whether no sentence of the corpus states what this noun is a kind of."""
    return unit_interval(synset.id, salt="stated sentences") < HELD_OUT


def with_article(name: str, *, topic: str = "", proper: bool = False) -> str:
    """A hound, an apple; but names of individuals and of stuff stand alone."""
    if proper or name[:1].isupper() or topic in WITHOUT_ARTICLE:
        return name
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


class _Nouns:
    """The nouns that may be stated, and who stands beside and above whom."""

    def __init__(self, rows: tuple[Synset, ...]):
        self.rows = {row.id: row for row in rows if row.pos == "n"}
        self.children: dict[str, list[str]] = defaultdict(list)
        for row in self.rows.values():
            if not held_out(row):
                for parent in row.parents:
                    self.children[parent].append(row.id)

    def name(self, id: str, *, lemma: int = 0) -> str:
        row = self.rows[id]
        return with_article(row.lemmas[lemma % len(row.lemmas)], topic=row.topic, proper=row.is_instance)


def _gloss(row: Synset) -> str:
    names = ", ".join(row.lemmas)
    return " ".join([f"{names}: {row.gloss}.", *(f"{example}." for example in row.examples)])


def _stated(nouns: _Nouns, row: Synset, draw: "Generator") -> str:
    """Two to six stated sentences, more for nouns that people use more; the first is always the plain one."""
    sentences = []
    for turn in range(2 + 2 * (row.count > 0) + 2 * (row.count > 4)):
        parent = nouns.rows[row.parents[int(draw.integers(len(row.parents)))]]
        siblings = [id for id in nouns.children[parent.id] if id != row.id]
        words = {
            "a": nouns.name(row.id, lemma=turn),
            "h": parent.lemmas[0],
            "ah": with_article(parent.lemmas[0], topic=parent.topic),
        }
        shelf = STATED if siblings else STATED[:-2]
        if siblings:
            words["b"] = nouns.name(siblings[int(draw.integers(len(siblings)))])
        if parent.parents and not held_out(parent):
            shelf = (*shelf, *STATED_TWICE)
            words["g"] = nouns.rows[parent.parents[0]].lemmas[0]
        template = STATED[0] if turn == 0 else shelf[int(draw.integers(len(shelf)))]
        sentences.append(template.format(**words))
    return " ".join(dict.fromkeys(sentences))


def _kinds(nouns: _Nouns, row: Synset, draw: "Generator") -> Iterator[str]:
    """Lists of the kinds of a noun, eight at a time."""
    below = list(nouns.children[row.id])
    draw.shuffle(below)
    for start in range(0, len(below), 8):
        names = [nouns.rows[id].lemmas[0] for id in below[start : start + 8]]
        if len(names) > 1:
            yield f"kinds of {row.lemmas[0]}: {', '.join(names[:-1])} and {names[-1]}."


def _all(seed: int) -> list[Document]:
    rows = synsets()
    nouns, draw = _Nouns(rows), numpy_stream(seed, "wordnet corpus sentences")
    found = [Document(f"{row.id}#gloss", _gloss(row)) for row in rows]
    for row in nouns.rows.values():
        if row.parents and not held_out(row):
            found.append(Document(f"{row.id}#stated", _stated(nouns, row, draw)))
        found.extend(
            Document(f"{row.id}#kinds{number}", text) for number, text in enumerate(_kinds(nouns, row, draw))
        )
    return found


def documents(settings: Settings, *, seed: int) -> Iterator[Document | Skipped]:  # noqa: ARG001  a job counts its tokens
    """All documents in an order shuffled by the seed; a text that stands twice is given once."""
    found = _all(seed)
    order = numpy_stream(seed, "wordnet corpus order").permutation(len(found))
    return unique((found[position] for position in order), source="corpus=wordnet")


def _answers(row: Synset, rows: dict[str, Synset]) -> frozenset[str]:
    """The single words that name what stands directly above."""
    return frozenset(lemma.lower() for id in row.parents for lemma in rows[id].lemmas if lemma.isalpha())


def questions(*, seed: int) -> list[tuple[str, frozenset[str]]]:
    """Prompts about the nouns that are never stated, with the words that answer them, in a shuffled order.

    A noun none of whose hypernyms is a single word is left out.
    """
    rows = {row.id: row for row in synsets() if row.pos == "n"}
    found = []
    for row in rows.values():
        if row.parents and held_out(row) and (answers := _answers(row, rows)):
            name = with_article(row.lemmas[0], topic=row.topic, proper=row.is_instance)
            found.append((f"{name} is a kind of", answers))
    return [found[position] for position in numpy_stream(seed, "wordnet questions").permutation(len(found))]


def stated_answers() -> list[frozenset[str]]:
    """The same answers for the nouns that are stated: what a guess without a model can count."""
    rows = {row.id: row for row in synsets() if row.pos == "n"}
    return [_answers(row, rows) for row in rows.values() if row.parents and not held_out(row)]
