"""Titles of Wikipedia's articles: millions of concepts, each keyed by its title, with nothing above them.

The file is https://dumps.wikimedia.org/enwiki/latest/enwiki-latest-all-titles-in-ns0.gz (CC BY-SA 4.0) or any
other list with a title a line, compressed or not. A second column behind a tab counts how often each title
was read or linked. The word in brackets that tells titles of one name apart, as in `Mercury_(planet)`, serves
as the gloss.
"""

import re
from collections import Counter
from collections.abc import Iterator
from heapq import nsmallest
from math import isfinite
from pathlib import Path
from typing import Literal

from pydantic import PositiveInt

from hsae import console
from hsae.concepts import files
from hsae.concepts.taxonomy import Concept, Taxonomy
from hsae.config import Part
from hsae.errors import UserError
from hsae.seeding import unit_interval

KIND = (
    "enwiki-latest-all-titles-in-ns0.gz, from "
    "https://dumps.wikimedia.org/enwiki/latest/enwiki-latest-all-titles-in-ns0.gz, or any list of titles"
)
HEADER = "page_title"
BRACKETS = re.compile(r"(?P<name>.*\S)\s+\((?P<gloss>[^()]+)\)")
LIST = re.compile(r"(Lists?|Index|Outline|Glossary) of ", re.IGNORECASE)


class Settings(Part):
    """`n`: how many (null: all), those with the highest counts, the others drawn by the seed. `shortest` and
    `longest`: characters of a name, without what stands in brackets."""

    name: Literal["wikipedia"]
    path: str | None
    n: PositiveInt | None
    shortest: PositiveInt
    longest: PositiveInt


def load(settings: Settings, *, seed: int) -> Taxonomy:
    """The titles that pass the filters, as roots; how many each filter holds back is said.

    Raises `UserError` for a missing file, a count that is no number, and where fewer than `n` pass.
    """
    file = files.find(settings.path, source="wikipedia", kind=KIND)
    passed: Counter[str] = Counter()  # reason why not -> how many, "" for those that pass

    def titles() -> Iterator[Concept]:
        for title, count in read(file):
            concept = _concept(title, count)
            fault = _fault(concept, settings)
            passed[fault] += 1
            if not fault:
                yield concept

    if settings.n is None:
        chosen = list(titles())
    else:  # of 18 million titles no more than n are in memory
        chosen = nsmallest(
            settings.n, titles(), key=lambda c: (-c.frequency, unit_interval(c.id, salt=f"{seed}/concepts"))
        )
    total = passed.pop("") if "" in passed else 0
    if passed:
        console.say("wikipedia: left out " + ", ".join(f"{n:,} {why}" for why, n in passed.most_common()))
    if settings.n is not None and settings.n > total:
        raise UserError(
            f"concepts.n={settings.n}: {file} has {total} concepts.\n"
            f"Type concepts.n={total} or less, or concepts.n=null for all."
        )
    if not total:
        raise UserError(f"{file} holds no titles that pass.\nconcepts=wikipedia reads {KIND}.")
    return Taxonomy(chosen)


def fingerprint(settings: Settings) -> str:
    """A hash of the file's bytes: the path alone does not say what is in it."""
    return files.fingerprint(files.find(settings.path, source="wikipedia", kind=KIND))


def read(file: Path) -> Iterator[tuple[str, float]]:
    """Every title with its count, 0 where there is none; a header and empty lines say nothing."""
    for number, line in files.lines(file):
        title, tab, count = files.text(file, number, line).partition("\t")
        if not title.strip() or (number == 1 and title == HEADER):
            continue
        yield title.strip(), _count(file, number, count) if tab else 0.0


def _count(file: Path, number: int, text: str) -> float:
    try:
        count = float(text)
    except ValueError:
        count = -1.0
    if count < 0 or not isfinite(count):
        raise UserError(
            f"{file}, line {number}: behind the tab must stand a count from 0, found {text!r}.\n"
            "The list with namespaces is another file; take that of ns0."
        )
    return count


def _concept(title: str, count: float) -> Concept:
    said = title.replace("_", " ").strip()
    found = BRACKETS.fullmatch(said)
    name, gloss = (found["name"], found["gloss"]) if found else (said, "")
    id = f"wiki:{'_'.join(title.split())}"
    return Concept(id=id, name=name, gloss=gloss, frequency=count, lemmas=(name,))


def _fault(concept: Concept, settings: Settings) -> str:
    """Why a title is no concept of its own, or nothing."""
    if concept.gloss.lower().endswith("disambiguation"):
        return "that tell articles apart"
    if LIST.match(concept.name):
        return "of lists"
    if not any(letter.isalpha() for letter in concept.name):
        return "without a letter"
    if not settings.shortest <= len(concept.name) <= settings.longest:
        return "too short or too long"
    return ""
