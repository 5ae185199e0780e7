"""The table of claims: what was measured against what, and how it came out, on one axis a claim."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hsae.report.markup import Markup, tag
from hsae.report.numbers import Number, count, decimals_of, estimate, fixed, number
from hsae.report.plot import Axis

OUTCOMES = {"PASS": "M2 8.5L6.5 13L14 3.5", "FAIL": "M3 3L13 13M13 3L3 13", "INCONCLUSIVE": "M1 8h5M10 8h5"}
"""Each with the shape drawn beside its word: a tick, a cross, a broken line."""

COLUMNS = {
    "claim": "",
    "outcome": "",
    "statistic": "number",
    "on one axis": "",
    "threshold": "number",
    "null": "number",
} | {
    "n": "number",
    "from": "source",
}

OPEN = 48
"""Rows up to which all claims stand open."""

Verdict = Mapping[str, Any]


@dataclass(frozen=True)
class Claim:
    """A verdict as stats.Verdict writes it, the subject it is about, and the artifact it stands in."""

    verdict: Verdict
    about: str
    source: Markup


def badge(outcome: str, text: str | None = None) -> Markup:
    """The outcome as word, shape and colour."""
    shape = tag("svg", tag("path", d=OUTCOMES[outcome]), viewBox="0 0 16 16", aria_hidden="true")
    return tag("span", shape, text or outcome, cls=f"badge {outcome.lower()}")


def tally(claims: Sequence[Claim]) -> Markup:
    """How many of each outcome, and how many of them are trivial."""
    found = Counter(claim.verdict["outcome"] for claim in claims)
    trivial = sum(claim.verdict["trivial"] for claim in claims)
    badges = [badge(outcome, f"{found[outcome]} {outcome}") for outcome in OUTCOMES if found[outcome]]
    return tag(
        "span", badges, tag("span", f"{trivial} trivial", cls="trivial") if trivial else None, cls="tally"
    )


def table(claims: Sequence[Claim]) -> Markup:
    """The verdicts on one claim together, each about another dictionary or teacher."""
    groups: dict[tuple[str, str], list[Claim]] = {}
    for claim in claims:
        groups.setdefault((claim.verdict["claim"], claim.verdict["statistic"]), []).append(claim)
    head = tag("tr", [tag("th", column, scope="col", cls=kind or None) for column, kind in COLUMNS.items()])
    bodies = [_body(group, opened=len(claims) <= OPEN) for group in groups.values()]
    return tag("div", tag("table", tag("thead", head), bodies, cls="verdicts"), cls="scroll", tabindex="0")


def _body(group: Sequence[Claim], *, opened: bool) -> Markup:
    verdict, scale = group[0].verdict, Scale.of([claim.verdict for claim in group])
    if len(group) == 1:
        words = tag("td", verdict["claim"], tag("small", verdict["statistic"]), cls="claim")
        return tag("tbody", _row(group[0], scale, words))
    opener = tag("button", verdict["claim"], type="button", cls="opener", aria_expanded=str(opened).lower())
    head = tag("th", opener, tag("small", verdict["statistic"]), colspan=3, scope="rowgroup")
    rest = tag("td", tally(group), colspan=len(COLUMNS) - 3, cls="number")
    rows = [_row(claim, scale, tag("td", claim.about, cls="about"), cls="one") for claim in group]
    return tag("tbody", tag("tr", head, rest, cls="group"), rows)


def _row(claim: Claim, scale: "Scale", first: Markup, cls: str | None = None) -> Markup:
    verdict = claim.verdict
    value, interval = estimate(verdict["value"], verdict["low"], verdict["high"])
    why = "the null passes too, so the claim says nothing"
    trivial = tag("abbr", "trivial", title=why, cls="trivial") if verdict["trivial"] else None
    return tag(
        "tr",
        first,
        tag("td", badge(verdict["outcome"]), " ", trivial, cls="outcome"),
        tag("td", tag("b", value), " ", tag("span", interval or "no interval", cls="interval"), cls="number"),
        tag("td", strip(verdict, scale), cls="strip"),
        tag("td", _like(verdict["threshold"], verdict), cls="number"),
        tag("td", "none" if verdict["null"] is None else _like(verdict["null"], verdict), cls="number"),
        tag("td", f"{count(verdict['n'])} ", tag("span", verdict["unit"], cls="unit"), cls="number"),
        tag("td", claim.source, cls="source"),
        data_outcome=verdict["outcome"],
        cls=cls,
    )


def _like(value: Number, verdict: Verdict) -> str:
    """In the digits of the statistic beside it, unless those would make it zero."""
    low, high = verdict["low"], verdict["high"]
    if value == 0 or low is None or high is None or low == high:
        return number(value)
    decimals = decimals_of(low, high)
    return fixed(value, decimals) if abs(value) >= 10.0**-decimals else number(value, 2)


@dataclass(frozen=True)
class Scale:
    """The axis on which all verdicts on one claim are drawn. A null that would squeeze them is an arrow at
    its edge.
    """

    axis: Axis

    @classmethod
    def of(cls, verdicts: Sequence[Verdict]) -> "Scale":
        marks = [verdict[key] for verdict in verdicts for key in ("value", "low", "high", "threshold")]
        marks = [mark for mark in marks if mark is not None]
        low, high = min(marks), max(marks)
        reach = high - low
        nulls = [verdict["null"] for verdict in verdicts if verdict["null"] is not None]
        near = [null for null in nulls if low - reach <= null <= high + reach]
        return cls(Axis.over([*marks, *near]))

    def at(self, mark: Number) -> float:
        """Where on a strip 150 wide."""
        return round(8 + 1.34 * min(100.0, max(0.0, self.axis.place(mark))), 1)


def strip(verdict: Verdict, scale: Scale) -> Markup:
    """Threshold (upright line), null (ring), value (dot) and interval (bar)."""
    low = scale.axis.low if verdict["low"] is None else verdict["low"]
    high = scale.axis.high if verdict["high"] is None else verdict["high"]
    return tag(
        "svg",
        tag("path", d=f"M{scale.at(verdict['threshold'])} 1v18", cls="threshold"),
        tag("path", d=f"M{scale.at(low)} 10H{scale.at(high)}", cls="interval"),
        None if verdict["null"] is None else _null(verdict["null"], scale),
        tag("circle", cx=scale.at(verdict["value"]), cy=10, r=4, cls="value"),
        viewBox="0 0 150 20",
        cls=f"interval-strip {verdict['outcome'].lower()}",
        aria_hidden="true",
    )


def _null(null: Number, scale: Scale) -> Markup:
    if null < scale.axis.low:
        return tag("path", d="M6 6L2 10L6 14", cls="null")
    if null > scale.axis.high:
        return tag("path", d="M144 6L148 10L144 14", cls="null")
    return tag("circle", cx=scale.at(null), cy=10, r=3.5, cls="null")
