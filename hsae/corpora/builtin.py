"""Sentences stated from the built-in taxonomy: what each noun is, is like, is not, and stands beside.

Several megabytes of text that need no data. Each sentence stands in one document only, so that no split
repeats the sentences of another (it does repeat facts: a test loss here measures wording, not knowledge).
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeVar, final

from pydantic import PositiveInt

from hsae.concepts import Taxonomy, builtin
from hsae.concepts.articles import indefinite, uncountable
from hsae.config import Part
from hsae.corpora.document import Document, Skipped
from hsae.corpora.unique import unique
from hsae.seeding import numpy_stream

if TYPE_CHECKING:
    from numpy.random import Generator

# {x} is the noun, {p} its parent, {h} another ancestor, {y} a sibling, {z} a stranger, {q} the stranger's
# parent; {ax} puts the article before it, {Ax} and {X} open a sentence.
IS = (
    "{Ax} is a kind of {p}.",
    "{Ax} is {ap}.",
    "{Ax} belongs to the kind {p}.",
    "One kind of {p} is {ax}.",
    "Ask what {ax} is, and you will hear: {ap}.",
    "If somebody speaks of {ax}, you know that {ap} is meant.",
    "{Ax} can be called {ap}.",
    "Among the kinds of {p} there is {ax}.",
)
IS_ALSO = (
    "{Ax} is {ap} and therefore {ah}.",
    "{Ax} is a kind of {p} and thus also a kind of {h}.",
    "Whatever is true of {ah} is true of {ax}.",
    "{Ax} is not only {ap} but also {ah}.",
)
MEANS = (
    "{Ax} is {gloss}.",
    "{Gloss}: that is {ax}.",
    "The word {x} means {gloss}.",
    "How would you describe {ax}? {Gloss}.",
    "When you read {gloss}, think of {ax}.",
)
BESIDE = (
    "{Ax} and {ay} are two kinds of {p}.",
    "Like {ax}, {ay} is {ap}.",
    "{Ax} is not {ay}, although each of them is {ap}.",
    "Is {ax} the same as {ay}? No, but both belong to the kind {p}.",
    "Beside {ax}, the kind {p} includes {ay}.",
    "Whoever knows {ax} and {ay} knows two kinds of {p}.",
)
UNLIKE = (
    "{Ax} is not a kind of {q} but a kind of {p}.",
    "Is {ax} {aq}? No, it is not: {ax} is {ap}.",
    "Nobody would call {ax} {aq}.",
    "{Ax} is {ap}, while {az} is {aq}.",
    "{Ax} is to {p} what {az} is to {q}.",
    "{Ax} and {az} have little in common: one is {ap}, the other {aq}.",
)
ODD = (
    "{X}, {y}, {z}: which one does not belong? It is {z}, for {az} is {aq}.",
    "Of the words {x}, {y} and {z} only the last does not name {ap}.",
)
T = TypeVar("T")

SIBLINGS, STRANGERS, RIDDLES = 12, 12, 6
"""How many sentences a noun shares with siblings, with strangers and with one of each, at most."""

SENTENCES = 6
"""In one document, at most."""

OVERLAPPING = frozenset(
    frozenset((root, other))
    for root, others in {
        "living thing": ("food", "plant part", "person"),
        "body part": ("food", "substance"),
        "food": ("plant part", "drink", "substance", "event"),
        "substance": ("drink", "artifact", "weather phenomenon"),
        "artifact": ("place", "text", "shape", "work of art", "money"),
        "place": ("celestial body", "group"),
        "event": ("weather phenomenon", "activity", "time period", "work of art"),
        "activity": ("time period", "work of art", "field of study"),
        "text": ("work of art", "money"),
        "emotion": ("health problem",),
    }.items()
    for other in others
)
"""Roots one of whose nouns may be called by a name below the other (a tuna is seafood, milk is a liquid)."""


class Settings(Part):
    """`tokens`: how many tokens a job takes from the corpus, in the shuffled order of its documents."""

    name: Literal["builtin"]
    tokens: PositiveInt


def documents(settings: Settings, *, seed: int) -> Iterator[Document | Skipped]:  # noqa: ARG001  a job counts its tokens
    """Some 12,000 short documents; the seed draws their siblings and strangers, and their order."""
    nouns = _Nouns(builtin.load(builtin.Settings(name="builtin", n=None), seed=seed))
    draw = numpy_stream(seed, "builtin corpus sentences")
    found: list[Document] = []
    for row, concept in enumerate(nouns.taxonomy):
        said = list(dict.fromkeys(_stated(nouns, row, draw)))
        draw.shuffle(said)
        for number, start in enumerate(range(0, len(said), SENTENCES)):
            found.append(Document(f"{concept.id}#{number:02d}", " ".join(said[start : start + SENTENCES])))
    order = numpy_stream(seed, "builtin corpus order").permutation(len(found))
    return unique((found[position] for position in order), source="corpus=builtin")


@final
class _Nouns:
    """The taxonomy with its words ready to be put into sentences."""

    def __init__(self, taxonomy: Taxonomy):
        bare = uncountable(taxonomy)
        self.taxonomy = taxonomy
        self.name = [concept.name for concept in taxonomy]
        self.phrase = [("" if c.id in bare else indefinite(c.name)) + c.name for c in taxonomy]
        self.above = [taxonomy.ancestors(row) for row in range(len(taxonomy))]
        self.own = [
            {"x": name, "X": _capital(name), "ax": phrase, "Ax": _capital(phrase)}
            | {"gloss": concept.gloss, "Gloss": _capital(concept.gloss)}
            for concept, name, phrase in zip(taxonomy, self.name, self.phrase, strict=True)
        ]

    def say(self, sentence: str, row: int, **others: int) -> str:
        """The sentence with its gaps filled: each letter stands for a row."""
        gaps = dict(self.own[row])
        for letter, other in others.items():
            gaps |= {letter: self.name[other], f"a{letter}": self.phrase[other]}
        return sentence.format(**gaps)

    def siblings(self, row: int) -> list[int]:
        """Rows under the same parent."""
        return [other for other in self.taxonomy.children[self.taxonomy.parents[row]] if other != row]

    @cached_property
    def strangers(self) -> dict[str, list[int]]:
        """For each root the nouns, two steps or more below another root, that it does not overlap with."""
        roots = {row: self.name[([row, *above])[-1]] for row, above in enumerate(self.above)}
        return {
            root: [
                row
                for row, other in roots.items()
                if other != root and len(self.above[row]) > 1 and frozenset((root, other)) not in OVERLAPPING
            ]
            for root in set(roots.values())
        }


def _stated(nouns: _Nouns, row: int, draw: "Generator") -> Iterator[str]:
    """What can be said of one noun."""
    yield from (nouns.say(sentence, row) for sentence in MEANS)
    if not nouns.above[row]:
        return
    parent, *further = nouns.above[row]
    yield from (nouns.say(sentence, row, p=parent) for sentence in IS)
    yield from (nouns.say(sentence, row, p=parent, h=other) for other in further for sentence in IS_ALSO)
    siblings, strangers = nouns.siblings(row), nouns.strangers[nouns.name[nouns.above[row][-1]]]
    if siblings:
        for _ in range(SIBLINGS):
            yield nouns.say(_one(BESIDE, draw), row, p=parent, y=_one(siblings, draw))
    for turn in range(STRANGERS + RIDDLES * bool(siblings)):
        stranger = _one(strangers, draw)
        among = {"p": parent, "z": stranger, "q": nouns.above[stranger][0]}
        if turn < STRANGERS:
            yield nouns.say(_one(UNLIKE, draw), row, **among)
        else:
            yield nouns.say(_one(ODD, draw), row, y=_one(siblings, draw), **among)


def _one(shelf: Sequence[T], draw: "Generator") -> T:
    return shelf[int(draw.integers(len(shelf)))]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
