"""How well interpreters name the concept of an activation, each beside chance and beside its controls: the
same estimation on permuted labels, token embeddings, the untrained model and letters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hsae.report.cells import measured, scrolling
from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import count, estimate, number, plural

COLUMNS = {
    "interpreter": "",
    "stage": "",
    "site": "",
    "accuracy on other templates": "number",
    "chance": "number",
    "permuted labels": "number",
    "token embeddings": "number",
    "untrained model": "number",
    "letters of the word": "number",
    "no concept, yet as sure": "number",
    "calibration error": "number",
    "conformal coverage": "number",
    "set size": "number",
    "rows": "number",
    "source": "source",
}


CONTROLS = ("permuted", "embedding", "untrained", "characters")
"""Controls that have an accuracy, in the order of their columns."""

KINDS = {"noise": "noise", "pseudo_word": "pseudo-words", "placeholder": "placeholders"}
"""What nothing should be said of; a shuffled gloss stands beside a real word."""


@dataclass(frozen=True)
class Interpretation:
    """One result of job=interpret that was split by role."""

    name: str
    stage: str
    site: str
    policy: str
    seed: int
    scores: Mapping[str, Any]
    source: Markup


def table(found: Sequence[Interpretation]) -> Markup:
    """One row a result, the most accurate first within a stage."""
    head = tag("tr", [tag("th", column, scope="col", cls=kind or None) for column, kind in COLUMNS.items()])
    order = sorted(found, key=lambda one: (one.site, one.stage, -one.scores["accuracy"]["value"]))
    return scrolling(head, [_row(one) for one in order], cls="verdicts")


def _row(one: Interpretation) -> Markup:
    scores, controls = one.scores, one.scores["controls"]
    wanted = number(scores["wanted_coverage"])
    cells = [
        measured(scores["accuracy"]),
        number(scores["chance"]),
        *(_control(controls.get(name)) for name in CONTROLS),
        _fired(controls.get("firing")),
        number(scores["ece"]),
        join(measured(scores["coverage"]), tag("small", f"{wanted} wanted")),
        measured(scores["set_size"]),
        join(count(scores["n"]), tag("small", plural(scores["concepts"], "concept"))),
    ]
    named = (f"{one.name}", join(one.stage, tag("small", f"seed {one.seed}")), one.site)
    return tag(
        "tr",
        [tag("td", cell) for cell in named],
        [tag("td", cell, cls="number") for cell in cells],
        tag("td", one.source, cls="source"),
    )


def _control(said: Mapping[str, Any] | None) -> Markup:
    """Its accuracy, and by how much the interpreter beats it on the same rows."""
    if said is None:
        return join("–")
    gain, interval = estimate(*(said["gain"][bound] for bound in ("value", "low", "high")))
    by = f" (by {said['by'].replace('_', ' ')})" if said["refused"] else ""
    return join(measured(said), tag("small", f"gain {gain} {interval}{by}"))


def _fired(said: Mapping[str, Any] | None) -> Markup:
    """Of rows without meaning, the share that is named as surely as 95 % of test rows are."""
    kinds = {} if said is None else {kind: said["kinds"].get(kind) for kind in KINDS}
    lines = [f"{KINDS[kind]} {number(line['value'])}" for kind, line in kinds.items() if line]
    return join(*(tag("small", line) for line in lines)) if lines else join("–")


def matrix(lines: Sequence[Mapping[str, Any]]) -> Markup:
    """Accuracy on one source of contexts (columns) after fitting on another (rows)."""
    fit, test = (list(dict.fromkeys(line[side] for line in lines)) for side in ("fit", "test"))
    value = {(line["fit"], line["test"]): line for line in lines}
    head = tag("tr", tag("th", "fitted on"), [tag("th", name, scope="col", cls="number") for name in test])
    rows = [
        tag("tr", tag("th", name, scope="row"), [_cell(value.get((name, other))) for other in test])
        for name in fit
    ]
    return scrolling(head, rows)


def _cell(line: Mapping[str, Any] | None) -> Markup:
    if line is None:
        return tag("td", "–", cls="number")
    value, interval = estimate(line["value"], line["low"], line["high"])
    return tag("td", value, title=f"{interval}, {plural(line['n'], 'row')}", cls="number")
