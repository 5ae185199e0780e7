"""The tokens of a text in a row, under each the concepts that are active at it: a page that needs no script.

What is read: token dicts as hsae.encyclopedia.queries.monitoring.describe makes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log10
from typing import Any

from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import count, number, plural
from hsae.report.page import Section, absent, compose, read

STRONGEST = 9.0
"""-log10 p at which a chip is as strong in colour as its letters allow."""

MOST_SHADE = 50
"""Per cent of the accent colour in the strongest chip: letters on it keep a contrast of 4.5 to 1."""

VISIBLE = {"\n": "↵", "\t": "⇥", "\r": "␍"}


@dataclass(frozen=True)
class Monitored:
    """A text as it was monitored.

    `tests` counts the concepts that every token was tested for, `null` the null scores behind the p-values,
    `rows` the background's tokens, `fdr` the false discovery rate within a token.
    """

    tokens: Sequence[Mapping[str, Any]]
    model: str
    site: str
    tests: int
    fdr: float
    null: int
    rows: int


def timeline(told: Monitored) -> str:
    """The whole page. It reads without a script: chips are told by pointing at them or by the tab key."""
    active = sum(bool(token["concepts"]) for token in told.tokens)
    facts: list[tuple[str, Markup | str]] = [
        ("tokens", count(len(told.tokens))),
        ("with a concept", count(active)),
        ("concepts tested", count(told.tests)),
        ("false discovery rate", per_cent(told.fdr)),
        ("least p there is", chance(1 / (1 + told.null))),
    ]
    return compose(
        title="Which concepts are active",
        lede=f"{told.site} of {told.model}, token by token, against what each concept scores on "
        f"{plural(told.rows, 'other token')}.",
        facts=facts,
        sections=[_line(told), _table(told.tokens)],
        footer=_small_print(told),
        job="monitor",
        style=read("timeline.css"),
    )


def shade(p: float) -> int:
    """Per cent of colour: grows with -log10 p, full at 10^-9."""
    return round(MOST_SHADE * min(1.0, -log10(p) / STRONGEST))


def chance(p: float) -> str:
    """Two digits of a probability, with a power of ten below a thousandth."""
    if p >= 1e-3:
        return f"{p:.2g}"
    digits, power = f"{p:.1e}".split("e-")
    scale = "10⁻" + str(int(power)).translate(_SUPERSCRIPT)
    return scale if digits == "1.0" else f"{digits}·{scale}"


_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def per_cent(share: float) -> str:
    """As a reader says it: 5 %."""
    return f"{100 * share:g} %"


def _line(told: Monitored) -> Section:
    lead = join(
        "Under a token stand the most specific of its concepts, the strongest first; ancestors that are "
        "significant too are folded under them. Point at a concept, or walk through them with the tab key, "
        "to see its path and its numbers."
    )
    tokens = tag("ol", [_token(token) for token in told.tokens], cls="timeline")
    body = tokens if told.tokens else absent("The text has no token.")
    return Section("text", "The text", lead, join(_scale(), body))


def _scale() -> Markup:
    chips = [
        tag("span", tag("span", f"p = {chance(p)}"), cls="chip", style=f"--shade:{shade(p)}%")
        for p in (1e-2, 1e-4, 1e-6, 1e-9)
    ]
    return tag("p", "The stronger the colour, the rarer among tokens of other things: ", chips, cls="scale")


def _token(token: Mapping[str, Any]) -> Markup:
    concepts = token["concepts"]
    return tag(
        "li",
        tag("span", _letters(token["token"]), cls="token" if concepts else "token quiet"),
        [_chip(concept, f"d{token['position']}-{rank}") for rank, concept in enumerate(concepts)],
        tag("span", "and more", cls="cut") if token["cut"] else None,
        id=f"token-{token['position']}",
    )


def _letters(token: str) -> Markup:
    """The token as text; line breaks and tabs, which nobody would see, as signs."""
    return join(*(tag("i", VISIBLE[letter]) if letter in VISIBLE else letter for letter in token))


def _chip(concept: Mapping[str, Any], id: str) -> Markup:
    above = [f"{one['name']} ({_numbers(one)})" for one in concept["above"]]
    detail = tag(
        "span",
        tag("b", concept["name"]),
        tag("span", " › ".join(concept["path"])),
        tag("span", _numbers(concept), f" · {concept['id']}"),
        tag("span", "significant too: ", "; ".join(above)) if above else None,
        cls="detail",
        role="tooltip",
        id=id,
    )
    name = concept["name"] + (f" +{len(above)}" if above else "")
    return tag(
        "span",
        tag("span", name),
        detail,
        cls="chip",
        style=f"--shade:{shade(concept['p'])}%",
        tabindex="0",
        aria_describedby=id,
    )


def _numbers(concept: Mapping[str, Any]) -> str:
    return f"score {number(concept['score'])} · z {number(concept['z'])} · p {chance(concept['p'])}"


def _table(tokens: Sequence[Mapping[str, Any]]) -> Section:
    """The same by concept, those at most tokens first."""
    found: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    for token in tokens:
        for concept in token["concepts"]:
            found.setdefault(concept["id"], []).append((token, concept))
    least = lambda places: min(concept["p"] for _, concept in places)
    order = sorted(found.values(), key=lambda places: (-len(places), least(places)))
    rows = [_concept(places, least(places)) for places in order]
    heads = [tag("th", name) for name in ("concept", "path", "tokens")]
    head = tag("tr", heads, tag("th", "least p", cls="number"))
    body = tag("div", tag("table", tag("thead", head), tag("tbody", rows), cls="told"), cls="scroll")
    lead = "Each concept that was the most specific one somewhere, with the tokens at which it was."
    none = absent("No concept is significant at any token, at this false discovery rate.")
    return Section("concepts", "The concepts", lead, body if rows else none)


def _concept(places: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], least: float) -> Markup:
    _, concept = places[0]
    links = [
        join(tag("a", _letters(token["token"].strip(" ") or "␣"), href=f"#token-{token['position']}"), " ")
        for token, _ in places
    ]
    path = " › ".join(concept["path"][:-1])
    return tag(
        "tr",
        tag("th", tag("b", concept["name"]), tag("small", concept["id"])),
        tag("td", path),
        tag("td", links),
        tag("td", chance(least), cls="number"),
    )


def _small_print(told: Monitored) -> str:
    return (
        "p is the share of null scores at least as large: each concept's scores on the background, "
        "standardised by their own mean and spread, the tails of all concepts pooled "
        f"({count(told.null)} scores). Significant: Benjamini–Hochberg over {count(told.tests)} concepts "
        f"within each token at a rate of {per_cent(told.fdr)}. Tokens of a kind that the background does not "
        "hold have no null, and may seem to be anything."
    )
