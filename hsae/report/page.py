"""The page: a template with its style and script inside, sections in order. It fetches nothing, so it works
anywhere.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from hsae.report.markup import Markup, join, tag


@dataclass(frozen=True)
class Section:
    """A heading with a line under it that says how to read what follows."""

    id: str
    title: str
    lead: Markup | str
    body: Markup

    def markup(self) -> Markup:
        return tag("section", tag("h2", self.title), tag("p", self.lead, cls="lead"), self.body, id=self.id)


def compose(
    *,
    title: str,
    lede: str,
    facts: Sequence[tuple[str, Markup | str]],
    sections: Sequence[Section],
    footer: Markup | str,
    job: str = "report",
    style: str = "",
) -> str:
    """The whole page as one text; `job` made it, `style` is CSS of its own behind the common one."""
    links = [tag("a", section.title, href=f"#{section.id}") for section in sections]
    cells = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts]
    slots = {
        "title": join(title),
        "lede": join(lede),
        "facts": tag("dl", cells, cls="facts"),
        "contents": tag("nav", links, aria_label="contents"),
        "sections": join(*(section.markup() for section in sections)),
        "footer": join(footer),
        "job": join(job),
        "style": read("page.css") + style,
        "script": read("page.js"),
    }
    # one pass: what a slot holds is never searched for slots
    return re.sub(r"\{\{(\w+)\}\}", lambda found: slots[found[1]], read("page.html"))


def figure(body: Markup, caption: Markup | str) -> Markup:
    return tag("figure", body, tag("figcaption", caption))


def absent(*why: Markup | str) -> Markup:
    """What stands where a figure or table cannot: the reason, and the command that would give it."""
    return tag("p", *why, cls="absent")


def panels(titled: Sequence[tuple[str, Markup]]) -> Markup:
    """Several of a kind, of which the script shows one at a time."""
    return tag(
        "div", [tag("div", tag("h3", title), body, cls="panel") for title, body in titled], cls="panels"
    )


def read(name: str) -> str:
    """A file that lies beside the report's code."""
    return files("hsae.report").joinpath(name).read_text(encoding="utf-8")
