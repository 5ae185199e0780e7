"""The Brown corpus: a million words of American English of 1961, 500 samples in 15 genres, a document each.

Read from the tagged files that NLTK distributes (a folder, or `brown.zip`), and put back into running text.
"""

import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import PositiveInt

from hsae.concepts.wordnet_data import nltk_folders
from hsae.config import Listed, Part
from hsae.corpora import files
from hsae.corpora.document import Document, Skipped
from hsae.corpora.unique import unique
from hsae.errors import UserError

Genre = Literal[
    "news",
    "editorial",
    "reviews",
    "religion",
    "hobbies",
    "lore",
    "belles_lettres",
    "government",
    "learned",
    "fiction",
    "mystery",
    "science_fiction",
    "adventure",
    "romance",
    "humor",
]

LETTERS = dict(zip("abcdefghjklmnpr", get_args(Genre), strict=True))
"""The second letter of a file's name says its genre."""

SAMPLE = re.compile(r"c([a-hj-npr])\d\d")
OPENS = frozenset(["``", "(", "["])
CLOSES = frozenset(["''", ")", "]", ",", ".", ";", ":", "?", "!"])
DOUBLED = frozenset("?!;,:()")
"""Marks of which the files write two in a row where print has one; so they do with a point behind `Jr.`"""


class Settings(Part):
    """`tokens`: how many a job takes; `path`: the folder or zip with the files, null for where NLTK keeps it;
    `genres`: those to read, null for all."""

    name: Literal["brown"]
    tokens: PositiveInt
    path: str | None
    genres: Annotated[tuple[Genre, ...] | None, Listed]


def documents(settings: Settings, *, seed: int) -> Iterator[Document | Skipped]:  # noqa: ARG001  the order of the names is kept
    """The samples in the order of their names, `brown/<sample>` as ids (`brown/ca01`).

    Raises `UserError` where the corpus is not on this machine.
    """
    home = _home(settings)
    return unique(_samples(home, settings), source=f"corpus=brown in {home}")


def fingerprint(settings: Settings) -> str:
    """A hash of the corpus's files."""
    home = _home(settings)
    found = (
        [home] if home.is_file() else sorted(file for file in home.iterdir() if SAMPLE.fullmatch(file.name))
    )
    return files.fingerprint(home.parent, found)


def _home(settings: Settings) -> Path:
    """The folder that holds the samples, or the zip."""
    if settings.path is None:
        tried = [folder / "corpora" / name for folder in nltk_folders() for name in ("brown", "brown.zip")]
    else:
        given = Path(settings.path).expanduser()
        tried = [given / "brown", given / "brown.zip", given]
    for place in tried:
        if place.is_file() or (
            place.is_dir() and any(SAMPLE.fullmatch(file.name) for file in place.iterdir())
        ):
            return place
    where = "where NLTK keeps its data" if settings.path is None else f"in corpus.path={settings.path}"
    raise UserError(
        f"The Brown corpus is not {where}.\n"
        "Type  python -m nltk.downloader brown\n"
        "or name the folder or the brown.zip that you have: corpus.path=..."
    )


def _samples(home: Path, settings: Settings) -> Iterator[Document | Skipped]:
    for name, raw in _contents(home, settings):
        try:
            yield Document(f"brown/{name}", "\n\n".join(map(running, _paragraphs(raw.decode()))))
        except ValueError as error:
            yield Skipped(f"brown/{name}", f"not a tagged text: {error}")


def _contents(home: Path, settings: Settings) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each sample that is wanted."""

    def wanted(name: str) -> bool:
        sample = SAMPLE.fullmatch(name)
        return bool(sample) and (settings.genres is None or LETTERS[sample[1]] in settings.genres)

    if home.is_dir():
        for file in sorted(file for file in home.iterdir() if wanted(file.name)):
            yield file.name, file.read_bytes()
        return
    try:
        with zipfile.ZipFile(home) as archive:
            inside = {member.rpartition("/")[2]: member for member in archive.namelist()}
            for name in sorted(filter(wanted, inside)):
                yield name, archive.read(inside[name])
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{home} cannot be read: {error}\nType  python -m nltk.downloader brown") from error


def _paragraphs(tagged: str) -> Iterator[list[str]]:
    """The words of each paragraph; a line holds a sentence, and empty lines stand between paragraphs."""
    words: list[str] = []
    for number, line in enumerate(tagged.splitlines(), start=1):
        if not line.strip() and words:
            yield words
            words = []
        for pair in line.split():
            word, _, tag = pair.rpartition("/")
            if not word or not tag:
                raise ValueError(f"{pair!r} in line {number} is no word with its tag")
            words.append(word)
    if words:
        yield words


def running(words: Iterable[str]) -> str:
    """Words and marks as they stand in print: no space before a comma or behind an opening quote."""
    text, last, glued, quoted = "", "", True, False
    for word in words:
        if (word == last and word in DOUBLED) or (word == "." and last.endswith(".")):
            continue
        opens, closes = word in OPENS, word in CLOSES
        if word == "'":  # the files do not say which of the two it is
            opens, closes = not quoted, quoted
            quoted = opens
        text += ("" if glued or closes else " ") + ('"' if word in ("``", "''") else word)
        last, glued = word, opens
    return text
