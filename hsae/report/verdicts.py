"""The table of claims: what was measured against what, and how it came out, on one axis a claim."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import Number, decimals_of, estimate, fixed, number, span
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

OPEN = 24
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
    rows = [_row(claim, scale, tag("td", claim.about, cls="about"), cls="one") for claim in group]
    return tag("tbody", _together(group, scale, opened=opened), rows)


def _together(group: Sequence[Claim], scale: "Scale", *, opened: bool) -> Markup:
    """What the verdicts on one claim have in common, and how far they differ."""
    verdicts = [claim.verdict for claim in group]
    first, decimals = verdicts[0], _decimals(verdicts[0])
    opener = tag("button", first["claim"], type="button", cls="opener", aria_expanded=str(opened).lower())
    nulls = [verdict["null"] for verdict in verdicts if verdict["null"] is not None]
    return tag(
        "tr",
        tag("th", opener, tag("small", first["statistic"]), scope="rowgroup", cls="claim"),
        tag("td", tally(group), cls="outcome"),
        tag("td", span([verdict["value"] for verdict in verdicts], decimals), cls="number"),
        tag("td", strip(verdicts, scale), cls="strip"),
        tag("td", _like(first["threshold"], first), cls="number"),
        tag("td", span(nulls, decimals) if nulls else "none", cls="number"),
        tag("td", _units(verdicts), cls="number"),
        tag("td", cls="source"),
        cls="group",
    )


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
        tag("td", strip([verdict], scale), cls="strip"),
        tag("td", _like(verdict["threshold"], verdict), cls="number"),
        tag("td", "none" if verdict["null"] is None else _like(verdict["null"], verdict), cls="number"),
        tag("td", _units([verdict]), cls="number"),
        tag("td", claim.source, cls="source"),
        data_outcome=verdict["outcome"],
        cls=cls,
    )


def _units(verdicts: Sequence[Verdict]) -> Markup:
    n = span([verdict["n"] for verdict in verdicts], 0)
    return join(f"{n} ", tag("span", verdicts[0]["unit"], cls="unit"))


def _decimals(verdict: Verdict) -> int:
    return decimals_of(verdict["value"], verdict["low"], verdict["high"])


def _like(value: Number, verdict: Verdict) -> str:
    """In the digits of the statistic beside it, unless those would make it zero."""
    decimals = _decimals(verdict)
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


def strip(verdicts: Sequence[Verdict], scale: Scale) -> Markup:
    """Threshold (upright line), nulls (rings), values (dots) and intervals (bars)."""
    return tag(
        "svg",
        tag("path", d=f"M{scale.at(verdicts[0]['threshold'])} 1v18", cls="threshold"),
        [tag("g", _interval(verdict, scale), cls=verdict["outcome"].lower()) for verdict in verdicts],
        [_null(verdict["null"], scale) for verdict in verdicts if verdict["null"] is not None],
        [_value(verdict, scale) for verdict in verdicts],
        viewBox="0 0 150 20",
        cls="interval-strip" if len(verdicts) == 1 else "interval-strip many",
        aria_hidden="true",
    )


def _interval(verdict: Verdict, scale: Scale) -> Markup:
    """A bar; an end that is not known is the edge."""
    low = scale.axis.low if verdict["low"] is None else verdict["low"]
    high = scale.axis.high if verdict["high"] is None else verdict["high"]
    return tag("path", d=f"M{scale.at(low)} 10H{scale.at(high)}", cls="interval")


def _value(verdict: Verdict, scale: Scale) -> Markup:
    outcome = verdict["outcome"].lower()
    return tag("circle", cx=scale.at(verdict["value"]), cy=10, r=4, cls=f"value {outcome}")


def _null(null: Number, scale: Scale) -> Markup:
    if null < scale.axis.low:
        return tag("path", d="M6 6L2 10L6 14", cls="null")
    if null > scale.axis.high:
        return tag("path", d="M144 6L148 10L144 14", cls="null")
    return tag("circle", cx=scale.at(null), cy=10, r=3.5, cls="null")
