"""What job=crossvalidate found: every row judged once, by what was fitted without its template or source."""

from collections.abc import Mapping
from typing import Any

from hsae.report.cells import heads, measured, numbered, scrolling
from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import count, number, plural


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
    rows = []
    for name, accuracy in found["accuracy"].items():
        less = found["against"].get(name)
        beside = (measured(less), number(less["p_holm"])) if less else ("–", "–")
        rows.append(numbered(name, [measured(accuracy), *beside]))
    rows.append(numbered("chance", [number(found["chance"]), "–", "–"]))
    return scrolling(heads(columns), rows)


def _folds(found: Mapping[str, Any]) -> Markup:
    names = list(found["accuracy"])
    rows = [
        numbered(one["fold"], [count(one["rows"]), *(number(one["accuracy"][name]) for name in names)])
        for one in found["folds"]
    ]
    return scrolling(heads(("left out", "rows", *names)), rows)


def _caveat(found: Mapping[str, Any]) -> Markup:
    left_out = sum(one["left_out"] for one in found["folds"])
    return tag(
        "p",
        f"Means over {plural(found['concepts'], 'concept')}, {plural(found['n'], 'row')}; intervals over "
        f"concepts and {plural(found['units'], found['by'])} at once. {plural(left_out, 'row')} of concepts "
        "that the rest had no row of were left out. Every row is judged once, those too by which stages were "
        "steered (roles fit and tune): only the scores on the role test are free of that.",
    )
