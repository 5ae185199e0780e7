"""What a person sees: bars, tables and trees on a terminal, plain quiet lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree
from tqdm import tqdm

T = TypeVar("T")

Number = int | float | str

QUIET = 20.0
"""Seconds between two lines of progress where there is no terminal."""

MARKS = {
    "made": "green",
    "there": "dim",
    "failed": "red",
    "not run": "yellow",
    "missing": "yellow",
    "to make": "cyan",
}


def screen(*, error: bool = False) -> Console:
    """Standard output or error as it is now; wide enough in a pipe that no column is cut."""
    stream = sys.stderr if error else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else 160, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One line, at once."""
    screen().print(escape(text))
    sys.stdout.flush()


def fail(text: str) -> None:
    """A mistake of the user, or the end of a run."""
    screen(error=True).print(f"[red]hsae:[/] {escape(text)}")


def progress(items: Iterable[T], *, total: int | None, desc: str) -> Iterator[T]:
    """The items, with a bar on a terminal, else with a line every twenty seconds."""
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=desc, leave=False, dynamic_ncols=True)
        return
    said, of = time.monotonic(), f" of {total:,}" if total else ""
    for done, item in enumerate(items):
        if time.monotonic() - said > QUIET:
            said = time.monotonic()
            say(f"  {desc}: {done:,}{of}")
        yield item


def show_config(config: Mapping[str, Any]) -> None:
    """The composed configuration as a tree, one branch per choice."""
    root = Tree("[bold]configuration[/]")
    for key, value in config.items():
        branch = root.add(f"[cyan]{key}[/]" + ("" if _inner(value) else f" {escape(_short(value))}"))
        _grow(branch, value)
    screen().print(root)


def _grow(branch: Tree, value: Any) -> None:
    for key, inner in value.items() if _inner(value) else ():
        _grow(branch.add(f"{key}" + ("" if _inner(inner) else f" [green]{escape(_short(inner))}[/]")), inner)


def _inner(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value)


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_short, value)) + "]"
    return (
        "null"
        if value is None
        else f"{value:,}"
        if isinstance(value, int) and not isinstance(value, bool)
        else str(value)
    )


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table whose `state` column is coloured and whose numbers stand right."""
    rows = [list(row) for row in rows]
    shown = Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for at, column in enumerate(columns):
        numeric = any(isinstance(row[at], int | float) for row in rows)
        shown.add_column(column, justify="right" if numeric else "left", header_style="dim")
    for row in rows:
        shown.add_row(*(_cell(value) for value in row))
    screen().print(shown)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return number(value)
    style = MARKS.get(str(value))
    return f"[{style}]{value}[/]" if style else escape(str(value))


def number(value: Number) -> str:
    """Four significant digits, thousands marked: 0.08312, 12.5, 300,000."""
    if isinstance(value, str):
        return value
    whole = float(value).is_integer() or abs(value) >= 1000
    return f"{value:,.0f}" if whole and abs(value) < 1e15 else f"{value:.4g}"


def size(count: int | float, unit: str = "B") -> str:
    """184.3 GB, 12 kB, 24 B; with another unit 3.2 TFLOP. Powers of ten."""
    for prefix in ("", "k", "M", "G", "T", "P"):
        if abs(count) < 1000 or prefix == "P":
            break
        count /= 1000
    return f"{count:.4g} {prefix}{unit}"


UNITS = {"bytes": "B", "scratch": "B", "memory": "B", "ram": "B", "lm_flops": "FLOP", "sae_flops": "FLOP"}
"""What `estimate` of a job tells under these names is shown with the unit."""


def sizes(estimate: Mapping[str, Number]) -> str:
    """What a job estimates of itself in one line: `rows 300,000  bytes 460.8 MB`."""
    shown = {
        name: size(value, UNITS[name]) if name in UNITS and not isinstance(value, str) else value
        for name, value in estimate.items()
    }
    return headline(shown, most=len(shown))


def headline(metrics: Mapping[str, Number], most: int = 4) -> str:
    """The first few numbers of a job in one line, an interval behind its number: `accuracy 0.9 [0.8, 1]`."""
    bounds = {name: _bounds(metrics, name) for name in metrics}
    hidden = {bound for pair in bounds.values() for bound in pair}
    shown = [name for name in metrics if name not in hidden][:most]
    return "  ".join(f"{name} {number(metrics[name])}{_interval(metrics, bounds[name])}" for name in shown)


def _bounds(metrics: Mapping[str, Number], name: str) -> tuple[str, ...]:
    """The names of a number's bounds: the two after it where they are `low` and `high`, or its own."""
    own = (f"{name}_low", f"{name}_high")
    if all(bound in metrics for bound in own):
        return own
    names = list(metrics)
    after = tuple(names[names.index(name) + 1 :][:2])
    return after if after == ("low", "high") else ()


def _interval(metrics: Mapping[str, Number], bounds: Sequence[str]) -> str:
    return f" [{', '.join(number(metrics[bound]) for bound in bounds)}]" if bounds else ""


def duration(seconds: float) -> str:
    """0.3 s, 12 s, 4 min 5 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
