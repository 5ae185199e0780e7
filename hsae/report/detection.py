"""What job=detect found in natural text: each score beside chance, and beside two nulls."""

from collections.abc import Mapping
from typing import Any

from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import count, estimate, number, plural

NULLS = {"found": "measured", "shuffled": "names shuffled", "permuted": "estimated from permuted contexts"}


def told(found: Mapping[str, Any]) -> Markup:
    """One result: what was read, and a table of its scores. `found` is detect.json."""
    tokens = found["tokens"]
    read = (
        f"{plural(found['sentences'], 'sentence')} of {plural(found['documents'], 'document')} that the "
        f"encyclopedia was not fitted on; {count(tokens['tagged'])} tokens whose sense is known, "
        f"{count(tokens['filler'])} of function words and marks. {count(tokens['unknown'])} untagged words "
        f"of content count neither way. {plural(found['concepts'], 'concept')} were tested at each token."
    )
    head = ("score", *NULLS.values(), "chance")
    columns = [tag("th", name, scope="col", cls="number" if row else None) for row, name in enumerate(head)]
    rows = [_row(name, path, chance, found) for name, path, chance in _lines(found)]
    table = tag("table", tag("thead", tag("tr", columns)), tag("tbody", rows))
    return join(tag("p", read), tag("div", table, cls="scroll", tabindex="0"), _passed(found["passed_over"]))


def _lines(found: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...], float | None]]:
    """Name of each score, where it stands in the scores, and its chance level."""
    scores, promised = found["found"], f"(promised: {number(found['promised'])})"
    groups = {
        "all": "all concepts",
        "named": "concepts that tokens are tagged with",
        "above": "concepts above these alone",
    }
    lines: list[tuple[str, tuple[str, ...], float | None]] = [
        (f"false discoveries, within a token {promised}", ("fdr", "known"), None),
        ("on tokens whose sense is known", ("fdr", "tagged"), None),
        ("on function words and marks", ("fdr", "filler"), None),
        (f"false discoveries, within a sentence {promised}", ("fdr", "texts"), None),
        ("precision of what is called active", ("precision",), None),
        ("recall of a token's concept and all above it", ("recall",), None),
        ("recall of the concept itself", ("recall_of_the_tagged",), None),
    ]
    lines += [
        (f"recall@{k} of a sentence", ("recall_at", k), scores["chance_at"][k]) for k in scores["recall_at"]
    ]
    for group, said in scores["macro"].items():
        lines.append((f"average precision, {groups[group]}", ("macro", group, "ap"), said["chance"]))
        lines.append((f"AUROC, {groups[group]}", ("macro", group, "auroc"), 0.5))
    return lines


def _row(name: str, path: tuple[str, ...], chance: float | None, found: Mapping[str, Any]) -> Markup:
    cells = [_cell(_at(found[null], path)) for null in NULLS]
    return tag("tr", tag("th", name, scope="row"), cells, tag("td", number(chance), cls="number"))


def _at(scores: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any] | None:
    value: Any = scores
    for key in path:
        value = None if value is None else value.get(key)
    return value


def _cell(said: Mapping[str, Any] | None) -> Markup:
    if said is None:
        return tag("td", "–", cls="number")
    value, interval = estimate(said["value"], said["low"], said["high"])
    return tag(
        "td",
        tag("b", value),
        " ",
        tag("span", interval, cls="interval"),
        cls="number",
        title=f"n = {said['n']}",
    )


def _passed(passed: Mapping[str, int]) -> Markup | None:
    if not passed:
        return None
    return tag("p", "Passed over: ", ", ".join(f"{count(n)} {why}" for why, n in passed.items()), ".")
