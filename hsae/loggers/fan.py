"""One log that speaks to several."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import final

from hsae.config import Part
from hsae.loggers import jsonl
from hsae.loggers.log import Log, Run


@final
class Fan:
    """Says to each of its logs what is said to it."""

    def __init__(self, logs: Sequence[Log]):
        self._logs = logs

    def scalars(self, values: Mapping[str, int | float], *, tokens: int) -> None:
        for log in self._logs:
            log.scalars(values, tokens=tokens)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        for log in self._logs:
            log.table(name, columns, rows)

    def image(self, name: str, path: Path) -> None:
        for log in self._logs:
            log.image(name, path)

    def rewind(self, tokens: int) -> None:
        for log in self._logs:
            log.rewind(tokens)

    def summary(self, values: Mapping[str, int | float | str]) -> None:
        for log in self._logs:
            log.summary(values)


@contextmanager
def logs(run: Run, module: ModuleType, settings: Part) -> Iterator[Log]:
    """log.jsonl and the logger that was chosen; an exception inside makes its run a crashed one."""
    with ExitStack() as stack:
        opened = [stack.enter_context(jsonl.opened(jsonl.Settings(name="jsonl"), run))]
        if module is not jsonl:
            opened.append(stack.enter_context(module.opened(settings, run)))
        yield Fan(opened)
