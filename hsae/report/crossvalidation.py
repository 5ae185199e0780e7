"""What job=crossvalidate found: every row judged once, by what was fitted without its template or source."""

from collections.abc import Mapping
from typing import Any

from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import count, estimate, number, plural


def told(found: Mapping[str, Any]) -> Markup:
    """All that is said of one result."""
    return join(
        tag("h3", f"{found['interpreter']}, left out by {found['by']}"),
        _whole(found),
        _folds(found),
        _caveat(found),
    )


def _whole(found: Mapping[str, Any]) -> Markup:
    columns = ("interpreter", "accuracy", f"{found['interpreter']} is better by", "p (Holm)")
    head = [tag("th", said, scope="col", cls="number" if row else None) for row, said in enumerate(columns)]
    rows = []
    for name, accuracy in found["accuracy"].items():
        less = found["against"].get(name)
        beside = (_interval(less), number(less["p_holm"])) if less else ("–", "–")
        cells = [tag("td", cell, cls="number") for cell in (_interval(accuracy), *beside)]
        rows.append(tag("tr", tag("th", name, scope="row"), cells))
    chance = [tag("td", cell, cls="number") for cell in (number(found["chance"]), "–", "–")]
    rows.append(tag("tr", tag("th", "chance", scope="row"), chance))
    return _table(tag("tr", head), rows)


def _folds(found: Mapping[str, Any]) -> Markup:
    names = list(found["accuracy"])
    head = [
        tag("th", said, scope="col", cls="number" if row else None)
        for row, said in enumerate(("left out", "rows", *names))
    ]
    rows = [
        tag(
            "tr",
            tag("th", one["fold"], scope="row"),
            tag("td", count(one["rows"]), cls="number"),
            [tag("td", number(one["accuracy"][name]), cls="number") for name in names],
        )
        for one in found["folds"]
    ]
    return _table(tag("tr", head), rows)


def _caveat(found: Mapping[str, Any]) -> Markup:
    left_out = sum(one["left_out"] for one in found["folds"])
    return tag(
        "p",
        f"Means over {plural(found['concepts'], 'concept')}, {plural(found['n'], 'row')}; intervals over "
        f"concepts and {plural(found['units'], found['by'])} at once. {plural(left_out, 'row')} of concepts "
        "that the rest had no row of were left out. Every row is judged once, those too by which stages were "
        "steered (roles fit and tune): only the scores on the role test are free of that.",
    )


def _interval(said: Mapping[str, float]) -> Markup:
    value, interval = estimate(said["value"], said["low"], said["high"])
    return join(tag("b", value), " ", tag("span", interval, cls="interval"))


def _table(head: Markup, rows: list[Markup]) -> Markup:
    return tag("div", tag("table", tag("thead", head), tag("tbody", rows)), cls="scroll", tabindex="0")
