"""What job=converge found: the historical numbers with the arithmetic behind them, and what replaces them."""

from collections.abc import Mapping, Sequence
from typing import Any

from hsae.report import convergence_curves
from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import count, number, plural


def told(site: str, found: Mapping[str, Any]) -> Markup:
    """All that is said of one site."""
    return join(
        tag("h3", site),
        _status(found["status"]),
        _historical(found["historical"]),
        _present(found),
        _spaces(found["unrelated"]),
        _survival(found["curves"]),
    )


def _status(status: Mapping[str, int]) -> Markup:
    total = sum(status.values())
    parts = ", ".join(f"{count(n)} {name}" for name, n in sorted(status.items(), key=lambda one: -one[1]))
    return tag("p", f"Of {plural(total, 'concept')}: {parts}.")


def _historical(said: Mapping[str, Any]) -> Markup:
    if not said["concepts"]:
        return tag("p", f"The historical curve: {said['said']}.")
    last = {name: values[-1] for name, values in said["curve"].items()}
    share = said["share"]
    rows = [
        ("relative difference of the mean of ten from that of ten others", number(last["rel_difference"])),
        ("cosine between the two", number(last["cosine"])),
        (
            "the cosine that this difference implies if norms are equal",
            number(said["cosine_that_equal_norms_imply"]),
        ),
        ("concepts below 5 %", f"{number(share['value'])} [{number(share['low'])}, {number(share['high'])}]"),
        ("so the claim was", said["said"]),
        ("relative variance of one context", number(said["relative_variance"])),
        (
            "difference that endless contexts would still show against ten",
            number(said["difference_with_endless_contexts"]),
        ),
        ("error of the mean of ten itself", number(said["error_of_the_mean"])),
        ("contexts until that error is 5 %", number(said["contexts_for_5_percent"])),
    ]
    return join(
        tag("h4", "The test of 2025, and its arithmetic"), convergence_curves.historical(said), _pairs(rows)
    )


def _present(found: Mapping[str, Any]) -> Markup:
    error, parts = found["error"], found["components"]
    small = error["small_enough"]
    rows = [
        ("median relative error of a mean, centred", number(error["median"])),
        ("reliability of the median concept", number(error["reliability"])),
        (
            "concepts whose error is surely small enough",
            f"{number(small['share'])} [{number(small['low'])}, {number(small['high'])}]",
        ),
        ("variance of concepts", number(parts.get("concept"))),
        ("variance of templates", number(parts.get("template"))),
        ("variance that is neither's", number(parts.get("residual"))),
        ("contexts for a reliability of 0.9", number(parts["contexts"])),
    ]
    return join(tag("h4", "What replaces it"), _pairs(rows))


def _spaces(said: Mapping[str, Any]) -> Markup | None:
    if "spaces" not in said:
        return tag("p", f"Unrelated concepts: {said['why']}.")
    columns = ("cosines", "unrelated concepts", "95 % of them below", "halves of a concept", "told apart")
    head = tag(
        "tr",
        [tag("th", column, scope="col", cls="number" if row else None) for row, column in enumerate(columns)],
    )
    rows = [
        tag(
            "tr",
            tag("th", name, scope="row"),
            [tag("td", number(value), cls="number") for value in space.values()],
        )
        for name, space in said["spaces"].items()
    ]
    return join(tag("h4", "The null of unrelated concepts"), _table(head, rows))


def _survival(curves: Mapping[str, Any]) -> Markup:
    groups = dict(curves["all"])
    if len(curves["by branch"]) > 1:
        groups |= curves["by branch"]
    caption = (
        "Concepts that have not converged yet are censored at their contexts, not counted as if they had "
        "(Kaplan and Meier 1958)."
    )
    return join(
        tag("h4", "Contexts until convergence"),
        convergence_curves.survival(groups),
        tag("p", caption, cls="caption"),
    )


def _pairs(rows: Sequence[tuple[str, str]]) -> Markup:
    return _table(
        None,
        [tag("tr", tag("th", name, scope="row"), tag("td", value, cls="number")) for name, value in rows],
    )


def _table(head: Markup | None, rows: Sequence[Markup]) -> Markup:
    thead = None if head is None else tag("thead", head)
    return tag("div", tag("table", thead, tag("tbody", list(rows))), cls="scroll", tabindex="0")
