"""How a number changes from site to site: small charts that share their axis of layers, and norms."""

from collections.abc import Mapping, Sequence
from typing import Any

from hsae.report.markup import Markup, tag
from hsae.report.numbers import number
from hsae.report.plot import Axis, dot, line, stretched, y_ticks

LEAD = (
    "The same concept at every site of the encyclopedia. Relative error: how far its mean may be from the "
    "truth, and the bound that it is surely below. Margin: how many standard deviations held-out contexts "
    "lie on its side of the border with the concept nearest to it. Found: the share of them whose nearest "
    "vector is its own. Separation: AUROC of its score, its held-out contexts against those of other "
    "concepts."
)

Place = Mapping[str, Any]

MOST_LABELS = 8


def profile(places: Sequence[Place], site: str) -> Markup:
    """Four charts and the norms; `site` is marked."""
    at = [place["site"] for place in places].index(site)
    error = [_between(place["error"], place["error"], place["upper"]) for place in places]
    charts = [_chart("relative error", error, places, at, floor=0.0)]
    for name, title, limits in (
        ("margin", "margin, sd", {"floor": 0.0}),
        ("found", "found", {"floor": 0.0, "ceiling": 1.0}),
        ("separation", "separation", {"floor": 0.5, "ceiling": 1.0}),
    ):
        values = [_interval(place[name]) for place in places]
        charts.append(_chart(title, values, places, at, **limits))
    return tag("div", tag("div", charts, cls="profile"), _norms(places))


Value = tuple[float, float | None, float | None] | None


def _interval(found: Mapping[str, Any] | None) -> Value:
    return None if found is None else _between(found["value"], found["low"], found["high"])


def _between(value: float | None, low: float | None, high: float | None) -> Value:
    return None if value is None else (value, low, high)


def _chart(
    title: str,
    values: Sequence[Value],
    places: Sequence[Place],
    at: int,
    *,
    floor: float,
    ceiling: float | None = None,
) -> Markup:
    """A line through the known values, their intervals as strokes, the site in question as a larger dot."""
    known = [(row, value) for row, value in enumerate(values) if value is not None]
    if not known:
        return tag("div", tag("h4", title), tag("p", "unknown", cls="missing"), cls="chart")
    ends = [end for _, value in known for end in value if end is not None]
    axis = Axis.over([floor, *ends] if ceiling is None else [floor, ceiling], wanted=3)
    x = lambda row: round(100 * (row + 0.5) / len(places), 2)
    y = lambda value: min(100.0, max(0.0, axis.place(value)))
    lines, labels = y_ticks(axis)
    strokes = [
        line([(x(row), y(low)), (x(row), y(high))], cls="whisker")
        for row, (_, low, high) in known
        if low is not None and high is not None
    ]
    curve = line([(x(row), y(value)) for row, (value, _, _) in known], cls="line c0")
    dots = [dot(x(row), y(value), cls="spot on" if row == at else "spot") for row, (value, _, _) in known]
    drawing = stretched(*lines, *strokes, curve, *dots, label=f"{title} by site")
    names = tag("div", _names(places, x), cls="sites")
    return tag("div", tag("h4", title), tag("div", drawing, labels, names, cls="canvas"), cls="chart")


def _names(places: Sequence[Place], x: Any) -> list[Markup]:
    """The sites below a chart: numbers alone where all are of one kind, as many as there is room for."""
    roles = {place["site"].rpartition(".")[0] for place in places}
    short = lambda site: site.rpartition(".")[2] if len(roles) == 1 else site
    step = -(-len(places) // MOST_LABELS)
    return [
        tag("span", short(place["site"]), cls="tick x", style=f"left:{x(row)}%", title=place["site"])
        for row, place in enumerate(places)
        if row % step == 0 or row == len(places) - 1
    ]


def _norms(places: Sequence[Place]) -> Markup:
    """The lengths of the concept's activations, by site and pooling."""
    heads = ("site", "pooling", "#length of the mean", "#of a context, root mean square", "#of any concept's")
    cells = [tag("th", h.lstrip("#"), cls="number" if h[0] == "#" else None, scope="col") for h in heads]
    rows = [
        tag(
            "tr",
            tag("th", place["site"], scope="row"),
            tag("td", pooling),
            [tag("td", number(norm[key]), cls="number") for key in ("mean", "rms", "typical")],
        )
        for place in places
        for pooling, norm in place["norms"].items()
    ]
    table = tag("table", tag("thead", tag("tr", cells)), tag("tbody", rows), cls="norms")
    return tag(
        "details", tag("summary", "Norms of its activations"), tag("div", table, cls="scroll"), cls="more"
    )
