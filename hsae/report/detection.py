"""What job=detect found in natural text: each score beside chance, and beside two nulls."""

from collections.abc import Mapping
from typing import Any

from hsae.report.cells import heads, measured, scrolling
from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import count, number, plural

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
    rows = [_row(name, path, chance, found) for name, path, chance in _lines(found)]
    table = scrolling(heads(("score", *NULLS.values(), "chance")), rows)
    return join(tag("p", read), table, _passed(found["passed_over"]))


def _lines(found: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...], float | None]]:
    """Name of each score, where it stands in the scores, and its chance level."""
    scores, promised = found["found"], f"(promised: {number(found['promised'])})"
    groups = {
        "all": "all concepts",
        "named": "concepts that tokens are tagged with",
        "above": "concepts above these alone",
    }
    lines: list[tuple[str, tuple[str, ...], float | None]] = [
        (f"false discoveries on a token whose sense is known {promised}", ("fdr", "tagged"), None),
        ("of these, such as share a word with what is meant", ("false_of_the_same_word",), None),
        ("on function words and marks", ("fdr", "filler"), None),
        ("on both together", ("fdr", "known"), None),
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
    return tag("td", measured(said), cls="number", title=f"n = {said['n']}")


def _passed(passed: Mapping[str, int]) -> Markup | None:
    if not passed:
        return None
    return tag("p", "Passed over: ", ", ".join(f"{count(n)} {why}" for why, n in passed.items()), ".")
