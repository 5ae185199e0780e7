"""Sentences with a gap for a concept's word, filled so that the word's place stays known."""

import re
from functools import cached_property
from typing import NamedTuple, final

from hsae.concepts import Concept, Taxonomy
from hsae.concepts.articles import indefinite, uncountable

NOTHING_ABOVE = {"n": "thing", "v": "act"}
"""What a root is a kind of."""

_GAP = re.compile(r"\{(x|a|A|the)\}")


class Filled(NamedTuple):
    """`text[start:end]` is the word."""

    text: str
    start: int
    end: int


@final
class Sentence:
    """A sentence with one gap for the concept and any number of places for what is known of it.

    The gap: `{x}` the bare word, `{a}` with "a" or "an" (or nothing, for water and joy), `{A}` the same where
    it opens a sentence, `{the}` with "the" (or nothing, again). Around it: `{gloss}`, `{Gloss}`, `{parent}`,
    `{a_parent}`.
    """

    def __init__(self, text: str):
        gaps = list(_GAP.finditer(text))
        if len(gaps) != 1:
            raise ValueError(f"a sentence needs exactly one gap for its concept: {text!r} has {len(gaps)}")
        self.text = text
        self.before, self.after = text[: gaps[0].start()], text[gaps[0].end() :]
        self.form = gaps[0][1]

    @cached_property
    def needs_gloss(self) -> bool:
        """Whether the sentence says what the word means."""
        return "gloss}" in self.text.lower()

    def fill(self, facts: "Facts") -> Filled:
        """The sentence about one concept."""
        before, after = self.before.format(**facts.around), self.after.format(**facts.around)
        article, word = facts.article[self.form.lower()], facts.word
        if self.form == "A":
            article, word = (_capital(article), word) if article else ("", _capital(word))
        start = len(before) + len(article)
        return Filled(f"{before}{article}{word}{after}", start, start + len(word))


@final
class Facts:
    """What sentences can say about a concept: its word and articles, its meaning, what stands above it."""

    def __init__(self, concept: Concept, parent: Concept | None, *, bare: frozenset[str]):
        self.word = concept.name
        above = parent.name if parent else NOTHING_ABOVE.get(concept.pos, "thing")
        # the glosses of WordNet add remarks after a semicolon
        gloss = concept.gloss.split(";")[0].strip().rstrip(".")
        self.around = {
            "parent": above,
            "a_parent": above if parent and parent.id in bare else indefinite(above) + above,
            "gloss": gloss,
            "Gloss": _capital(gloss),
        }
        self.article = {
            "x": "",
            "a": "" if concept.id in bare else indefinite(concept.name),
            "the": "" if concept.id in bare else "the ",
        }

    @property
    def has_gloss(self) -> bool:
        """Whether the source says what the concept means."""
        return bool(self.around["gloss"])


def facts_of(taxonomy: Taxonomy) -> list[Facts]:
    """The facts of every concept, in the taxonomy's order."""
    bare = uncountable(taxonomy)
    return [
        Facts(concept, taxonomy.concepts[above] if above >= 0 else None, bare=bare)
        for concept, above in zip(taxonomy, taxonomy.parents, strict=True)
    ]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
