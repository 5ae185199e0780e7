"""What every plot shares: axes, places in per cent, labels.

A plot is an SVG stretched over its box, with strokes that keep their width, below labels that are HTML: so
lines follow the width of the window while letters and dots keep their size, on a phone too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from hsae.report.markup import Markup, tag
from hsae.report.numbers import Number, fixed, large

COLOURS = 8  # --c0 ... --c7 in page.css; whatever comes after the eighth is grey


@dataclass(frozen=True)
class Axis:
    """A line of numbers from `low` to `high` with round `ticks` inside."""

    low: Number
    high: Number
    ticks: tuple[Number, ...]

    @classmethod
    def over(cls, values: Iterable[Number], *, wanted: int = 5) -> "Axis":
        """An axis that holds the values, with about so many ticks at steps of 1, 2 or 5 times a power of
        ten.
        """
        values = list(values)
        low, high = min(values), max(values)
        if low == high:
            low, high = low - 0.5, high + 0.5
        rough = (high - low) / wanted
        power = 10.0 ** floor(log10(rough))
        step = next(m * power for m in (1, 2, 5, 10) if rough <= m * power * 1.4)
        first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
        return cls(low, high, tuple(i * step for i in range(first, last + 1)))

    def place(self, value: Number) -> float:
        """Per cent of the way from low to high."""
        return round(100.0 * (value - self.low) / (self.high - self.low), 2)


def colour(row: int) -> str:
    """The class that colours the row-th group."""
    return f"c{row}" if row < COLOURS else "c-rest"


def stretched(*shapes: object, label: str) -> Markup:
    """An SVG over the whole box whose unit is per cent; y grows downwards."""
    return tag(
        "svg",
        *shapes,
        viewBox="0 0 100 100",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )


def line(points: Sequence[tuple[Number, Number]], **attributes: object) -> Markup:
    """A line through places in per cent (y upwards)."""
    steps = " ".join(f"{x:g},{100 - y:g}" for x, y in points)
    return tag("polyline", points=steps, vector_effect="non-scaling-stroke", **attributes)


def dot(x: Number, y: Number, **attributes: object) -> Markup:
    """A dot of constant size: a line of no length with round ends (y upwards)."""
    return tag("path", d=f"M{x:g} {100 - y:g}h0", vector_effect="non-scaling-stroke", **attributes)


def y_ticks(axis: Axis) -> tuple[list[Markup], list[Markup]]:
    """Grid lines for the SVG, labels for the box."""
    decimals = tick_decimals(axis)
    lines = [line([(0, axis.place(t)), (100, axis.place(t))], cls="grid") for t in axis.ticks]
    labels = [
        tag("span", fixed(t, decimals), cls="tick y", style=f"bottom:{axis.place(t)}%") for t in axis.ticks
    ]
    return lines, labels


def x_ticks(axis: Axis) -> list[Markup]:
    """Labels below the box."""
    return [tag("span", large(t), cls="tick x", style=f"left:{axis.place(t)}%") for t in axis.ticks]


def tick_decimals(axis: Axis) -> int:
    """Decimals that tell neighbouring ticks apart."""
    if len(axis.ticks) < 2:
        return 2
    return max(0, -floor(log10(axis.ticks[1] - axis.ticks[0]) + 1e-9))


def spread(places: Sequence[Number], *, gap: Number) -> list[float]:
    """The places moved apart until neighbours stand `gap` apart, in the order given, as little as need be."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = [places[i] for i in order]
    for _ in range(200):
        clash = False
        for i in range(len(moved) - 1):
            if (missing := gap - (moved[i + 1] - moved[i])) > 1e-6:
                moved[i] -= missing / 2
                moved[i + 1] += missing / 2
                clash = True
        if not clash:
            break
    placed = [0.0] * len(moved)
    for rank, i in enumerate(order):
        placed[i] = round(float(moved[rank]), 2)
    return placed


def legend(names: Mapping[int, str], *, counts: Sequence[int] = ()) -> Markup:
    """Buttons that show or hide a group of a colour."""
    buttons = [
        tag(
            "button",
            tag("i", cls=f"swatch {colour(group)}"),
            name,
            tag("small", counts[row]) if counts else None,
            type="button",
            aria_pressed="true",
            data_group=group,
        )
        for row, (group, name) in enumerate(names.items())
    ]
    return tag("div", buttons, cls="legend")
