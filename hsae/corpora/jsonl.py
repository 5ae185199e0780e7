"""Lines of JSON, a document each: `.jsonl`, also compressed (`.jsonl.gz`).

What cannot be read is named by file and line, skipped and counted.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Literal

from hsae.corpora import files
from hsae.corpora.document import Document, Skipped
from hsae.corpora.rows import Rows
from hsae.corpora.rows import documents as of_rows
from hsae.corpora.unique import unique

SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
LONGEST = 64 << 20
"""Bytes of a line: a longer one is no document, and is never in memory."""
GZIP = b"\x1f\x8b"


class Settings(Rows):
    """`path`: a file, or a folder with everything below it."""

    name: Literal["jsonl"]
    path: str | None


def documents(settings: Settings, *, seed: int) -> Iterator[Document | Skipped]:  # noqa: ARG001  the files' order is kept
    """Documents in the order of file names, `<file>#<line>` as ids unless they have their own.

    Raises `UserError` where the path holds no text: at once where nothing is there, else once all is read.
    """
    root, found = _files(settings)
    rows = (row for file in found for row in _rows(file, files.name(file, root)))
    return unique(of_rows(rows, settings), source=f"corpus.path={settings.path}")


def fingerprint(settings: Settings) -> str:
    """A hash of the files' names and bytes: the path alone does not say what is in them."""
    return files.fingerprint(*_files(settings))


def _files(settings: Settings) -> tuple[Path, list[Path]]:
    return files.find(settings.path, SUFFIXES, corpus="jsonl")


def _rows(file: Path, name: str) -> Iterator[tuple[str, Mapping[str, Any] | str]]:
    number, rows = 0, 0
    try:
        with _opened(file) as stream:
            for number, line in enumerate(_lines(stream), start=1):
                if line is None:
                    yield f"{name}#{number}", f"a line longer than {LONGEST >> 20} MiB"
                elif line.strip():
                    yield f"{name}#{number}", _row(line)
                rows += line is None or bool(line.strip())
        if not rows:
            yield name, "empty"
    except (OSError, EOFError, zlib.error) as error:
        # gzip tells of damage by all three; the lines before it were whole
        yield name, f"cannot be read behind line {number}: {error}"


def _opened(file: Path) -> BufferedIOBase:
    with file.open("rb") as stream:
        compressed = stream.read(len(GZIP)) == GZIP
    return gzip.open(file) if compressed else file.open("rb")


def _lines(stream: BufferedIOBase) -> Iterator[bytes | None]:
    """The lines; None for one that is too long."""
    while line := stream.readline(LONGEST):
        if len(line) < LONGEST or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(LONGEST)
        yield None


def _row(line: bytes) -> Mapping[str, Any] | str:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return "not UTF-8"
    except (ValueError, RecursionError):
        return "not JSON"
    return row if isinstance(row, dict) else "not a JSON object"
