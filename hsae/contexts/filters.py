"""Why a text that a language model wrote is no context, in a word or two that can be counted."""

import re
from collections.abc import Sequence

from hsae.concepts import Concept

_SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
_WORD = re.compile(r"\w[\w'-]*")


def sentences(text: str, stop: str) -> tuple[str, str | None]:
    """The whole sentences at a text's beginning, up to a line's end or a quotation mark, and what is wrong.

    A model's own end of the text (`stop` is `eos`) ends a sentence too.
    """
    if stop == "not finite" or (stop == "context" and not text):
        return "", "not finite" if stop == "not finite" else "no room in the model's context"
    line = re.split(r"[\n\"“”]", text.lstrip("\n"), maxsplit=1)[0].rstrip()
    if not line.strip():
        return "", "empty"
    ends = [found.end() for found in _SENTENCE_END.finditer(line)]
    if not ends and (stop != "eos" or line != text.strip("\n").rstrip()):
        return "", "unfinished"
    return (line[: ends[-1]] if ends else line), None


def first_clause(text: str) -> str:
    """The first of some sentences, without what ends it."""
    return _SENTENCE_END.split(text, maxsplit=1)[0].rstrip(" .!?;:,")


def wrong_length(text: str, words: tuple[int, int]) -> str | None:
    """Fewer or more words than [least, most]."""
    count = len(_WORD.findall(text))
    return "too short" if count < words[0] else "too long" if count > words[1] else None


def repeats(text: str, ngram: int) -> bool:
    """Whether `ngram` words in a row occur twice, as in texts of models that run in circles."""
    words = [word.lower() for word in _WORD.findall(text)]
    runs = [tuple(words[start : start + ngram]) for start in range(len(words) - ngram + 1)]
    return len(set(runs)) < len(runs)


def mention(text: str, name: str) -> tuple[int, int] | None:
    """Where the name stands last as a word of its own, but for its capital: there most has been read."""
    first = re.escape(name[:1].lower()) + "|" + re.escape(name[:1].upper())
    found = list(re.finditer(rf"(?<!\w)(?:{first}){re.escape(name[1:])}(?!\w)", text))
    return found[-1].span() if found else None


def names(text: str, concept: Concept) -> bool:
    """Whether one of the concept's names occurs, in any case and with the usual endings."""
    known = "|".join(re.escape(name) for name in {concept.name, *concept.lemmas})
    return re.search(rf"(?<!\w)(?:{known})(?:s|es|d|ed|ing)?(?!\w)", text, re.IGNORECASE) is not None


def alike(text: str, earlier: Sequence[frozenset[str]], least: float) -> bool:
    """Whether the Jaccard index of its words with those of an earlier text, |A & B| / |A | B|, is at least
    `least`."""
    own = words_of(text)
    return any(len(own & other) >= least * len(own | other) for other in earlier)


def words_of(text: str) -> frozenset[str]:
    """The set of a text's words."""
    return frozenset(word.lower() for word in _WORD.findall(text))
