"""Text files of one's own: paragraphs with empty lines between them, gathered into documents.

Files that are not text are named, skipped and counted.
"""

import codecs
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Annotated, Literal

from pydantic import Field, PositiveInt

from hsae.config import Part
from hsae.corpora import files
from hsae.corpora.document import Document, Skipped
from hsae.corpora.unique import unique

SUFFIXES = (".txt", ".md")
BLOCK = 1 << 20


class Settings(Part):
    """`tokens`: how many a job takes, in the order of the files' names; `path`: a file, or a folder with
    everything below it; `characters`: paragraphs are gathered into documents of at most this length."""

    name: Literal["text"]
    tokens: PositiveInt
    path: str | None
    characters: Annotated[int, Field(ge=100)]


def documents(settings: Settings, *, seed: int) -> Iterator[Document | Skipped]:  # noqa: ARG001  the files' order is kept
    """Documents in the order of file names, `<file>#<number>` from 0 as ids.

    Raises `UserError` where the path holds no text: at once where nothing is there, else once all is read.
    """
    root, found = _files(settings)
    items = (item for file in found for item in _read(file, files.name(file, root), settings.characters))
    return unique(items, source=f"corpus.path={settings.path}")


def fingerprint(settings: Settings) -> str:
    """A hash of the files' names and bytes: the path alone does not say what is in them."""
    return files.fingerprint(*_files(settings))


def _files(settings: Settings) -> tuple[Path, list[Path]]:
    return files.find(settings.path, SUFFIXES, corpus="text")


def _read(file: Path, name: str, characters: int) -> Iterator[Document | Skipped]:
    if (why := _fault(file)) is not None:
        yield Skipped(name, why)
        return
    with file.open(encoding="utf-8-sig") as stream:
        for number, text in enumerate(_gathered(_pieces(_lines(stream), characters), characters)):
            yield Document(f"{name}#{number}", text)


def _fault(file: Path) -> str | None:
    """Why a file cannot be read as text; the whole of it is looked at before any of it is given out."""
    decoder, blank = codecs.getincrementaldecoder("utf-8")(), True
    try:
        with file.open("rb") as stream:
            while block := stream.read(BLOCK):
                if b"\0" in block:
                    return "a binary file (it holds NUL bytes)"
                blank = not decoder.decode(block).strip("\ufeff \t\r\n") and blank
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "not UTF-8 text"
    except OSError as error:
        return error.strerror or "cannot be read"
    return "empty" if blank else None


def _lines(stream: IO[str]) -> Iterator[str]:
    """The lines; one longer than a block comes in parts, cut behind a space."""
    rest = ""
    while block := stream.readline(BLOCK):
        line, rest = rest + block, ""
        if len(block) == BLOCK and not block.endswith("\n"):
            cut = line.rfind(" ") + 1 or len(line)
            line, rest = line[:cut], line[cut:]
        yield line
    if rest:
        yield rest


def _pieces(lines: Iterable[str], characters: int) -> Iterator[str]:
    """Paragraphs, which are runs of lines between empty ones; the overlong cut at the last space."""
    held = ""
    for line in lines:
        if stripped := line.strip():
            *whole, held = _cut(f"{held}\n{stripped}".lstrip("\n"), characters)
            yield from whole
        elif held:
            yield held
            held = ""
    if held:
        yield held


def _cut(text: str, characters: int) -> Iterator[str]:
    """The text in pieces that fit, the last of them possibly empty."""
    start = 0
    while len(text) - start > characters:
        end = start + characters
        space = max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end))
        cut = space if space > 0 else end
        yield text[start:cut].rstrip()
        start = cut
        while text[start : start + 1].isspace():
            start += 1
    yield text[start:]


def _gathered(pieces: Iterable[str], characters: int) -> Iterator[str]:
    """Pieces joined by empty lines while the whole stays within the length."""
    together: list[str] = []
    length = 0
    for piece in pieces:
        if together and length + len(piece) > characters:
            yield "\n\n".join(together)
            together, length = [], 0
        together.append(piece)
        length += len(piece) + 2
    if together:
        yield "\n\n".join(together)
