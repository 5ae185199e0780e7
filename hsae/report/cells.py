"""What tables of numbers share: a number with its interval, a line of heads, a box that scrolls."""

from collections.abc import Mapping, Sequence
from typing import Any

from hsae.report.markup import Child, Markup, join, tag
from hsae.report.numbers import estimate


def measured(said: Mapping[str, Any]) -> Markup:
    """A `value`, and behind it the interval from `low` to `high`."""
    value, interval = estimate(said["value"], said["low"], said["high"])
    return join(tag("b", value), " ", tag("span", interval, cls="interval"))


def heads(names: Sequence[str]) -> Markup:
    """Names of columns, of which all but the first hold numbers."""
    return tag(
        "tr", [tag("th", name, scope="col", cls="number" if row else None) for row, name in enumerate(names)]
    )


def numbered(name: Child, cells: Sequence[Child]) -> Markup:
    """A line of numbers under `heads`."""
    return tag("tr", tag("th", name, scope="row"), [tag("td", cell, cls="number") for cell in cells])


def scrolling(head: Markup | None, rows: Sequence[Markup], *, cls: str | None = None) -> Markup:
    """A table in a box of its own, which a keyboard can scroll where the page is narrow."""
    thead = None if head is None else tag("thead", head)
    table = tag("table", thead, tag("tbody", list(rows)), cls=cls)
    return tag("div", table, cls="scroll", tabindex="0")
