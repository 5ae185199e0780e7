"""Concepts that mean nothing, or not what they say: what an encyclopedia's numbers must beat.

Three kinds, bootstrapped beside the concepts of a taxonomy: pseudo-words, which have the letters and the
number of tokens of real names; placeholder strings, which have neither; and shuffled glosses, real names
explained as something else.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, chain
from typing import TYPE_CHECKING

from hsae.concepts.builtin import entries
from hsae.concepts.taxonomy import Concept, Taxonomy
from hsae.errors import UserError
from hsae.seeding import numpy_stream, unit_interval

if TYPE_CHECKING:
    from numpy.random import Generator

KINDS = ("pseudo_word", "placeholder", "shuffled_gloss")
DRAWS = 2000
"""Pseudo-words drawn for a number of tokens before the concepts whose names have it are passed over."""

LETTERS = range(3, 15)
VOWELS = frozenset("aeiouy")
WORD = re.compile(r"[^\W\d_]+")
EDGE = "^"  # before and after a word


def kind_of(id: str) -> str | None:
    """Which kind of control an id belongs to; None for a concept."""
    source, _, rest = id.partition(":")
    kind = rest.partition(":")[0]
    return kind if source == "control" and kind in KINDS else None


def controls(taxonomy: Taxonomy, *, each: int, seed: int, length: Callable[[str], int]) -> Taxonomy:
    """`each` controls of each kind, all of them roots: 3 * `each` concepts, without those of the taxonomy.

    `length` counts the tokens of a name. Every pseudo-word has the number of tokens of one concept that was
    drawn for it; it has no gloss. Raises `UserError` where the taxonomy is too small for so many.
    """
    order = sorted(taxonomy, key=lambda concept: unit_interval(concept.id, salt=f"{seed}/controls"))
    return Taxonomy(
        [
            *_pseudo_words(order, each=each, seed=seed, length=length),
            *(_control("placeholder", f"concept_{number:06d}") for number in range(each)),
            *_shuffled_glosses(taxonomy, order, each=each),
        ]
    )


def _control(kind: str, name: str) -> Concept:
    return Concept(id=f"control:{kind}:{name.replace(' ', '_')}", name=name, lemmas=(name,))


def _is_plain(word: str) -> bool:
    """Letters alone, none but the first a capital."""
    return word.isalpha() and word[1:] == word[1:].lower()


class Letters:
    """A model of the words in some names: p(letter | the two before it), as often as they have it."""

    def __init__(self, names: Iterable[str]):
        counts: dict[str, Counter[str]] = {}
        for word in sorted({word for name in names for word in name.split() if _is_plain(word)}):
            letters = f"{EDGE}{EDGE}{word}{EDGE}"
            for at in range(2, len(letters)):
                counts.setdefault(letters[at - 2 : at], Counter())[letters[at]] += 1
        self.next = {pair: (list(few), list(accumulate(few.values()))) for pair, few in counts.items()}

    def word(self, random: "Generator") -> str:
        """A word, letter by letter; empty where it grows too long, or no name has words to learn from."""
        letters = EDGE + EDGE
        while self.next and len(letters) < LETTERS.stop + 2:
            choices, weights = self.next[letters[-2:]]
            letter = choices[bisect_right(weights, int(random.integers(weights[-1])))]
            if letter == EDGE:
                return letters[2:]
            letters += letter
        return ""


def _pseudo_words(
    order: Sequence[Concept], *, each: int, seed: int, length: Callable[[str], int]
) -> Iterator[Concept]:
    """A name of as many words and tokens for each of the first concepts that one is found for."""
    names = [name for concept in order for name in (concept.name, *concept.lemmas)]
    drawn = _drawn(Letters(names), _words(order), numpy_stream(seed, "controls/pseudo_words"), seen=set())
    waiting: dict[tuple[int, int], list[str]] = {}  # words and tokens -> names drawn for another length
    hopeless: set[tuple[int, int]] = set()
    given = 0
    for concept in order[: len(order) if each else 0]:
        shape = len(concept.name.split()), length(concept.name)
        draws = 0 if shape in hopeless else DRAWS
        while not waiting.get(shape) and draws:
            draws -= 1
            if name := drawn(shape[0]):
                waiting.setdefault((shape[0], length(name)), []).append(name)
        if not waiting.get(shape):
            hopeless.add(shape)
            continue
        yield _control("pseudo_word", waiting[shape].pop(0))
        given += 1
        if given == each:
            return
    if given < each:
        raise UserError(
            f"{each} pseudo-words were asked for, each with as many tokens as the name of one concept; "
            f"{given} were found for {len(order)} concepts.\nAsk for {given} or less, or take more concepts."
        )


def _words(concepts: Iterable[Concept]) -> set[str]:
    """Every word of the names, glosses and examples, and of everyday English, in small letters."""
    everyday = (entry.concept for entry in entries())
    return {
        word.lower()
        for concept in chain(concepts, everyday)
        for text in (concept.name, *concept.lemmas, concept.gloss, *concept.examples)
        for word in WORD.findall(text)
    }


def _drawn(letters: Letters, known: set[str], random: "Generator", *, seen: set[str]) -> Callable[[int], str]:
    """Draws a name of so many words; empty where it says something, cannot be said, or was drawn before."""

    def draw(words: int) -> str:
        parts = [letters.word(random) for _ in range(words)]
        name = " ".join(parts)
        if name in seen or not all(_is_pseudo(part, known) for part in parts):
            return ""
        seen.add(name)
        return name

    return draw


def _is_pseudo(word: str, known: set[str]) -> bool:
    return len(word) in LETTERS and word.lower() not in known and not VOWELS.isdisjoint(word.lower())


def _shuffled_glosses(taxonomy: Taxonomy, order: Sequence[Concept], *, each: int) -> Iterator[Concept]:
    """The first concepts that have a gloss, each with that of one so many places on, the same for all: the
    smallest number by which no gloss comes to its own concept, or from what stands above or below it."""
    explained = [concept for concept in order if concept.gloss]
    if each > len(explained):
        raise UserError(
            f"{each} shuffled glosses were asked for, and {len(explained)} concepts have a gloss.\n"
            f"Ask for {len(explained)} or less."
        )
    lines = {
        concept.id: {taxonomy.index[concept.id], *taxonomy.ancestors(taxonomy.index[concept.id])}
        for concept in explained
    }
    for places in range(1, len(explained)):
        pairs = [(explained[at], explained[(at + places) % len(explained)]) for at in range(each)]
        if not any(_akin(taxonomy, lines, *pair) for pair in pairs):
            break
    else:
        if not each:
            return
        raise UserError(
            f"{each} shuffled glosses were asked for; among {len(explained)} concepts they cannot be "
            "dealt so that none is right.\nTake more concepts."
        )
    for concept, other in pairs:
        id = f"control:shuffled_gloss:{concept.id}"
        yield replace(concept, id=id, gloss=other.gloss, parents=(), depth=0, frequency=0.0, examples=())


def _akin(taxonomy: Taxonomy, lines: Mapping[str, set[int]], one: Concept, other: Concept) -> bool:
    """Whether a gloss would be right for both: equal, or one concept a kind of the other."""
    return (
        one.gloss == other.gloss
        or taxonomy.index[one.id] in lines[other.id]
        or taxonomy.index[other.id] in lines[one.id]
    )
