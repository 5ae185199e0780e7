"""HTML and SVG as nested calls: `tag("td", "a < b", cls="name")`; whatever is not markup already is
escaped.
"""

import json
from html import escape

Child = object  # markup, text, a number, None (nothing) or a list of these


class Markup(str):
    """Text that is HTML already: `tag` leaves it as it is."""

    __slots__ = ()


def tag(name: str, *children: Child, **attributes: object) -> Markup:
    """One element. `cls` is class, an underscore becomes a hyphen, True is a bare attribute, None and False
    are none.
    """
    shown = "".join(_attribute(key, value) for key, value in attributes.items())
    inside = join(*children)
    if not inside and name in _VOID:
        return Markup(f"<{name}{shown}>")
    return Markup(f"<{name}{shown}>{inside}</{name}>")


_VOID = {"br", "meta", "link", "input"}


def join(*children: Child) -> Markup:
    """The children one after another, texts escaped."""
    return Markup("".join(map(_piece, children)))


def _piece(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, list | tuple):
        return join(*child)
    return child if isinstance(child, Markup) else escape(str(child))


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    key = "class" if key == "cls" else key.rstrip("_").replace("_", "-")
    return f" {key}" if value is True else f' {key}="{escape(str(value))}"'


def data(id: str, value: object) -> Markup:
    """JSON for the page's script, escaped: a closing tag inside a gloss must not end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return Markup(f'<script type="application/json" id="{escape(id)}">{text}</script>')
