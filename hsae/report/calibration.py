"""Figure: how often an interpreter is right when it says how sure it is."""

from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Bool, Float, Int

from hsae.report.markup import Markup, tag
from hsae.report.plot import Axis, colour, dot, legend, line, spread, stretched, y_ticks
from hsae.stats import wilson

BINS, LEAST = 10, 20
"""Bins of equal numbers of rows, and the rows of one at least."""
HEIGHT = 380  # px of the plot in page.css; labels of line ends need 17 of them


@final
class Bin(NamedTuple):
    """Rows about which an interpreter was about equally sure."""

    sure: float
    right: float
    low: float
    high: float
    n: int


def reliability(
    sure: Float[np.ndarray, " row"], right: Bool[np.ndarray, " row"], concept: Int[np.ndarray, " row"]
) -> list[Bin]:
    """Mean confidence and share of right rows, in bins of equally many rows by confidence, with Wilson's
    interval as if each concept had one row in the bin: rows of one are right or wrong together."""
    order = np.argsort(sure, kind="stable")
    bins = min(BINS, max(1, len(order) // LEAST))
    return [
        Bin(
            float(sure[rows].mean()),
            float(right[rows].mean()),
            *_interval(float(right[rows].mean()), len(np.unique(concept[rows]))),
            len(rows),
        )
        for rows in np.array_split(order, bins)
        if len(rows)
    ]


def _interval(share: float, owners: int) -> tuple[float, float]:
    return wilson(share * owners, owners)


def diagram(found: Sequence[tuple[str, Sequence[Bin]]]) -> Markup:
    """A line an interpreter, beside the diagonal on which it would mean what it says."""
    axis = Axis(0.0, 1.0, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
    grid, labels = y_ticks(axis)
    shapes = [line([(0, 0), (100, 100)], cls="grid")]
    for row, (_, bins) in enumerate(found):
        kind = {"cls": f"line {colour(row)}", "data_group": row}
        shapes.append(line([(100 * one.sure, 100 * one.right) for one in bins], **kind))
        for one in bins:
            bar = [(100 * one.sure, 100 * one.low), (100 * one.sure, 100 * one.high)]
            shapes += [
                line(bar, opacity=0.5, **kind),
                dot(100 * one.sure, 100 * one.right, cls=f"dot {colour(row)}", data_group=row),
            ]
    names = [name for name, _ in found]
    canvas = tag(
        "div",
        stretched(*grid, *shapes, label="share of right rows against confidence"),
        labels,
        [tag("span", f"{t:g}", cls="tick x", style=f"left:{100 * t:g}%") for t in axis.ticks],
        tag("span", "share that is right", cls="axis y"),
        tag("span", "confidence", cls="axis x"),
        _ends(found),
        cls="canvas",
        style=f"--ends:{max(map(len, names))}",
    )
    return tag("div", legend(dict(enumerate(names))), canvas, cls="plot curves")


def _ends(found: Sequence[tuple[str, Sequence[Bin]]]) -> list[Markup]:
    places = spread([100 * bins[-1].right for _, bins in found], gap=100 * 17 / HEIGHT)
    return [
        tag("span", name, cls=f"end {colour(row)}", style=f"bottom:{place}%", data_group=row)
        for row, ((name, _), place) in enumerate(zip(found, places, strict=True))
    ]
