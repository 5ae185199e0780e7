"""Work that survives kill -9: files that appear whole or not at all, and a journal of those that did.

A job writes part after part; a part counts once its line stands in the journal. The next run reads the
journal, goes on behind its last line, and ends with the same bytes as a run that was never killed.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from xxhash import xxh3_128

_READ = 1 << 20  # bytes at a time, for a checksum


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A place to write a file at, which becomes `path` at once on leaving, and nothing if writing failed."""
    draft = path.with_name(f".{path.name}.part")
    try:
        yield draft
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def checksum(path: Path) -> str:
    """xxh3 of the file's bytes, 128 bits in hexadecimal: it finds damage, at the speed of the memory, and is
    no proof against a forger."""
    found = xxh3_128()
    with path.open("rb") as stream:
        while block := stream.read(_READ):
            found.update(block)
    return found.hexdigest()


def complete(text: str) -> list[dict[str, Any]]:
    """The lines of a journal, without a last one that is still being written or never was to its end."""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


@final
class Journal:
    """Lines of JSON, one for each finished part. A last line that a kill cut short is dropped."""

    def __init__(self, path: Path):
        self.path = path
        text = path.read_text() if path.is_file() else ""
        self.lines = complete(text)
        if text and not text.endswith("\n"):
            self._rewrite()

    def append(self, line: Mapping[str, Any]) -> None:
        """The part that the line describes is finished, whatever happens from here on."""
        with self.path.open("a") as stream:
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.lines.append(dict(line))

    def trust(self, files: str) -> None:
        """Forget lines from the first whose file (under the key `files`) is gone or has not its size
        (`bytes`)."""
        for number, line in enumerate(self.lines):
            file = self.path.with_name(line[files])
            if not file.is_file() or file.stat().st_size != line["bytes"]:
                self.lines = self.lines[:number]
                self._rewrite()
                return

    def _rewrite(self) -> None:
        with whole(self.path) as draft:
            draft.write_text("".join(json.dumps(line) + "\n" for line in self.lines))
