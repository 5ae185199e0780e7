"""The file that a source of concepts is read from: found, opened (compressed or not), and told apart."""

import gzip
import zlib
from collections.abc import Iterator
from functools import cache
from hashlib import file_digest
from io import BufferedIOBase
from pathlib import Path

from hsae.errors import UserError

GZIP = b"\x1f\x8b"


def find(path: str | None, *, source: str, kind: str) -> Path:
    """The file at `path`. Raises `UserError` where there is none, with the `kind` of file that is needed."""
    if path is None:
        raise UserError(f"concepts={source} needs a file.\nType concepts.path=<{kind}>.")
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"concepts.path={path}: there is no such file.\nconcepts={source} reads {kind}.")
    return file


def fingerprint(file: Path) -> str:
    """A hash of the file's bytes, read once in a process unless its size or its time changes."""
    said = file.stat()
    return _hash(file, said.st_size, said.st_mtime_ns)


@cache
def _hash(file: Path, size: int, time: int) -> str:  # noqa: ARG001  size and time are what the cache goes by
    with file.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()[:16]


def opened(file: Path) -> BufferedIOBase:
    """The file's bytes, unpacked where it is compressed with gzip, whatever its name."""
    with file.open("rb") as stream:
        compressed = stream.read(len(GZIP)) == GZIP
    return gzip.open(file) if compressed else file.open("rb")


def lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """The lines without their ends, numbered from 1. Raises `UserError` where the file ends too early."""
    number = 0
    try:
        with opened(file) as stream:
            for number, line in enumerate(stream, start=1):
                yield number, line.rstrip(b"\r\n")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"{file}: damaged after line {number} ({error}).\nGet it again: the download may have stopped."
        ) from None


def text(file: Path, number: int, line: bytes) -> str:
    """A line as text. Raises `UserError` with its number where it is not UTF-8."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{file}, line {number}: this is not UTF-8 text.") from None
