"""Figure: the hierarchy of latents, each named by the concept that it tells best from the others."""

from collections.abc import Sequence
from dataclasses import dataclass

from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import Number, count, fixed, plural

MOST = 48
"""Top latents shown; all of them stand in the table beside the page."""


@dataclass(frozen=True)
class Latent:
    """A latent and the concept whose contexts it singles out, chosen on one part of the templates, tested
    on another.
    """

    index: int
    parent: int
    concept: str | None
    gloss: str
    auroc: Number | None
    low: Number | None
    high: Number | None
    n: int
    asked_as: str | None
    """`word` or `kind`: what the concept's AUROC asks."""


def forest(latents: Sequence[Latent]) -> Markup:
    """The top latents that have children, best first, each a card that opens on its children."""
    children: dict[int, list[Latent]] = {}
    for latent in latents:
        children.setdefault(latent.parent, []).append(latent)
    tops = sorted((latent for latent in children.get(-1, []) if latent.index in children), key=_best)
    shown = tops[:MOST]
    cards = [
        _card(latent, sorted(children[latent.index], key=_best), opened=row == 0)
        for row, latent in enumerate(shown)
    ]
    rest = (
        f"{plural(len(tops) - len(shown), 'more top latent')} in latents.csv"
        if len(tops) > len(shown)
        else ""
    )
    return join(tag("div", cards, cls="forest"), tag("p", rest, cls="more") if rest else None)


def flat(latents: Sequence[Latent]) -> Markup:
    """The best-named latents of a dictionary that has no hierarchy."""
    return tag(
        "ul", [tag("li", _name(latent)) for latent in sorted(latents, key=_best)[:MOST]], cls="leaves flat"
    )


def _best(latent: Latent) -> tuple[Number, int]:
    """By the lower end of the interval: an AUROC of 1 over six contexts is luck more often than one of 0.95
    over a hundred."""
    sure = latent.low if latent.low is not None else latent.auroc
    return (1 if sure is None else -sure, latent.index)


def _card(latent: Latent, children: Sequence[Latent], *, opened: bool) -> Markup:
    named = sum(child.concept is not None for child in children)
    summary = tag(
        "summary",
        _name(latent),
        tag("small", f"{plural(len(children), 'child', 'children')}, {named} with a concept"),
    )
    return tag(
        "details",
        summary,
        tag("ul", [tag("li", _name(child)) for child in children], cls="leaves"),
        cls="card",
        open=opened,
    )


def _name(latent: Latent) -> Markup:
    number = tag("span", f"{latent.index}", cls="index")
    if latent.concept is None or latent.auroc is None:
        return join(number, tag("span", "no concept", cls="none"))
    kind = tag("em", " and its kinds") if latent.asked_as == "kind" else None
    return join(
        number,
        tag("span", latent.concept, kind, cls="concept", title=latent.gloss),
        _meter(latent.auroc, latent.low, latent.high, latent.n),
        tag("span", fixed(latent.auroc, 2), cls="auroc"),
    )


def _meter(auroc: Number, low: Number | None, high: Number | None, n: int) -> Markup:
    """A bar from chance to 1, dark up to the interval's lower end."""
    width = lambda value: f"width:{max(0.0, 200 * (value - 0.5)):.0f}%"
    interval = "" if low is None or high is None else f" [{fixed(low, 2)}, {fixed(high, 2)}]"
    bars = [tag("i", style=width(auroc)), tag("i", style=width(low), cls="sure") if low is not None else None]
    title = f"test AUROC {fixed(auroc, 3)}{interval}, n = {count(n)}; chance 0.5"
    return tag("span", bars, cls="meter", title=title)
