"""What job=retrieve found: concepts that nothing was fitted on, by their glosses and by a few contexts."""

from collections.abc import Mapping, Sequence
from math import log2
from typing import Any

from hsae.report.cells import scrolling
from hsae.report.markup import Markup, data, join, tag
from hsae.report.numbers import count, estimate, fixed, number, plural
from hsae.report.plot import Axis, colour, legend, line, spread, stretched, y_ticks

SCORES = {
    "r@1": "found first",
    "r@5": "among 5",
    "r@10": "among 10",
    "mrr": "1 / rank",
    "median_rank": "median rank",
    "hypernym_correct": "itself or above",
    "tree_distance": "edges away",
}

BY = {
    "overlap": "the context's own words",
    "characters": "letters of the word",
    "embedding": "token embeddings",
}

HEIGHT = 380  # px of the plot in page.css; labels of line ends need 17 of them


def told(found: Mapping[str, Any], *, id: str) -> Markup:
    """All that is said of one result; `id` is unique on the page."""
    gloss = found["gloss"]
    return join(
        tag("h3", ", ".join(found["sites"])),
        _split(found["split"]),
        None if gloss is None else join(tag("h4", "Found by their glosses"), _gloss(gloss)),
        tag("h4", "Registered by a few contexts"),
        _shots(found["shots"], id),
    )


def _split(split: Mapping[str, Any]) -> Markup:
    return tag(
        "p",
        f"Of {plural(split['concepts'], 'concept')} {count(split['seen'])} were seen and "
        f"{count(split['judged'])} are asked for; {count(split['border'])} between them are neither, for "
        "a parent, child, sibling or word of theirs is on the other side. Groups of kin below depth "
        f"{split['depth']}: {count(split['groups'])}, the largest of {count(split['largest_group'])}; "
        f"{count(split['groups_held_out'])} were held out whole.",
    )


def _gloss(gloss: Mapping[str, Any]) -> Markup:
    rows = {
        "activations, among all": gloss["among_all"],
        "activations, among held-out": gloss["among_held_out"],
        **{BY[name]: scores for name, scores in gloss["baselines"].items()},
    }
    chance = {name: score["chance"] for name, score in gloss["among_all"].items()}
    head = tag(
        "tr", tag("th", "by"), [tag("th", said, scope="col", cls="number") for said in SCORES.values()]
    )
    body = [
        tag("tr", tag("th", name, scope="row"), [_cell(scores[key]) for key in SCORES])
        for name, scores in rows.items()
    ]
    expected = [tag("td", number(chance[key]), cls="number") for key in SCORES]
    body.append(tag("tr", tag("th", "chance, among all", scope="row"), expected))
    return join(scrolling(head, body), tag("p", _beside(gloss)))


def _cell(score: Mapping[str, Any]) -> Markup:
    value, interval = estimate(score["value"], score["low"], score["high"])
    _, groups = estimate(score["value"], score["groups"]["low"], score["groups"]["high"])
    return tag(
        "td",
        tag("b", value),
        tag("br"),
        tag("span", interval, cls="interval"),
        title=f"over {plural(score['n'], 'concept')}; over {plural(score['groups']['n'], 'group')} {groups}",
        cls="number",
    )


def _beside(gloss: Mapping[str, Any]) -> str:
    h = gloss["harmonic"]
    said = [
        f"{plural(gloss['rows'], 'context')} of {plural(gloss['concepts'], 'concept')} were asked; "
        f"{count(gloss['quoting'])} that quote the gloss were not.",
        f"First answers are right for {number(h['seen'])} on seen concepts and {number(h['unseen'])} on "
        f"these: harmonic mean {number(h['value'])}; {number(gloss['taken_for_seen']['value'])} of these are "
        "taken for a seen concept.",
    ]
    if "permuted" in gloss:
        null = gloss["permuted"]
        said.append(
            f"With the glosses shuffled before the map was fitted, 1 / rank is {number(null['mean'])} on "
            f"average of {null['times']} (p = {number(null['p'])})."
        )
    return " ".join(said)


def _shots(shots: Mapping[str, Any], id: str) -> Markup:
    lines = {
        _called(name, score): [one for one in curve if one["score"] == score]
        for name, curve in shots["curves"].items()
        for score in dict.fromkeys(one["score"] for one in curve)
    }
    chance = next(iter(lines.values()))[0]["accuracy"]["chance"]
    best = shots["curves"]["activation"][0]
    beside = (
        f"Accuracy on {plural(shots['concepts'], 'held-out concept')} that have to be told from all others, "
        f"the mean over them; intervals over concepts and {plural(shots['draws'], 'draw')} of the contexts. "
        f"Chance is {number(chance)}; looked for under another's contexts, by one: "
        f"{number(best['permuted']['value'])}. Left out for want of contexts: {count(shots['left_out'])}. "
        "Where letters of the word do as well as activations, the word itself is all that was recognised."
    )
    return join(curves(lines, id=id), tag("p", beside))


def _called(name: str, score: str) -> str:
    return f"activations, {score}" if name == "activation" else BY[name]


def curves(lines: Mapping[str, Sequence[Mapping[str, Any]]], *, id: str) -> Markup:
    """Accuracy by the number of contexts, which doubles from place to place; strokes are intervals."""
    names, shots = list(lines), sorted({one["shots"] for points in lines.values() for one in points})
    x = Axis(log2(shots[0]) - 0.2, log2(shots[-1]) + 0.2, tuple(log2(n) for n in shots))
    y = Axis.over([0, *(_high(one) for points in lines.values() for one in points)])
    grid, y_labels = y_ticks(y)
    drawn, ends = [], []
    for row, points in enumerate(lines.values()):
        at = [(x.place(log2(one["shots"])), one["accuracy"]) for one in points]
        drawn.append(
            line(
                [(place, y.place(said["value"])) for place, said in at],
                cls=f"line {colour(row)}",
                data_group=row,
            )
        )
        drawn += [
            line(
                [(place, y.place(said["low"])), (place, y.place(said["high"]))],
                cls=f"line {colour(row)}",
                data_group=row,
            )
            for place, said in at
            if said["low"] is not None
        ]
        ends.append(y.place(at[-1][1]["value"]))
    canvas = tag(
        "div",
        stretched(*grid, *drawn, label="accuracy on held-out concepts against contexts of each"),
        y_labels,
        [tag("span", count(n), cls="tick x", style=f"left:{x.place(log2(n))}%") for n in shots],
        tag("span", "accuracy", cls="axis y"),
        tag("span", "contexts", cls="axis x"),
        [
            tag("span", name, cls=f"end {colour(row)}", style=f"bottom:{place}%", data_group=row)
            for row, (name, place) in enumerate(zip(names, spread(ends, gap=100 * 17 / HEIGHT), strict=True))
        ],
        cls="canvas",
        style=f"--ends:{max(map(len, names))}",
    )
    told_at = [_point(name, row, one, x, y) for row, (name, of) in enumerate(lines.items()) for one in of]
    return tag(
        "div", legend(dict(enumerate(names))), canvas, data(id, told_at), cls="plot curves", data_points=id
    )


def _high(one: Mapping[str, Any]) -> float:
    said = one["accuracy"]
    return said["value"] if said["high"] is None else said["high"]


def _point(name: str, row: int, one: Mapping[str, Any], x: Axis, y: Axis) -> dict[str, object]:
    """What the script shows near the pointer."""
    said = one["accuracy"]
    interval = "" if said["low"] is None else f" [{fixed(said['low'], 3)}, {fixed(said['high'], 3)}]"
    return {
        "x": x.place(log2(one["shots"])),
        "y": y.place(said["value"]),
        "g": row,
        "title": f"{name} · {plural(one['shots'], 'context')}",
        "text": f"accuracy {fixed(said['value'], 3)}{interval}; seen ones {fixed(one['seen']['value'], 3)}",
    }
