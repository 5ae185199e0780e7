"""Which sense of a word a sentence means: the simplified Lesk overlap, with a margin.

Lesk (1986), in the form of Kilgarriff & Rosenzweig (2000): of a word's senses that one is meant whose
signature has most words in common with the sentence, function words and the word itself left out. A signature
holds the names, gloss and examples of the sense, of its parents and of its children (Banerjee & Pedersen 2002
showed that relatives help). It is a weak judge, so it must win by a margin; where it does not, the sentence
counts as undecided.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, final

from hsae.concepts import Concept, Taxonomy
from hsae.concepts.wordnet import synsets
from hsae.contexts.function_words import FUNCTION_WORDS

WORD = re.compile(r"[^\W_]+")
CHILDREN = 30
"""Of so many children, the first, the words count: a sense of hundreds of kinds would win by bulk."""


class Sense(NamedTuple):
    """What is known of one sense; `row` is that of the taxonomy's concept, -1 for a sense outside of it."""

    id: str
    pos: str
    names: tuple[str, ...]
    row: int
    gloss: str
    examples: tuple[str, ...]
    parents: tuple[str, ...]


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """A lower-case word without its plural's -s, as cautiously as Harman (1991) takes it off."""
    word = word.lower()
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    return word[:-1] if word.endswith("s") and not word.endswith(("us", "ss")) else word


def content_words(text: str) -> frozenset[str]:
    """The stems of a text's words, function words left out."""
    words = (word.lower() for word in WORD.findall(text))
    return frozenset(stem(word) for word in words if word not in FUNCTION_WORDS)


@final
class Senses:
    """The senses of a taxonomy, and of all of WordNet where the taxonomy has concepts from it.

    A word of another taxonomy has the senses that stand in the taxonomy itself, and no others are known.
    Raises `UserError` where the concepts are WordNet's and WordNet is not on this machine.
    """

    def __init__(self, taxonomy: Taxonomy):
        self.all = [_of_concept(row, concept) for row, concept in enumerate(taxonomy)]
        if any(concept.id.startswith("wn30:") for concept in taxonomy):
            self.all += [
                Sense(s.id, s.pos, s.lemmas, -1, s.gloss, s.examples, s.parents)
                for s in synsets()
                if s.id not in taxonomy.index
            ]
        self._number = {sense.id: number for number, sense in enumerate(self.all)}
        self._children: dict[str, list[int]] = defaultdict(list)
        for number, sense in enumerate(self.all):
            for parent in sense.parents:
                self._children[parent].append(number)
        self._signatures: dict[int, frozenset[str]] = {}

    def signature(self, number: int) -> frozenset[str]:
        """The words that speak for a sense."""
        if number not in self._signatures:
            sense = self.all[number]
            above = [self._number[parent] for parent in sense.parents if parent in self._number]
            near = [self.all[other] for other in (*above, *self._children[sense.id][:CHILDREN])]
            said = [part for s in (sense, *near) for part in (s.gloss, *s.names, *s.examples)]
            self._signatures[number] = content_words(" ".join(said))
        return self._signatures[number]

    def choose(self, candidates: Sequence[int], words: frozenset[str], *, margin: int) -> int | None:
        """The one of the senses whose signature shares with the words at least `margin` more of them than
        that of any other; None where there is none. A single candidate is not judged."""
        if len(candidates) == 1:
            return candidates[0]
        shared = sorted(
            ((len(words & self.signature(number)), number) for number in candidates), reverse=True
        )
        (most, best), (next_most, _) = shared[:2]
        return best if most - next_most >= margin else None


def _of_concept(row: int, concept: Concept) -> Sense:
    names = tuple(dict.fromkeys([concept.name, *concept.lemmas]))
    return Sense(concept.id, concept.pos, names, row, concept.gloss, concept.examples, concept.parents)
