"""Sentences that people wrote, in which a concept's word occurs: WordNet's examples, and those of a corpus.

Every example was written for its sense. In a corpus a word of several senses is ambiguous: such a sentence
counts for a concept only where its other words speak for it (see `senses`), and all that is passed over is
counted and said. The word may stand in any of its forms, which is then what the span holds. The role follows
the document, or the example: sentences of one document never serve both to fit and to test.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from heapq import heappush, heappushpop
from itertools import islice
from typing import Annotated, NamedTuple, final

from pydantic import Field, PositiveInt, model_validator

from hsae import console
from hsae.concepts import Concept, Taxonomy
from hsae.config import Part
from hsae.contexts import corpus_documents, documents
from hsae.contexts.context import Context, Wanted, everything, role_of
from hsae.contexts.finder import Finder, relevant
from hsae.contexts.finder import Found as Word
from hsae.contexts.forms import forms
from hsae.contexts.function_words import FUNCTION_WORDS
from hsae.contexts.senses import Senses, content_words
from hsae.contexts.sentences import sentences
from hsae.contexts.turns import in_turns
from hsae.errors import UserError
from hsae.seeding import unit_interval

OWN = ("wordnet", "examples")
"""Sources of what came with the concept: from WordNet, or from another source of concepts."""

TEXT = "text"
"""What text files are called where nobody calls them otherwise; they are read in passages of their own."""


class Settings(Part):
    """`examples`: those of the concepts' source (WordNet), before all others; `corpus`: a corpus of the group
    of this name, whose files are at `path` or where it usually lies, or else what the text files at `path`
    are called as a source (null: there are none); `most`: so many of its documents, the first; `words`: the
    shortest and longest sentence of it that counts; `margin`: words that must speak for a sense beyond those
    for any other; `per_concept`: at most so many (null: all that there are)."""

    examples: bool
    path: str | None
    corpus: Annotated[str, Field(pattern=r"^[\w-]+$")]
    most: PositiveInt
    words: tuple[PositiveInt, PositiveInt]
    margin: PositiveInt
    per_concept: PositiveInt | None

    @model_validator(mode="after")
    def _something(self) -> "Settings":
        if not self.examples and self.path is None and self.corpus == TEXT:
            raise ValueError("examples=false and path=null: there is nothing to take sentences from")
        if self.words[0] > self.words[1]:
            raise ValueError(f"words={list(self.words)}: the shortest comes first")
        if self.corpus in OWN:
            raise ValueError(f"corpus={self.corpus}: examples are called so")
        return self


def make(taxonomy: Taxonomy, settings: Settings, *, seed: int, wanted: Wanted | None = None) -> "Natural":
    """The sentences of each concept: examples in their order, then those of the corpus in one that the seed
    draws, in which the roles take turns.

    The corpus is read once, however many concepts there are. Raises `UserError` where neither a concept of
    the taxonomy has an example nor text is named, and where the text cannot be read.
    """
    nothing = not _reads_text(settings) and not any(concept.examples for concept in taxonomy)
    if nothing and wanted is None:  # a refinement asks others too, and counts what each of them gave
        raise UserError(
            f"contexts=[natural]: of {len(taxonomy)} concepts none has an example, and no text is named.\n"
            "Type contexts.natural.path=<a text file, or a folder of them>, or contexts.natural.corpus=brown."
        )
    return Natural(taxonomy, settings, seed, wanted or everything(taxonomy))


def fingerprint(settings: Settings) -> str | None:
    """A hash of the text; None where none is named."""
    if settings.corpus != TEXT and corpus_documents.is_corpus(settings.corpus):
        return corpus_documents.fingerprint(settings.corpus, settings.path)
    return None if settings.path is None else documents.fingerprint(settings.path)


def _reads_text(settings: Settings) -> bool:
    """Whether there is more than examples. Raises `UserError` for a corpus that is neither known nor at a
    path."""
    known = settings.corpus != TEXT and corpus_documents.is_corpus(settings.corpus)
    if settings.path is None and settings.corpus != TEXT and not known:
        raise UserError(
            f"contexts.natural.corpus={settings.corpus}: there is no such corpus, and no path to text files "
            "that are to be called so.\nType contexts.natural.corpus=brown, or contexts.natural.path=<files>."
        )
    return known or settings.path is not None


@final
class Natural(Iterator[Context]):
    """The contexts, one after the other; `passed` says what was passed over so far, and how often."""

    def __init__(self, taxonomy: Taxonomy, settings: Settings, seed: int, wanted: Wanted):
        self.passed: Counter[str] = Counter()
        self._taxonomy, self._settings, self._seed, self._wanted = taxonomy, settings, seed, wanted
        self._contexts = self._make()

    def __next__(self) -> Context:
        return next(self._contexts)

    def _make(self) -> Iterator[Context]:
        rows, have, each, *_ = self._wanted
        found = self._in_corpus() if _reads_text(self._settings) else {}
        for row, before in zip(rows, have, strict=True):
            examples = list(self._examples(self._taxonomy.concepts[row])) if self._settings.examples else []
            known = {context.text for context in examples}
            sequence = examples + [context for context in found.pop(row, ()) if context.text not in known]
            sequence = sequence[: self._settings.per_concept]
            yield from sequence[before : None if each is None else before + each]
        said = ", ".join(f"{n:,} {why}" for why, n in sorted(self.passed.items()))
        if said and len(rows) == len(self._taxonomy):  # not for every handful that a refinement asks for
            console.say(f"natural sentences: passed over {said}")

    def _documents(self) -> Iterator[documents.Document]:
        settings = self._settings
        if settings.corpus != TEXT and corpus_documents.is_corpus(settings.corpus):
            return corpus_documents.documents(
                settings.corpus, settings.path, most=settings.most, passed=self.passed
            )
        assert settings.path is not None
        return islice(documents.documents(settings.path, self.passed), settings.most)

    def _examples(self, concept: Concept) -> Iterator[Context]:
        """A concept's examples, as far as its word occurs in them."""
        source = OWN[0] if concept.id.startswith("wn30:") else OWN[1]
        finder = Finder([(0, concept.name, concept.pos)])
        for example in dict.fromkeys(" ".join(example.split()) for example in concept.examples):
            word = next(finder.find(example), None)
            if word is None:
                self.passed["examples without the word"] += 1
                continue
            name = f"{source}/{blake2b(example.encode(), digest_size=6).hexdigest()}"
            yield Context(concept.id, example, word.start, word.end, name, role_of(example), source)

    def _in_corpus(self) -> dict[int, list[Context]]:
        """The sentences of each wanted concept, in their order."""
        kept = Kept(self._settings.per_concept)
        wanted, seen = frozenset(self._wanted.rows), set[bytes]()
        source, salt = self._settings.corpus, f"sentences {self._seed}"
        for document in self._documents():
            role = role_of(document.id)
            for sentence in sentences(document.text):
                here = self._concepts(sentence, wanted)
                if not here:
                    continue
                digest = blake2b(sentence.encode(), digest_size=8).digest()
                if digest in seen:  # in another document it could have another role
                    self.passed["sentences that came before"] += 1
                    continue
                seen.add(digest)
                place = unit_interval(f"{document.id}/{sentence}", salt=salt)
                for row, word in here.items():
                    id = self._taxonomy.concepts[row].id
                    kept.add(
                        row, place, Context(id, sentence, word.start, word.end, document.id, role, source)
                    )
        return kept.in_order()

    def _concepts(self, sentence: str, wanted: frozenset[int]) -> dict[int, Word]:
        """Rows of the wanted concepts that the sentence speaks of, each with its first word there."""
        senses, finder, spelled = _lexicon(self._taxonomy)
        here: dict[int, Word] = {}
        said: frozenset[str] | None = None
        for word in finder.find(sentence):
            if wanted.isdisjoint(senses.all[number].row for number in word.senses):
                continue
            shortest, longest = self._settings.words
            if not shortest <= sentence.count(" ") + 1 <= longest:
                self.passed["sentences too short or too long"] += 1
                return {}
            said = content_words(sentence) if said is None else said
            form = sentence[word.start : word.end]
            meant = senses.choose(word.senses, said - content_words(form), margin=self._settings.margin)
            if meant is None:
                self.passed["words of undecided sense"] += 1
            elif (row := senses.all[meant].row) in wanted and form.lower() in spelled[row]:
                here.setdefault(row, word)
            else:
                self.passed["words of another sense or concept"] += 1
        return here


@final
class Kept:
    """The first contexts of each concept and role, by their place in [0, 1), at most `most` of each."""

    def __init__(self, most: int | None):
        self.most = most
        self._heaps: dict[int, dict[str, list[tuple[float, Context]]]] = defaultdict(
            lambda: defaultdict(list)
        )

    def add(self, row: int, place: float, context: Context) -> None:
        heap = self._heaps[row][context.role]
        if len(heap) == self.most:
            heappushpop(heap, (-place, context))
        else:
            heappush(heap, (-place, context))

    def in_order(self) -> dict[int, list[Context]]:
        """Row -> its contexts by place, the roles taking turns."""
        return {
            row: in_turns(
                context for heap in roles.values() for _, context in sorted(heap, key=lambda kept: -kept[0])
            )
            for row, roles in self._heaps.items()
        }


class Lexicon(NamedTuple):
    """`spelled`: for each row, the forms of the concept's name in lower case."""

    senses: Senses
    finder: Finder
    spelled: list[frozenset[str]]


@lru_cache(maxsize=1)
def _lexicon(taxonomy: Taxonomy) -> Lexicon:
    """Kept for the last taxonomy: WordNet's takes seconds to make, and a refinement asks again and again."""
    senses = Senses(taxonomy)
    spelled = [frozenset(form.lower() for form in forms(concept.name, concept.pos)) for concept in taxonomy]
    return Lexicon(senses, Finder(relevant(senses.all), without=FUNCTION_WORDS), spelled)
