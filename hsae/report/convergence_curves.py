"""Figures of convergence: the historical test as its contexts grow, and how many contexts concepts took."""

from collections.abc import Mapping, Sequence
from typing import Any

from hsae.report.markup import Markup, tag
from hsae.report.numbers import Number, fixed
from hsae.report.plot import COLOURS, Axis, colour, legend, line, spread, stretched, y_ticks

HEIGHT = 380  # px of the plot in page.css; labels of line ends need 17 of them

Line = tuple[str, Sequence[tuple[Number, Number]]]


def historical(said: Mapping[str, Any]) -> Markup:
    """Relative difference and cosine of two means as the contexts of one grow, and what remains of the
    difference when they are endless."""
    curve, floor = said["curve"], said["difference_with_endless_contexts"]
    n = range(1, len(curve["rel_difference"]) + 1)
    lines: list[Line] = [
        ("relative difference", list(zip(n, curve["rel_difference"], strict=True))),
        ("cosine", list(zip(n, curve["cosine"], strict=True))),
        ("difference with endless contexts", [(1, floor), (len(n), floor)]),
    ]
    return _figure(lines, x="contexts", y="of two means", marks=n)


def survival(curves: Mapping[str, Mapping[str, Any]]) -> Markup:
    """The share of concepts that have converged by so many contexts, a step a look; the largest groups."""
    largest = sorted(curves.items(), key=lambda one: -one[1]["concepts"])[:COLOURS]
    lines = [(f"{name} ({one['concepts']:,})", _steps(one["n"], one["share"])) for name, one in largest]
    return _figure(lines, x="contexts", y="share that has converged", marks=None)


def _steps(n: Sequence[Number], share: Sequence[Number]) -> list[tuple[Number, Number]]:
    """A curve that stays where it is until the next look."""
    points: list[tuple[Number, Number]] = [(0, 0.0)]
    for where, value in zip(n, share, strict=True):
        points += [(where, points[-1][1]), (where, value)]
    return points


def _figure(lines: Sequence[Line], *, x: str, y: str, marks: Sequence[int] | None) -> Markup:
    across = Axis.over([where for _, points in lines for where, _ in points])
    up = Axis.over([0, *(value for _, points in lines for _, value in points)])
    grid, labels = y_ticks(up)
    drawn = [
        line(
            [(across.place(where), up.place(value)) for where, value in points],
            cls=f"line {colour(row)}",
            data_group=row,
        )
        for row, (_, points) in enumerate(lines)
    ]
    names = [name for name, _ in lines]
    places = spread([up.place(points[-1][1]) for _, points in lines], gap=100 * 17 / HEIGHT)
    ends = [
        tag("span", name, cls=f"end {colour(row)}", style=f"bottom:{place}%", data_group=row)
        for row, (name, place) in enumerate(zip(names, places, strict=True))
    ]
    canvas = tag(
        "div",
        stretched(*grid, *drawn, label=f"{y} against {x}"),
        labels,
        [
            tag("span", fixed(mark, 0), cls="tick x", style=f"left:{across.place(mark)}%")
            for mark in (marks or across.ticks)
        ],
        tag("span", y, cls="axis y"),
        tag("span", x, cls="axis x"),
        ends,
        cls="canvas",
        style=f"--ends:{max(map(len, names))}",
    )
    return tag("div", legend(dict(enumerate(names))), canvas, cls="plot curves")
