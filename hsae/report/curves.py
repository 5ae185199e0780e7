"""Figure: how well each dictionary reconstructs held-out activations, as it learns."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from hsae.report.markup import Markup, data, tag
from hsae.report.numbers import Number, fixed, large, number
from hsae.report.plot import Axis, colour, legend, line, spread, stretched, x_ticks, y_ticks

FLOOR = -0.25
"""The lowest explained variance shown: the first steps of a run would otherwise flatten all that follows."""

HEIGHT = 380  # px of the plot in page.css; labels of line ends need 17 of them


@dataclass(frozen=True)
class Curve:
    """One run: explained variance on held-out rows after so many tokens."""

    group: str
    seed: int
    points: tuple[tuple[int, Number], ...]


def panel(curves: Sequence[Curve], *, id: str, label: str) -> Markup:
    """The curves of one site; a colour a group, a line a seed, named at the end of the lines."""
    groups = list(dict.fromkeys(curve.group for curve in curves))
    x = Axis.over([0, *(tokens for curve in curves for tokens, _ in curve.points)])
    y = Axis.over([max(FLOOR, value) for curve in curves for _, value in curve.points])
    grid, y_labels = y_ticks(y)
    lines = [
        line(
            [(x.place(tokens), y.place(value)) for tokens, value in curve.points],
            cls=f"line {colour(groups.index(curve.group))}",
            data_group=groups.index(curve.group),
        )
        for curve in curves
    ]
    canvas = tag(
        "div",
        stretched(*grid, *lines, label=label),
        y_labels,
        x_ticks(x),
        tag("span", "explained variance", cls="axis y"),
        tag("span", "tokens", cls="axis x"),
        _ends(curves, groups, y),
        cls="canvas",
        style=f"--ends:{max(map(len, groups))}",
    )
    return tag(
        "div",
        legend(dict(enumerate(groups))),
        canvas,
        data(id, _points(curves, groups, x, y)),
        cls="plot curves",
        data_points=id,
    )


def floored(curves: Sequence[Curve]) -> bool:
    """Whether any value lies below what is drawn."""
    return any(value < FLOOR for curve in curves for _, value in curve.points)


def _ends(curves: Sequence[Curve], groups: Sequence[str], y: Axis) -> list[Markup]:
    """The name of each group beside the mean of its last values."""
    last: dict[str, list[Number]] = defaultdict(list)
    for curve in curves:
        last[curve.group].append(max(FLOOR, curve.points[-1][1]))
    means = [sum(last[group]) / len(last[group]) for group in groups]
    places = spread([y.place(mean) for mean in means], gap=100 * 17 / HEIGHT)
    return [
        tag("span", group, cls=f"end {colour(row)}", style=f"bottom:{place}%", data_group=row)
        for row, (group, place) in enumerate(zip(groups, places, strict=True))
    ]


def _points(curves: Sequence[Curve], groups: Sequence[str], x: Axis, y: Axis) -> list[dict[str, object]]:
    """What the script shows near the pointer."""
    return [
        {
            "x": x.place(tokens),
            "y": y.place(max(FLOOR, value)),
            "g": groups.index(curve.group),
            "title": f"{curve.group} · seed {curve.seed}",
            "text": f"explained variance {_value(value)} after {large(tokens)} tokens",
        }
        for curve in curves
        for tokens, value in curve.points
    ]


def _value(value: Number) -> str:
    return fixed(value, 3) if abs(value) < 10 else number(value)
