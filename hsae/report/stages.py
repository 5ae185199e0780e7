"""Figure: how well concepts are told apart after each stage; table: what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hsae.report.cells import heads, numbered, scrolling
from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import Number, count, estimate, fixed, large, number
from hsae.report.plot import Axis, colour, dot, legend, line, spread, stretched, y_ticks
from hsae.stats import wilson

HEIGHT = 380  # px of the plot in page.css; labels of line ends need 17 of them
STATUSES = ("converged", "ambiguous", "dead", "budget", "active")
"""Of the stopping rule, what is good news first."""


@dataclass(frozen=True)
class Point:
    """One interpreter on one stage: accuracy on held-out contexts that are the same for all stages."""

    interpreter: str
    stage: str
    value: Number
    low: Number
    high: Number


@dataclass(frozen=True)
class Stage:
    """A stage and all before it."""

    name: str
    contexts: int
    tokens: int
    status: Mapping[str, int]
    """Concepts by what the stopping rule said of them in the end; empty where it was not asked."""


def accuracy(points: Sequence[Point], stages: Sequence[Stage]) -> Markup:
    """A line an interpreter; upright marks are intervals."""
    names = list(dict.fromkeys(point.interpreter for point in points))
    y = Axis.over([0, *(bound for point in points for bound in (point.low, point.high))])
    grid, labels = y_ticks(y)
    shapes: list[Markup] = []
    for row, name in enumerate(names):
        own = [
            (_places(stages, point, row, len(names)), point) for point in points if point.interpreter == name
        ]
        own.sort(key=lambda one: one[0])
        shapes.append(
            line([(x, y.place(p.value)) for x, p in own], cls=f"line {colour(row)}", data_group=row)
        )
        for x, p in own:
            bar = [(x, y.place(p.low)), (x, y.place(p.high))]
            shapes += [
                line(bar, cls=f"line {colour(row)}", opacity=0.5, data_group=row),
                dot(x, y.place(p.value), cls=f"dot {colour(row)}", data_group=row),
            ]
    canvas = tag(
        "div",
        stretched(*grid, *shapes, label="accuracy on held-out contexts by stage"),
        labels,
        [_tick(stage, _middle(row, len(stages))) for row, stage in enumerate(stages)],
        tag("span", "accuracy on the same held-out contexts", cls="axis y"),
        _ends(points, stages, names, y),
        cls="canvas",
        style=f"--ends:{max(map(len, names))}",
    )
    return tag("div", legend(dict(enumerate(names))), canvas, cls="plot curves stages")


def _middle(row: int, stages: int) -> float:
    return round(100 * (row + 0.5) / stages, 2)


def _places(stages: Sequence[Stage], point: Point, row: int, groups: int) -> float:
    """Per cent from the left; interpreters of one stage stand side by side: no interval hides another."""
    number = [stage.name for stage in stages].index(point.stage)
    return _middle(number, len(stages)) + 1.2 * (row - (groups - 1) / 2)


def _tick(stage: Stage, place: float) -> Markup:
    below = tag("small", f"{large(stage.tokens)} tokens")
    return tag("span", stage.name, below, cls="tick x", style=f"left:{place}%")


def _ends(points: Sequence[Point], stages: Sequence[Stage], names: Sequence[str], y: Axis) -> list[Markup]:
    """The name of each interpreter beside its last value."""
    order = [stage.name for stage in stages]
    last = {point.interpreter: point for point in sorted(points, key=lambda point: order.index(point.stage))}
    places = spread([y.place(last[name].value) for name in names], gap=100 * 17 / HEIGHT)
    return [
        tag("span", name, cls=f"end {colour(row)}", style=f"bottom:{place}%", data_group=row)
        for row, (name, place) in enumerate(zip(names, places, strict=True))
    ]


def statuses(stages: Sequence[Stage]) -> Markup:
    """One row a stage: how many concepts the stopping rule called what, the share of converged ones with its
    interval."""
    known = [name for name in STATUSES if any(name in stage.status for stage in stages)]
    names = ("stage", "contexts so far", "tokens so far", *known, "converged, share")
    return scrolling(heads(names), [numbered(stage.name, _cells(stage, known)) for stage in stages])


def _cells(stage: Stage, known: Sequence[str]) -> list[Markup | str]:
    total = sum(stage.status.values())
    done = stage.status.get("converged", 0)
    value, interval = estimate(done / total, *wilson(done, total)) if total else ("–", "")
    return [
        count(stage.contexts),
        large(stage.tokens),
        *(count(stage.status.get(name, 0)) if total else "–" for name in known),
        join(tag("b", value), " ", tag("span", interval, cls="interval")),
    ]


def gains(points: Sequence[Point], stages: Sequence[Stage]) -> str:
    """What each stage added to the accuracy of each interpreter, in words: to tell of the best alone would
    choose it by the rows that it is judged on."""
    names = dict.fromkeys(point.interpreter for point in points)
    return " ".join(
        _gains([point for point in points if point.interpreter == name], stages) for name in names
    )


def _gains(points: Sequence[Point], stages: Sequence[Stage]) -> str:
    """Of one interpreter."""
    own = {point.stage: point for point in points}
    told, before = [], None
    for stage in stages:
        if (point := own.get(stage.name)) is None:
            continue
        step = "" if before is None else f" ({_signed(100 * (point.value - before.value))} points)"
        told.append(f"{stage.name} {number(point.value)}{step}")
        before = point
    return f"{points[0].interpreter}: {', '.join(told)}."


def _signed(value: Number) -> str:
    return ("+" if value >= 0 else "") + fixed(value, 1)
