"""The table of dictionaries: every SAE beside the baselines that nobody trained, seeds together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import (
    Number,
    count,
    decimals_of,
    estimate,
    fixed,
    large,
    number,
    plural,
    span,
)

Score = Mapping[str, Any]

SAME_CHANCE = 0.01
"""Chances that differ by less are one for the eye: they stand once, above their column."""


@dataclass(frozen=True)
class Row:
    """One dictionary of one seed, and what an evaluation measured of it (by metric)."""

    name: str
    teacher: str
    site: str
    seed: int
    baseline: bool
    scores: Mapping[str, Score]
    source: Markup


@dataclass(frozen=True)
class Column:
    """A metric as the table shows it. `beside` is a second metric whose value stands below, in words."""

    metric: str
    title: str
    hint: str
    show: Callable[[Number], str] | None = None
    gauge: bool = False
    percent: bool = False
    beside: tuple[str, Callable[[Number], str]] | None = None

    def said(self, value: Number) -> str:
        """A value that has no interval."""
        if self.show:
            return self.show(value)
        return f"{number(100 * value)} %" if self.percent else number(value)


COLUMNS = (
    Column("explained_variance", "explained variance", "1 perfect, 0 the mean", gauge=True),
    Column("l0", "L0", "latents a token"),
    Column(
        "dead",
        "dead",
        "never fired",
        percent=True,
        beside=("dead_bound", lambda bound: f"rate < {number(100 * bound, 2)} %"),
    ),
    Column("ce_recovered", "CE recovered", "1 all, 0 as with zeros", gauge=True),
    Column("recovery_word", "recovery, words", "AUROC, new templates", gauge=True),
    Column("recovery_kind", "recovery, kinds", "AUROC, new words", gauge=True),
    Column("parameters", "parameters", "stored numbers", show=large),
    Column("flops_per_token", "FLOPs", "a token", show=large),
)


def table(rows: Sequence[Row]) -> Markup:
    """Rows grouped by site, then by name and teacher; several seeds fold into one row that opens."""
    shown = [column for column in COLUMNS if any(column.metric in row.scores for row in rows)]
    common = {column.metric: _common(rows, column) for column in shown}
    head = tag(
        "tr",
        tag("th", "dictionary", scope="col"),
        [_heading(column, common[column.metric]) for column in shown],
    )
    sites = list(dict.fromkeys(row.site for row in rows))
    bodies = []
    for site in sites:
        title = tag("tr", tag("th", site, colspan=1 + len(shown), scope="rowgroup"), cls="group")
        bodies.append(tag("tbody", title) if len(sites) > 1 else None)
        bodies += [_body(group, shown, common) for group in grouped(row for row in rows if row.site == site)]
    return tag(
        "div", tag("table", tag("thead", head), bodies, cls="dictionaries"), cls="scroll", tabindex="0"
    )


def grouped(rows) -> list[list[Row]]:
    """Rows that differ only in their seed, together; the trained first, baselines last."""
    groups: dict[tuple[bool, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.baseline, row.name, row.teacher), []).append(row)
    return [groups[key] for key in sorted(groups, key=lambda key: key[0])]


def _common(rows: Sequence[Row], column: Column) -> str:
    """What all the cells of a column would say below their numbers: it is said once, above them."""
    measured = [row for row in rows if column.metric in row.scores]
    chances = [row.scores[column.metric]["chance"] or 0 for row in measured]
    if not column.beside and max(chances) - min(chances) < SAME_CHANCE:
        mean = sum(chances) / len(chances)
        return f"chance {number(mean, 2)}" if mean else ""
    said = {_aside(row, column) for row in measured}
    return said.pop() if len(said) == 1 else ""


def _aside(row: Row, column: Column) -> str:
    """Chance, or the column's second metric."""
    if column.beside and column.beside[0] in row.scores:
        metric, words = column.beside
        return words(row.scores[metric]["value"])
    chance = row.scores[column.metric]["chance"]
    return f"chance {number(chance)}" if chance else ""


def _heading(column: Column, common: str) -> Markup:
    hints = [tag("small", hint) for hint in (column.hint, common) if hint]
    return tag("th", column.title, hints, scope="col", cls="number")


def _body(group: Sequence[Row], columns: Sequence[Column], common: Mapping[str, str]) -> Markup:
    first = group[0]
    kind = "baseline" if first.baseline else None
    if len(group) == 1:
        return tag(
            "tbody", tag("tr", _label(first), [_own(first, column, common) for column in columns]), cls=kind
        )
    opener = tag("button", plural(len(group), "seed"), type="button", cls="opener", aria_expanded="false")
    folded = tag("tr", _label(first, opener), [_over_seeds(group, column, common) for column in columns])
    inner = [
        tag("tr", _seed(row), [_own(row, column, common) for column in columns], cls="one")
        for row in sorted(group, key=lambda row: row.seed)
    ]
    return tag("tbody", folded, inner, cls=kind)


def _label(row: Row, opener: Markup | None = None) -> Markup:
    detail = opener or join(f"seed {row.seed} ", row.source)
    return tag("th", tag("b", row.name), " ", tag("i", row.teacher), tag("small", detail), scope="row")


def _seed(row: Row) -> Markup:
    return tag("th", f"seed {row.seed} ", row.source, scope="row")


def _own(row: Row, column: Column, common: Mapping[str, str]) -> Markup:
    """A single dictionary's value, with its own interval, n and chance."""
    score = row.scores.get(column.metric)
    if score is None:
        return _missing()
    if column.show or score["low"] == score["high"]:
        value, interval = column.said(score["value"]), ""
    else:
        value, interval = _within(column, score["value"], score["low"], score["high"])
    gauge = _gauge(score["value"], score["low"], score["high"], score["chance"]) if column.gauge else None
    title = f"n = {count(score['n'])} {score['unit']}"
    return _cell(value, interval, _aside(row, column), common[column.metric], gauge, title)


def _over_seeds(group: Sequence[Row], column: Column, common: Mapping[str, str]) -> Markup:
    """The mean over seeds, with the least and the greatest of them: no interval can be had from so few."""
    scores = [row.scores[column.metric] for row in group if column.metric in row.scores]
    if not scores:
        return _missing()
    values = [score["value"] for score in scores]
    mean, low, high = sum(values) / len(values), min(values), max(values)
    value, between = _spread(column, scores[0], values)
    gauge = _gauge(mean, low, high, scores[0]["chance"]) if column.gauge else None
    title = f"mean of {plural(len(scores), 'seed')}; least – greatest"
    return _cell(value, between, _aside(group[0], column), common[column.metric], gauge, title)


def _spread(column: Column, score: Score, values: Sequence[Number]) -> tuple[str, str]:
    """Mean and range over seeds, in the digits that the first seed's own interval allows."""
    mean, low, high = sum(values) / len(values), min(values), max(values)
    if column.show or low == high:
        return column.said(mean), "" if low == high else f"{column.said(low)} – {column.said(high)}"
    factor = 100 if column.percent else 1
    if score["low"] is not None and score["high"] is not None and score["low"] < score["high"]:
        low, high = score["low"], score["high"]
    decimals = decimals_of(factor * mean, factor * low, factor * high)
    between = span([factor * value for value in values], decimals)
    return fixed(factor * mean, decimals) + (" %" if column.percent else ""), between


def _within(column: Column, value: Number, low: Number | None, high: Number | None) -> tuple[str, str]:
    """The value and its interval, in per cent where the column is."""
    if not column.percent or low is None or high is None:
        return estimate(value, low, high)
    shown, interval = estimate(100 * value, 100 * low, 100 * high)
    return f"{shown} %", interval


def _cell(value: str, interval: str, aside: str, common: str, gauge: Markup | None, title: str) -> Markup:
    notes = [note for note in (interval, "" if common else aside) if note]
    return tag(
        "td", tag("b", value), gauge, [tag("small", note) for note in notes], cls="number", title=title
    )


def _missing() -> Markup:
    return tag("td", "–", cls="number missing", title="not measured")


def _gauge(value: Number, low: Number | None, high: Number | None, chance: Number | None) -> Markup:
    """Where the value lies between 0 and 1, its interval, and chance."""
    at = lambda mark: round(100 * min(1.0, max(0.0, mark)), 1)
    low, high = (value if end is None else end for end in (low, high))
    return tag(
        "svg",
        tag("path", d="M0 3H100", cls="track"),
        tag("path", d=f"M0 3H{at(value)}", cls="fill"),
        tag("path", d=f"M{at(low)} 3H{at(high)}", cls="interval"),
        tag("path", d=f"M{at(chance)} 0V6", cls="chance") if chance else None,
        viewBox="0 0 100 6",
        preserveAspectRatio="none",
        cls="gauge",
        aria_hidden="true",
    )
