"""Finds the words of a taxonomy in a sentence: one look-up for each word of the sentence, however many
concepts there are.

Whole words only, names of several words as they stand, the longest first: a "hot dog" is no dog. A form in
lower case also counts with a capital at the head of a sentence or speech, but not inside it, where it would
be somebody's name; a form with capitals counts as it is.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple, final

from hsae.contexts.forms import forms
from hsae.contexts.senses import Sense

# a hyphen or apostrophe inside belongs to the word, the 's of a genitive does not
WORD = re.compile(r"(?<!\w['’])[^\W_]+(?:[-'’](?!s\b)[^\W_]+)*")
OPENS = " \"'“‘(["


class Found(NamedTuple):
    """`sentence[start:end]` is a form of a name of each of the senses (by their numbers)."""

    start: int
    end: int
    senses: tuple[int, ...]


class Entry(NamedTuple):
    """A form, its twin for the head of a sentence, and how far its first whole word stands from its start."""

    form: str
    capital: str
    offset: int
    senses: tuple[int, ...]


@final
class Finder:
    """The forms of all names, looked up by their first words."""

    def __init__(self, names: Iterable[tuple[int, str, str]], *, without: frozenset[str] = frozenset()):
        """`names`: number of the sense, name, part of speech. `without`: forms that are not looked for."""
        senses: dict[str, list[int]] = defaultdict(list)
        for number, name, pos in names:
            for form in forms(name, pos):
                senses[form].append(number)
        # by the first two words, or the only one: "of" alone opens hundreds of names
        self._entries: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
        for form in sorted(senses, key=len, reverse=True):
            words = list(WORD.finditer(form))[:2]
            if words and form.lower() not in without:
                capital = form[0].upper() + form[1:]
                entry = Entry(form, capital, words[0].start(), tuple(dict.fromkeys(senses[form])))
                self._entries[tuple(word[0].lower() for word in words)].append(entry)

    def find(self, sentence: str) -> Iterator[Found]:
        """What occurs, from left to right, without overlaps."""
        words = list(WORD.finditer(sentence))
        lower = [word[0].lower() for word in words]
        done = 0
        for word, first, second in zip(words, lower, [*lower, ""][1:], strict=True):
            if word.start() < done:
                continue
            # names of several words are longer and come first
            here = [
                entry
                for key in ((first, second), (first,))
                for entry in self._entries.get(key, ())
                if _stands(entry, sentence, word.start() - entry.offset)
            ]
            if here:
                # a common and a proper noun can both stand at the head of a sentence
                longest = [entry for entry in here if len(entry.form) == len(here[0].form)]
                start = word.start() - longest[0].offset
                done = start + len(longest[0].form)
                yield Found(start, done, tuple(dict.fromkeys(n for entry in longest for n in entry.senses)))


def _stands(entry: Entry, sentence: str, start: int) -> bool:
    if start < 0:
        return False
    exact = sentence.startswith(entry.form, start)
    if not exact and not (sentence.startswith(entry.capital, start) and _is_head(sentence, start)):
        return False
    behind = sentence[start + len(entry.form) :][:2]
    return not behind[:1].isalnum() and not (behind[:1] == "-" and behind[1:].isalnum())


def _is_head(sentence: str, start: int) -> bool:
    """Whether nothing stands before it, or an opening quote does."""
    before = sentence[:start]
    return not before.strip(OPENS) or before[-1] in '"“'


def relevant(senses: Iterable[Sense]) -> Iterator[tuple[int, str, str]]:
    """The names that a finder needs: those of the taxonomy's concepts, the names of other senses that share a
    form with them, and the names of several words that one of theirs is part of."""
    listed = list(enumerate(senses))
    known = {form for _, s in listed if s.row >= 0 for form in forms(s.names[0], s.pos)}
    known |= {form.lower() for form in known}
    for number, sense in listed:
        for name in sense.names:
            parts = name.split() if " " in name else forms(name, sense.pos)
            if name in known or any(part in known or part.lower() in known for part in parts):
                yield number, name, sense.pos
