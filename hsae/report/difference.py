"""A page on the difference of two encyclopedias.

What is read: a dict as hsae.encyclopedia.queries.compare.compare makes it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hsae.report.cells import scrolling
from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import count, fixed, number, plural
from hsae.report.page import Section, absent, compose, read
from hsae.report.timeline import chance, per_cent

Found = Mapping[str, Any]

MOST = 60
"""Concepts whose movement is drawn."""

MEANING = {
    "cka": ("CKA", "1 for the same up to rotation and size"),
    "rsa": ("RSA", "Spearman's ρ of all pairs' cosines"),
    "procrustes": (
        "Procrustes residual",
        "share that the best rotation leaves on other concepts; 0 is the same",
    ),
    "neighbours": ("neighbours kept", "share of a concept's ten nearest that stay among the ten"),
}


def page(found: Found) -> str:
    """The whole page; it needs no script."""
    first, second = found["first"], found["second"]
    return compose(
        title="What differs between two encyclopedias",
        lede=f"{_start(first['label'])} against {second['label']}.",
        facts=_facts(found),
        sections=[
            _alike(found),
            _moved(found),
            *_layers(found["layers"]),
            _only(found),
        ],
        footer=_small_print(found),
        job="diff",
        style=read("card.css") + read("difference.css"),
    )


def ceiling(told: Mapping[str, Any]) -> str:
    """How much of RSA noise allows for, in a sentence."""
    if "why" in told:
        return f"The noise ceiling of RSA is unknown: {told['why']}."
    own = (
        f"contexts of other templates agree with a side's own at {fixed(told['first'], 3)} and "
        f"{fixed(told['second'], 3)}"
    )
    if told["ceiling"] is None:
        return f"The noise ceiling of RSA is unknown: {own}, and one does not agree with itself."
    return (
        f"Noise ceiling of RSA: {own}, so two halves can agree at {fixed(told['ceiling'], 3)} at most; "
        f"across the two they agree at {fixed(told['across'], 3)}, which is {fixed(told['corrected'], 3)} of "
        "it."
    )


def moved(told: Mapping[str, Any], compared: int) -> str:
    """How many concepts moved, in a sentence."""
    if told["moved"] is None:
        return (
            "Which concepts moved beyond noise is unknown: a side has no concept with two contexts to fit by."
        )
    how = "after the best rotation, found on other concepts" if told["aligned"] else "as they stand"
    return (
        f"{count(told['moved'])} of {plural(compared, 'concept')} moved by more than noise ({how}; false "
        f"discovery rate {per_cent(told['fdr'])})."
    )


def _facts(found: Found) -> list[tuple[str, Markup | str]]:
    last, said = list(found["spaces"].values())[-1], found["concepts"]
    told = found["movement"]["moved"]
    share = lambda name: join(fixed(last[name]["value"], 2), tag("small", _interval(last[name])))
    return [
        (
            "concepts compared",
            join(count(said["compared"]), tag("small", f"of {count(said['common'])} in common")),
        ),
        ("CKA", share("cka")),
        ("RSA", share("rsa")),
        ("neighbours kept", share("neighbours")),
        ("moved beyond noise", "unknown" if told is None else count(told)),
    ]


def _alike(found: Found) -> Section:
    lead = (
        "Four similarities of the matched concepts' vectors in two spaces: centred, and with each unit over "
        "its standard deviation within concepts. The mark is the same after the concepts of one side were "
        "permuted."
    )
    bodies = [
        join(tag("h3", space), _similarities(ones), tag("p", ceiling(ones["ceiling"]), cls="caption"))
        for space, ones in found["spaces"].items()
    ]
    return Section("alike", "How alike they are", lead, join(*bodies))


def _similarities(ones: Mapping[str, Any]) -> Markup:
    rows = [
        tag(
            "tr",
            tag("th", tag("b", title), tag("small", meaning, cls="says"), scope="row"),
            tag("td", _bar(ones[name])),
            tag(
                "td",
                tag("b", fixed(ones[name]["value"], 3)),
                tag("small", _interval(ones[name])),
                cls="number",
            ),
            tag("td", fixed(ones[name]["null"], 3), cls="number soft"),
            tag("td", chance(ones[name]["p"]), cls="number"),
        )
        for name, (title, meaning) in MEANING.items()
    ]
    return _table(("similarity", "", "#value", "#null", "#p"), rows)


def _bar(one: Mapping[str, Any]) -> Markup:
    pieces = [
        tag("i", cls="fill", style=f"width:{_place(one['value'])}"),
        tag("i", cls="mark", style=f"left:{_place(one['null'])}"),
        _whisker(one["low"], one["high"], 1.0),
    ]
    return tag("div", pieces, cls="bar")


def _place(share: float) -> str:
    return f"{100 * min(1.0, max(0.0, share)):.1f}%"


def _whisker(low: float, high: float, most: float) -> Markup:
    low, high = (min(1.0, max(0.0, end / most)) for end in (low, high))
    return tag("i", cls="whisker", style=f"left:{_place(low)};width:{100 * (high - low):.1f}%")


def _moved(found: Found) -> Section:
    told = found["movement"]
    lead = join(
        moved(told, found["concepts"]["compared"]),
        " 1 is the length of the typical concept's vector; the stroke is the interval of 95 %. Beside it the "
        "nearest concepts on the first side and on the second.",
    )
    if told["moved"] is None:
        body = absent("Run a stage with more contexts on both sides: ", tag("code", "stage=templates"), ".")
        return Section("moved", "Which concepts moved", lead, body)
    concepts = told["concepts"][:MOST]
    most = max(one["high"] for one in concepts) or 1.0
    rows = [_one(one, most, told["fdr"]) for one in concepts]
    heads = ("concept", "", "#moved", "#q", "#neighbours kept", "nearest there: first, second")
    more = len(told["concepts"]) - len(concepts)
    rest = tag("p", f"{plural(more, 'more concept')} in difference.json.", cls="caption") if more else None
    return Section("moved", "Which concepts moved", lead, join(_table(heads, rows), rest))


def _one(one: Mapping[str, Any], most: float, fdr: float) -> Markup:
    sure = one["q"] <= fdr
    bar = tag(
        "div",
        tag("i", cls="fill", style=f"width:{_place(one['moved'] / most)}"),
        _whisker(one["low"], one["high"], most),
        cls="bar" if sure else "bar unsure",
    )
    stayed = set(one["nearest"][0]) & set(one["nearest"][1])
    lists = [
        tag("span", [tag("span", name, cls=None if name in stayed else "new") for name in side], cls="side")
        for side in one["nearest"]
    ]
    return tag(
        "tr",
        tag("th", tag("b", one["name"]), tag("small", one["id"]), scope="row"),
        tag("td", bar),
        tag("td", fixed(one["moved"], 2), tag("small", _interval(one)), cls="number"),
        tag("td", chance(one["q"]) if one["q"] > 0 else "0", cls="number"),
        tag("td", fixed(100 * one["kept_neighbours"], 0) + " %", cls="number"),
        tag("td", lists, cls="sides"),
        cls=None if sure else "quiet",
    )


def _layers(told: Mapping[str, Any] | None) -> list[Section]:
    """None where both have a single site."""
    if told is None:
        return []
    heads = [tag("th", site, cls="number", scope="col") for site in told["second"]]
    rows = [
        tag("tr", tag("th", site, scope="row"), [_cell(value, max(line)) for value in line])
        for site, line in zip(told["first"], told["cka"], strict=True)
    ]
    table = tag("table", tag("thead", tag("tr", tag("th"), heads)), tag("tbody", rows), cls="heat")
    lead = (
        f"CKA of the centred vectors of {plural(told['concepts'], 'concept')}, each site of the first (rows) "
        "with each of the second; the largest of a row is bold."
    )
    return [Section("layers", "Site by site", lead, tag("div", table, cls="scroll"))]


def _cell(value: float, largest: float) -> Markup:
    shown = tag("b", fixed(value, 2)) if value == largest else fixed(value, 2)
    return tag("td", shown, cls="number", style=f"--shade:{round(45 * max(0.0, value) ** 4)}%")


def _only(found: Found) -> Section:
    sides = [("first", found["only_first"]), ("second", found["only_second"])]
    bodies = [
        join(tag("h3", f"Only in the {name}: {found[name]['label']}"), _names(concepts))
        for name, concepts in sides
    ]
    lead = "Concepts with contexts to fit by on one side alone; they enter no number above."
    return Section("only", "Only in one", lead, join(*bodies))


def _names(concepts: Sequence[Mapping[str, str]]) -> Markup:
    if not concepts:
        return tag("p", "none", cls="missing")
    shown = [tag("span", one["name"], title=one["id"]) for one in concepts[:MOST]]
    more = len(concepts) - len(shown)
    rest = tag("p", f"and {count(more)} more in difference.json", cls="caption") if more else None
    return join(tag("span", shown, cls="chips"), rest)


def _table(heads: Sequence[str], rows: Sequence[Markup]) -> Markup:
    cells = [tag("th", h.lstrip("#"), scope="col", cls="number" if h[:1] == "#" else None) for h in heads]
    return scrolling(tag("tr", cells), rows, cls="near wide")


def _interval(one: Mapping[str, Any]) -> str:
    return f"[{fixed(one['low'], 2)}, {fixed(one['high'], 2)}]"


def _start(text: str) -> str:
    return text[:1].upper() + text[1:]


def _small_print(found: Found) -> str:
    told = found["movement"]
    shared = f"{fixed(100 * told['shared_contexts'], 0)} % of a concept's contexts are the same on both sides"
    noise = (
        ""
        if told["moved"] is None
        else f", noise has {number(told['effective_dimensions'])} dimensions within a concept"
    )
    return (
        "Vectors are means over contexts of the role fit. Intervals of similarities leave out a twentieth "
        "of the concepts at a time; p is one-sided. Movement: the squared length of what differs, without "
        "what noise alone adds; contexts in common, and templates that serve many concepts, add none. q: "
        "the false discovery rate at which the concept is the last to count (Benjamini–Hochberg). Here "
        f"{shared}{noise}."
    )
