"""log.jsonl: one JSON object a line, beside the results, always."""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, final

from hsae.config import Part
from hsae.loggers.log import Log, Run

FILE = "log.jsonl"


class Settings(Part):
    name: Literal["jsonl"]


@contextmanager
def opened(settings: Settings, run: Run) -> Iterator[Log]:  # noqa: ARG001  every logger is opened with its settings
    """The log of a job; what a killed attempt wrote stays, but for a line that it did not finish."""
    path = run.folder / FILE
    _keep(path, lambda _: True)
    with path.open("a", buffering=1) as stream:
        yield Jsonl(path, stream)


@final
class Jsonl:
    """Lines like `{"tokens": 4096, "sae/loss": 0.2, "seconds": 1.5}`; seconds count from the start."""

    def __init__(self, path: Path, stream: IO[str]):
        self._path, self._stream, self._start = path, stream, time.monotonic()

    def scalars(self, values: Mapping[str, int | float], *, tokens: int) -> None:
        self._write({"tokens": tokens, **{name: _number(value) for name, value in values.items()}})

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        self._write({"table": name, "columns": list(columns), "rows": [list(row) for row in rows]})

    def image(self, name: str, path: Path) -> None:
        self._write({"image": name, "file": path.name})

    def rewind(self, tokens: int) -> None:
        _keep(self._path, lambda line: line.get("tokens", 0) <= tokens)
        self._stream.seek(0, 2)

    def summary(self, values: Mapping[str, int | float | str]) -> None:
        self._write({"summary": dict(values)})

    def _write(self, line: Mapping[str, object]) -> None:
        stamped = {**line, "seconds": round(time.monotonic() - self._start, 3)}
        self._stream.write(json.dumps(stamped, default=_plain, allow_nan=False) + "\n")


def read(path: Path) -> list[dict]:
    """The lines of a log, without a last one that was cut off by a kill."""
    lines = []
    for text in path.read_text().splitlines() if path.is_file() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


def _keep(path: Path, wanted) -> None:
    """Rewrites the log in place: the open stream goes on appending to the same file."""
    if not path.is_file():
        return
    kept = [line for line in read(path) if wanted(line)]
    with path.open("r+") as stream:
        stream.write("".join(json.dumps(line) + "\n" for line in kept))
        stream.truncate()


def _number(value: int | float) -> int | float | None:
    """JSON has no word for infinity or nan."""
    return value if math.isfinite(value) else None


def _plain(value: object) -> object:
    """Numbers of numpy and torch know themselves as Python's."""
    item = getattr(value, "item", None)
    return item() if callable(item) else str(value)
