"""Text files of one's own: a file, or a folder with everything below it.

`.txt` and `.md` are read as paragraphs with empty lines between them, gathered into documents; `.jsonl` holds
one document a line. Files that are not text are named, skipped and counted.
"""

import codecs
import json
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Literal, final

from pydantic import Field, PositiveInt

from hsae.config import Part
from hsae.corpora.document import Document
from hsae.corpora.unique import unique
from hsae.errors import UserError

SUFFIXES = (".jsonl", ".md", ".txt")
BLOCK = 1 << 20


class Settings(Part):
    """`tokens`: how many a job takes, in the order of the files' names; `column`: the key of a .jsonl line's
    text; `characters`: paragraphs are gathered into documents of at most this length."""

    name: Literal["text"]
    tokens: PositiveInt
    path: str | None
    column: Annotated[str, Field(min_length=1)]
    characters: Annotated[int, Field(ge=100)]


@final
class Reading(Iterator[Document]):
    """The documents of a corpus; `skipped` grows while it is read and names what could not be."""

    def __init__(self, documents: Iterator[Document], skipped: list[str]):
        self._documents, self.skipped = documents, skipped

    def __next__(self) -> Document:
        return next(self._documents)


def documents(settings: Settings, *, seed: int) -> Reading:  # noqa: ARG001  the files' own order is kept
    """Documents in the order of file names, `<file>#<number>` as ids, exact copies dropped.

    Raises `UserError` where the path holds no text: at once where nothing is there, else once all is read.
    """
    root, files = _files(settings)
    skipped: list[str] = []
    return Reading(_read(root, files, settings, skipped), skipped)


def fingerprint(settings: Settings) -> str:
    """A hash of the files' names and bytes: the path alone does not say what is in them."""
    root, files = _files(settings)
    digest = blake2b(digest_size=8)
    for file in files:
        digest.update(f"{_name(file, root)}\0{file.stat().st_size}\0".encode())
        for block in _blocks(file):
            digest.update(block)
    return digest.hexdigest()


def _files(settings: Settings) -> tuple[Path, list[Path]]:
    """The folder that ids are relative to, and the files to read."""
    if settings.path is None:
        raise UserError("corpus=text needs text.\nType corpus.path=<file or folder>.")
    path = Path(settings.path).expanduser()
    if path.is_file():
        return path.parent, [path]
    if not path.is_dir():
        raise UserError(f"corpus.path={settings.path}: there is no such file or folder.")
    below = (file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    files = sorted(below, key=lambda file: _name(file, path))
    if not files:
        raise UserError(f"corpus.path={settings.path}: no {', '.join(SUFFIXES)} file lies in this folder.")
    return path, files


def _name(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


def _read(root: Path, files: list[Path], settings: Settings, skipped: list[str]) -> Iterator[Document]:
    given = 0
    for document in unique(_all(root, files, settings, skipped)):
        given += 1
        yield document
    if not given:
        named = "".join(f"\n  {line}" for line in skipped[:3])
        raise UserError(
            f"corpus.path={settings.path} holds no text ({len(files)} files, {len(skipped)} faults).{named}"
        )


def _all(root: Path, files: list[Path], settings: Settings, skipped: list[str]) -> Iterator[Document]:
    for file in files:
        name = _name(file, root)
        if (fault := _fault(file)) is not None:
            skipped.append(f"{name}: {fault}")
        elif file.suffix.lower() == ".jsonl":
            yield from _lines(file, name, settings.column, skipped)
        else:
            with file.open(encoding="utf-8-sig") as lines:
                texts = _gathered(_pieces(_paragraphs(lines), settings.characters), settings.characters)
                yield from (Document(f"{name}#{number}", text) for number, text in enumerate(texts))


def _fault(file: Path) -> str | None:
    """Why a file cannot be read as text; the whole of it is looked at before any of it is given out."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in _blocks(file):
            if b"\0" in block:
                return "a binary file (it holds NUL bytes)"
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "not UTF-8 text"
    except OSError as error:
        return error.strerror or "cannot be read"
    return None if file.stat().st_size else "empty"


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(BLOCK):
            yield block


def _lines(file: Path, name: str, column: str, skipped: list[str]) -> Iterator[Document]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                text = json.loads(line)[column]
            except json.JSONDecodeError:
                skipped.append(f"{name}, line {number}: not JSON")
            except (KeyError, TypeError, IndexError):
                skipped.append(f"{name}, line {number}: no {column!r} in it")
            else:
                if isinstance(text, str) and text.strip():
                    yield Document(f"{name}#{number}", text.strip())
                else:
                    skipped.append(f"{name}, line {number}: {column!r} holds no text")


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Runs of lines between empty ones."""
    paragraph: list[str] = []
    for line in lines:
        if line.strip():
            paragraph.append(line.strip())
        elif paragraph:
            yield "\n".join(paragraph)
            paragraph = []
    if paragraph:
        yield "\n".join(paragraph)


def _pieces(paragraphs: Iterable[str], characters: int) -> Iterator[str]:
    """Paragraphs, the overlong ones cut at the last space that fits."""
    for paragraph in paragraphs:
        rest = paragraph
        while len(rest) > characters:
            cut = rest.rfind(" ", 1, characters)
            cut = cut if cut > 0 else characters
            yield rest[:cut].rstrip()
            rest = rest[cut:].lstrip()
        if rest:
            yield rest


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
