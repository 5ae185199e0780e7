"""Documents with planted sparse features, and the truth about which feature is active where.

Features stand in a forest of `roots`, each with `children`, down to `depth`. A document draws `topics` roots,
a sentence `active` of these; below an active feature, with probability `descend`, one child is active too, so
that a child never is without its parent. Each word of a sentence is a filler with probability `background`,
else one of the own words of a feature that is active in the sentence, all of these equally likely. The n-th
root, child or own word has a weight of n^-zipf among its like.
"""

from collections.abc import Iterator
from functools import cache
from math import gcd
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, final

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from hsae.config import Part
from hsae.corpora.document import Document, Skipped
from hsae.corpora.unique import unique
from hsae.seeding import numpy_stream

if TYPE_CHECKING:
    from numpy import ndarray
    from numpy.random import Generator

FILLERS = ("the", "of", "and", "to", "in", "is", "that", "it", "for", "on", "with", "as", "by", "at", "from")
SYLLABLES = [f"{consonant}{vowel}" for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]

Share = Annotated[float, Field(ge=0, le=1)]


class Settings(Part):
    """`tokens`: how many a job takes; `n`: how many documents there are; `sentences` of a document and
    `words` of a sentence: their mean; `vocabulary`: own words of a feature. The rest is told above."""

    name: Literal["synthetic"]
    tokens: PositiveInt
    n: PositiveInt
    sentences: PositiveInt
    words: PositiveInt
    roots: PositiveInt
    children: NonNegativeInt
    depth: PositiveInt
    topics: PositiveInt
    active: PositiveInt
    descend: Share
    vocabulary: PositiveInt
    background: Share
    zipf: Annotated[float, Field(ge=0, le=10)]

    @model_validator(mode="after")
    def _enough(self) -> "Settings":
        if not self.active <= self.topics <= self.roots:
            raise ValueError(
                f"active: a sentence draws active={self.active} of the topics={self.topics} of its document, "
                f"which are some of roots={self.roots}; none may be more than the next"
            )
        if self.depth > 1 and not self.children:
            raise ValueError(f"depth: {self.depth} levels need children=1 or more")
        return self

    @property
    def levels(self) -> list[int]:
        """Features on each level, roots first; features are numbered level by level, siblings together."""
        return [self.roots * self.children**level for level in range(self.depth)]

    @property
    def features(self) -> int:
        """Of all levels."""
        return sum(self.levels)


@final
class Truth(NamedTuple):
    """What was planted in a document."""

    document: Document
    spans: "ndarray"
    """[word 2]: where each word starts and ends in the text."""
    sentence: "ndarray"
    """[word]: the number of its sentence."""
    active: "ndarray"
    """[sentence feature], bool; `active[sentence]` tells it word by word."""
    emitter: "ndarray"
    """[word]: the feature whose own word it is, -1 for a filler."""


def documents(settings: Settings, *, seed: int) -> Iterator[Document | Skipped]:
    """`synthetic#<number>`, each drawn from the seed and its number alone."""
    drawn = (truth(settings, number, seed=seed).document for number in range(settings.n))
    return unique(drawn, source="corpus=synthetic")


def parents(settings: Settings) -> list[int]:
    """The parent of each feature, -1 of a root."""
    above = [-1] * settings.roots
    for feature in range(settings.features - settings.roots):
        above.append(feature // settings.children)
    return above


def word(settings: Settings, feature: int, rank: int) -> str:
    """An own word of a feature, rank 0 its most frequent one; no other feature has it, whatever the seed.

    Its spelling says nothing of the feature: features share their syllables, never a word.
    """
    length, step = _code(settings.features * settings.vocabulary)
    code, spelled = (feature * settings.vocabulary + rank) * step % len(SYLLABLES) ** length, ""
    for _ in range(length):
        code, syllable = divmod(code, len(SYLLABLES))
        spelled += SYLLABLES[syllable]
    return spelled


@cache
def _code(words: int) -> tuple[int, int]:
    """Syllables in a word, and a step that leads from any word past all others before it is back."""
    length = 2
    while len(SYLLABLES) ** length < 2 * words:
        length += 1
    room = len(SYLLABLES) ** length
    return length, next(step for step in range(int(0.618 * room), room) if gcd(step, room) == 1)


def truth(settings: Settings, number: int, *, seed: int) -> Truth:
    """Document `number` and what was planted in it; no other document need be made for it."""
    import numpy as np

    draw = numpy_stream(seed, f"synthetic document {number}")
    count = int(draw.integers(1, 2 * settings.sentences))
    active = _active(settings, count, draw)
    sentence = np.repeat(np.arange(count), draw.integers(1, 2 * settings.words, size=count))
    emitter = _emitters(active, sentence, settings, draw)
    ranks = draw.choice(settings.vocabulary, len(sentence), p=_weights(settings.vocabulary, settings.zipf))
    fillers = draw.choice(len(FILLERS), len(sentence), p=_weights(len(FILLERS), settings.zipf))
    said = [
        FILLERS[filler] if feature < 0 else word(settings, feature, rank)
        for feature, rank, filler in zip(emitter.tolist(), ranks.tolist(), fillers.tolist(), strict=True)
    ]
    ends = np.append(sentence[1:] != sentence[:-1], True)  # a point follows these words
    lengths = np.array([len(one) for one in said])
    stops = np.cumsum(lengths + 1 + ends) - 1 - ends
    text = " ".join(one + "." * end for one, end in zip(said, ends.tolist(), strict=True))
    spans = np.stack([stops - lengths, stops], axis=1)
    return Truth(Document(f"synthetic#{number}", text), spans, sentence, active, emitter)


def _weights(count: int, zipf: float) -> "ndarray":
    import numpy as np

    weights = np.arange(1, count + 1, dtype=np.float64) ** -zipf
    return weights / weights.sum()


def _active(settings: Settings, sentences: int, draw: "Generator") -> "ndarray":
    """[sentence feature], bool."""
    import numpy as np

    roots = _weights(settings.roots, settings.zipf)
    topics = draw.choice(settings.roots, settings.topics, replace=False, p=roots)
    chosen = draw.permuted(np.tile(topics, (sentences, 1)), axis=1)[:, : settings.active]
    active = np.zeros((sentences, settings.features), bool)
    np.put_along_axis(active, chosen, True, axis=1)
    start = 0
    for size in settings.levels[:-1]:
        of, feature = np.nonzero(active[:, start : start + size])
        child = draw.choice(settings.children, len(of), p=_weights(settings.children, settings.zipf))
        goes = draw.random(len(of)) < settings.descend
        active[of[goes], (start + size + feature * settings.children + child)[goes]] = True
        start += size
    return active


def _emitters(active: "ndarray", sentence: "ndarray", settings: Settings, draw: "Generator") -> "ndarray":
    """[word]: one of the features that are active in its sentence, or -1."""
    import numpy as np

    counts, feature = active.sum(1), np.nonzero(active)[1]
    turn = (draw.random(len(sentence)) * counts[sentence]).astype(np.int64)
    found = feature[(np.cumsum(counts) - counts)[sentence] + turn]
    return np.where(draw.random(len(sentence)) < settings.background, -1, found)
