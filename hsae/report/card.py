"""A page of concept cards: what a concept is, how surely it is known, what lies near it, layer by layer.

What is read: dicts as hsae.encyclopedia.queries.cards.cards makes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hsae.report import profile
from hsae.report.cells import scrolling
from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import count, fixed, number, plural
from hsae.report.page import Section, absent, compose, read

Card = Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    """Cards of one encyclopedia: the LM's name, the stage, and the concepts in the order they were asked."""

    model: str
    stage: str
    cards: Sequence[Card]


def page(told: Told) -> str:
    """The whole page, which needs no script: one concept has its sections, several have one each."""
    first = told.cards[0]
    single = len(told.cards) == 1
    blocks = _blocks(first) if single else [_together(told.cards), *map(_section, told.cards)]
    return compose(
        title=", ".join(card["name"] for card in told.cards),
        lede=first["gloss"] if single else f"{plural(len(told.cards), 'concept')} side by side.",
        facts=_facts(first) if single else _common(told),
        sections=blocks,
        footer=_small_print(told),
        job="card",
        style=read("card.css"),
    )


def standing(card: Card) -> list[str]:
    """Where the concept stands among others, a line each."""
    named = lambda kind: ", ".join(one["name"] for one in card[kind])
    path = " › ".join([*(one["name"] for one in card["path"]), card["name"]])
    lines = [f"path: {path}"] if card["path"] else ["path: it is a root"]
    if len(card["parents"]) > 1:
        lines.append(f"parents: {named('parents')}")
    if card["children"]:
        lines.append(f"children: {named('children')}")
    if card["senses"]:
        lines.append("the word also means: " + ", ".join(one["id"] for one in card["senses"]))
    return lines


def counted(contexts: Mapping[str, Any]) -> str:
    """How many contexts there are, and of what."""
    parts = [
        title + ", ".join(f"{count(n)} {name}" for name, n in contexts[kind].items())
        for kind, title in (("role", ""), ("source", "of the kinds "), ("stage", "from the stages "))
        if contexts[kind]
    ]
    return f"{plural(contexts['total'], 'context')}{': ' if parts else ''}{'; '.join(parts)}"


def certainty(card: Card) -> str:
    """The error of its mean, and what the stopping rule said."""
    here = _here(card)
    if here["error"] is None:
        said = "the error of its mean is unknown: fewer than two contexts, or nothing rises above the noise"
    else:
        said = (
            f"relative error {number(here['error'])} (95 % sure below {_or_unknown(here['upper'])}), "
            f"reliability {number(here['reliability'])} (above {_or_unknown(here['least_reliability'])})"
        )
    status = card["status"]
    return said + (f"; {status['status']}: {status['reason']}" if status else "")


def fared(card: Card) -> str:
    """Whether its held-out contexts are found among all concepts."""
    found = card["found"]
    if found is None:
        return "no held-out context is at hand to test it on"
    said = (
        f"of {plural(found['n'], 'held-out context')} {_rate(found)} lie nearest to its own vector among "
        f"{plural(card['concepts'], 'concept')} (chance {_per_cent(found['chance'])})"
    )
    if found["taken_for"]:
        others = ", ".join(f"{one['name']} ({one['n']})" for one in found["taken_for"][:5])
        said += f"; the others are taken for {others}"
    return said


def _here(card: Card) -> Mapping[str, Any]:
    """Its profile at the site that it was asked at."""
    return next(place for place in card["profile"] if place["site"] == card["site"])


def _facts(card: Card) -> list[tuple[str, Markup | str]]:
    here, status, found = _here(card), card["status"], card["found"]
    facts: list[tuple[str, Markup | str]] = [
        ("contexts", count(card["contexts"]["total"])),
        ("relative error", _with(number(here["error"]), f"95 % sure below {_or_unknown(here['upper'])}")),
        (
            "reliability",
            _with(number(here["reliability"]), f"at least {_or_unknown(here['least_reliability'])}"),
        ),
    ]
    if found is not None:
        facts.append(
            (
                "found among all",
                _with(_per_cent(found["value"]), f"of {count(found['n'])} held-out contexts {_ends(found)}"),
            )
        )
    if status is not None:
        facts.append(("stopping rule", status["status"]))
    return facts


def _common(told: Told) -> list[tuple[str, Markup | str]]:
    first = told.cards[0]
    return [
        ("concepts", count(len(told.cards))),
        ("of an encyclopedia of", count(first["concepts"])),
        ("stage", told.stage),
        ("site", first["site"]),
    ]


def _with(value: str, note: str) -> Markup:
    return join(value, tag("small", note))


def _blocks(card: Card, prefix: str = "") -> list[Section]:
    """The sections of one concept."""
    parts = [
        ("tree", "Where it stands", _certain(card), _tree(card)),
        ("nearest", "Nearest concepts", _nearest_lead(card), _nearest(card)),
        ("confusers", "What it is taken for", f"{_sentence(fared(card))}.", _confusers(card)),
        ("layers", "Layer by layer", profile.LEAD, profile.profile(card["profile"], card["site"])),
        ("contexts", "Contexts", f"{counted(card['contexts'])}.", _contexts(card)),
    ]
    return [Section(prefix + id, title, lead, body) for id, title, lead, body in parts]


def _section(card: Card) -> Section:
    """One concept of several, all in one."""
    id = "concept-" + "".join(letter if letter.isalnum() else "-" for letter in card["id"])
    inner = [
        join(tag("h3", block.title), tag("p", block.lead, cls="lead"), block.body) for block in _blocks(card)
    ]
    return Section(id, card["name"], card["gloss"] or card["id"], tag("div", inner, cls="one-of-several"))


def _together(cards: Sequence[Card]) -> Section:
    """The cosine and the kinship of every two of the concepts that were asked for."""
    heads = [tag("th", card["name"], cls="number", scope="col") for card in cards]
    rows = [
        tag("tr", tag("th", card["name"], scope="row"), [_pair(card, other) for other in cards])
        for card in cards
    ]
    table = tag("table", tag("thead", tag("tr", tag("th"), heads)), tag("tbody", rows), cls="among")
    lead = "The cosine of each two vectors in whitened coordinates, and how the two are related."
    return Section("together", "Side by side", lead, tag("div", table, cls="scroll"))


def _pair(card: Card, other: Card) -> Markup:
    if card["id"] == other["id"]:
        return tag("td", "–", cls="number missing")
    found = next((one for one in card["among"] if one["id"] == other["id"]), None)
    if found is None:
        return tag("td", "unknown", cls="number missing")
    return tag("td", fixed(found["cosine"], 2), tag("small", _kin(found)), cls="number")


def _certain(card: Card) -> str:
    return f"{_sentence(certainty(card))}."


def _tree(card: Card) -> Markup:
    step = lambda one: join(tag("span", one["name"], title=one["gloss"] or None), tag("i", "›"))
    path = tag("p", [step(one) for one in card["path"]], tag("b", card["name"]), cls="path")
    rows = [("id", tag("code", card["id"]))]
    if len(card["parents"]) > 1:
        rows.append(("parents", _chips(card["parents"])))
    children = _chips(card["children"]) if card["children"] else tag("span", "none here", cls="missing")
    rows.append((f"children ({len(card['children'])})", children))
    if others := [lemma for lemma in card["lemmas"] if lemma != card["name"]]:
        rows.append(("also called", join(", ".join(others))))
    if card["senses"]:
        rows.append(("the word also means", _senses(card["senses"])))
    listed = [(tag("dt", name), tag("dd", value)) for name, value in rows]
    return join(path, tag("dl", listed, cls="glossary"))


def _chips(concepts: Sequence[Mapping[str, Any]]) -> Markup:
    return tag(
        "span", [tag("span", one["name"], title=one["gloss"] or one["id"]) for one in concepts], cls="chips"
    )


def _senses(senses: Sequence[Mapping[str, Any]]) -> Markup:
    return tag("ul", [tag("li", tag("code", one["id"]), " ", one["gloss"]) for one in senses], cls="plain")


def _nearest_lead(card: Card) -> str:
    typical = card["typical"]
    if typical is None:
        return "It has no context to fit by, so nothing is known of what lies near it."
    return (
        "Cosine of the concepts' vectors, in coordinates in which contexts of one concept scatter alike in "
        f"all directions; beside it after centring alone. Of the {count(typical['n'])} others the one in the "
        f"middle has {fixed(typical['median'], 2)}, and 95 % have less than {fixed(typical['high'], 2)}: the "
        "upright mark."
    )


def _nearest(card: Card) -> Markup:
    if not card["nearest"]:
        return absent("Run a stage with more contexts: ", tag("code", "stage=templates"), ".")
    rows = [
        tag(
            "tr",
            _name(one),
            tag("td", _kin(one), cls="kin"),
            tag("td", _bar(one["cosine"], card["typical"]["high"])),
            tag("td", fixed(one["cosine"], 2), cls="number"),
            tag("td", fixed(one["centred"], 2), cls="number soft"),
        )
        for one in card["nearest"]
    ]
    return _table(("concept", "in the tree", "", "#cosine", "#only centred"), rows, "near")


def _confusers(card: Card) -> Markup:
    if not card["confusers"]:
        return absent(
            "Margins are in units of the spread within concepts, and no concept has two contexts to fit by. "
            "Run ",
            tag("code", "stage=templates"),
            ".",
        )
    rows = [
        tag("tr", _name(one), tag("td", _kin(one), cls="kin"), _mistaken(one)) for one in card["confusers"]
    ]
    heads = ("concept", "in the tree", "#distance", "#margin", "", "#beyond the border", "#expected")
    caption = (
        "The concepts whose vectors lie nearest in distance, in standard deviations within concepts. Margin: "
        "how far held-out contexts lie on this concept's side of the border, with its interval. Beyond: the "
        "share of them on the other side, Wilson's interval over templates; expected: that share of contexts "
        "that scatter as a Gaussian around the same mean."
    )
    return tag("figure", _table(heads, rows, "near"), tag("figcaption", caption))


def _mistaken(one: Mapping[str, Any]) -> list[Markup]:
    margin, beyond = one["margin"], one["beyond"]
    if beyond is None:
        blank = tag("td", "–", cls="number missing")
        return [tag("td", number(one["distance"]), cls="number"), blank, tag("td"), blank, blank]
    return [
        tag("td", number(one["distance"]), cls="number"),
        tag("td", fixed(margin["value"], 1), tag("small", _ends(margin, 1)), cls="number"),
        tag("td", _bar(beyond["value"], None, beyond["low"], beyond["high"])),
        tag("td", _per_cent(beyond["value"]), tag("small", _ends_per_cent(beyond)), cls="number"),
        tag("td", _per_cent(one["confusion"]), cls="number soft"),
    ]


def _contexts(card: Card) -> Markup:
    shown = [_context(example) for example in card["examples"]]
    return tag("ol", shown, cls="contexts") if shown else absent("It has none yet.")


def _context(example: Mapping[str, Any]) -> Markup:
    text, start, end = example["text"], example["start"], example["end"]
    marked = join(text[:start], tag("mark", text[start:end]), text[end:])
    about = f"{example['stage']} · {example['source']} · {example['template']} · {example['role']}"
    return tag("li", tag("q", marked), tag("small", about))


def _name(one: Mapping[str, Any]) -> Markup:
    return tag("th", tag("b", one["name"]), tag("small", one["id"]), scope="row")


def _kin(one: Mapping[str, Any]) -> str:
    if one["edges"] is None:
        return "unrelated"
    return one["kin"] if one["edges"] < 2 else f"{one['kin']} · {one['edges']} edges"


def _bar(value: float, mark: float | None, low: float | None = None, high: float | None = None) -> Markup:
    """A bar from 0 to 1, with an upright mark or an interval over it; nothing below 0."""
    place = lambda share: f"{100 * min(1.0, max(0.0, share)):.1f}%"
    pieces = [tag("i", cls="fill", style=f"width:{place(value)}")]
    if mark is not None:
        pieces.append(tag("i", cls="mark", style=f"left:{place(mark)}"))
    if low is not None and high is not None:
        width = f"width:{100 * (min(1.0, high) - max(0.0, low)):.1f}%"
        pieces.append(tag("i", cls="whisker", style=f"left:{place(low)};{width}"))
    return tag("div", pieces, cls="bar")


def _table(heads: Sequence[str], rows: Sequence[Markup], cls: str) -> Markup:
    """A `#` in front of a head says that its column holds numbers."""
    cells = [
        tag("th", head.lstrip("#"), scope="col", cls="number" if head.startswith("#") else None)
        for head in heads
    ]
    return scrolling(tag("tr", cells), rows, cls=cls)


def _per_cent(share: float) -> str:
    digits = 0 if share in (0, 1) or share >= 0.1 else 1 if share >= 0.005 else 2
    return f"{fixed(100 * share, digits)} %"


def _ends(found: Mapping[str, Any], decimals: int | None = None) -> str:
    """The interval, in per cent where no decimals are asked for."""
    if decimals is None:
        return _ends_per_cent(found)
    if found["low"] is None or found["high"] is None:
        return "[unknown]"
    return f"[{fixed(found['low'], decimals)}, {fixed(found['high'], decimals)}]"


def _ends_per_cent(found: Mapping[str, Any]) -> str:
    return f"[{fixed(100 * found['low'], 0)}, {fixed(100 * found['high'], 0)}]"


def _rate(found: Mapping[str, Any]) -> str:
    return f"{_per_cent(found['value'])} {_ends_per_cent(found)}"


def _or_unknown(value: float | None) -> str:
    return "unknown" if value is None else number(value)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _small_print(told: Told) -> str:
    first = told.cards[0]
    return (
        f"The encyclopedia of {told.model} after the stage {told.stage}: "
        f"{plural(first['concepts'], 'concept')}, seen at {first['site']}. A vector is the mean over "
        "contexts of the role fit, from which the average concept is taken away; held out are contexts of "
        "the roles tune and test, whose templates are others. Relative error: standard error of the mean "
        "over its distance from the average concept. Reliability: 1 / (1 + error²). Intervals are of 95 %."
    )
