"""The one interface of all logs, and what a log is told about the job at its start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Log(Protocol):
    """What a job may say while it runs. No result depends on it."""

    def scalars(self, values: Mapping[str, int | float], *, tokens: int) -> None:
        """Numbers at a point of the run, on the axis of tokens seen."""
        ...

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Rows of a result; cells are numbers, strings, booleans or None."""
        ...

    def image(self, name: str, path: Path) -> None:
        """A picture, as a PNG file."""
        ...

    def rewind(self, tokens: int) -> None:
        """Forget the scalars from after this point: a resumed run will say them again."""
        ...

    def summary(self, values: Mapping[str, int | float | str]) -> None:
        """The headline numbers of the finished job; said by `execute`, not by jobs."""
        ...


@dataclass(frozen=True)
class Run:
    """One job as its logs see it."""

    folder: Path
    """The artifact in the making."""
    outputs: Path
    job: str
    name: str
    group: str | None
    tags: tuple[str, ...]
    notes: str | None
    config: Mapping[str, Any]
    """The resolved config without paths of this machine, so that two machines' runs compare."""
