"""Figure: the encyclopedia's concept vectors on a plane."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from hsae.report.markup import Markup, data, join, tag
from hsae.report.numbers import count, estimate, plural
from hsae.report.plot import COLOURS, Axis, colour, dot, legend, stretched
from hsae.report.projection import NEIGHBOURS, SPECTRUM, Kinship, kinship, neighbours, plane
from hsae.seeding import numpy_stream

MOST = 2000
"""Concepts drawn at most: t-SNE of more takes longer than the rest of the page together."""


@dataclass(frozen=True)
class Entry:
    """What the map tells about one concept."""

    id: str
    name: str
    gloss: str
    contexts: int
    category: str | None
    """None for a concept above all categories."""
    parent: int
    words: frozenset[str]


@dataclass(frozen=True)
class ConceptMap:
    """Concepts in the encyclopedia's order, their vectors at one site, and how both came about."""

    entries: Sequence[Entry]
    vectors: Float[np.ndarray, "concept d"]
    site: str
    estimator: str
    seed: int


def figure(concepts: ConceptMap, *, id: str) -> tuple[Markup, Markup]:
    """The figure and its caption; `id` is its own among the figures of the page."""
    words = [entry.words for entry in concepts.entries]
    near = neighbours(concepts.vectors, words)
    kin = kinship(near, [entry.parent for entry in concepts.entries], words, seed=concepts.seed)
    shown = _sample(concepts)
    places = plane(concepts.vectors[shown], seed=concepts.seed)
    return _plot(concepts, shown, places, near, id), _caption(concepts, len(shown), kin)


def _sample(concepts: ConceptMap) -> Int[np.ndarray, " shown"]:
    """All rows, or MOST drawn at random, in order."""
    rows = np.arange(len(concepts.entries))
    if len(rows) <= MOST:
        return rows
    return np.sort(numpy_stream(concepts.seed, "concepts shown").choice(rows, MOST, replace=False))


def _plot(
    concepts: ConceptMap,
    shown: Int[np.ndarray, " shown"],
    places: Shaped[np.ndarray, "shown 2"],
    near: Int[np.ndarray, "concept k"],
    id: str,
) -> Markup:
    named, groups = _groups([concepts.entries[row] for row in shown])
    x, y = _axis(places[:, 0]), _axis(places[:, 1])
    spots = [(x.place(a), y.place(b)) for a, b in places.tolist()]
    # the rare colours last, so that the crowd does not bury them; what has no colour first of all
    order = sorted(range(len(shown)), key=lambda i: (groups[i] != COLOURS, groups[i]))
    dots = [dot(*spots[i], cls=f"dot {colour(groups[i])}", data_i=i, data_group=groups[i]) for i in order]
    drawing = stretched(tag("g", cls="links"), *dots, label="map of concepts")
    canvas = tag("div", drawing, _signs(named, groups, places, spots), cls="canvas")
    totals = Counter(groups)
    tools = tag(
        "div", _search(concepts, shown, id), legend(named, counts=[totals[g] for g in named]), cls="tools"
    )
    points = data(f"{id}-points", _points(concepts, shown, spots, groups, near))
    return tag("div", tools, canvas, points, cls="plot map", data_points=f"{id}-points")


def _groups(entries: Sequence[Entry]) -> tuple[dict[int, str], list[int]]:
    """Name of each colour, the commonest category first; the colour of each entry."""
    sizes = Counter(entry.category for entry in entries if entry.category is not None)
    ranked = [name for name, _ in sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0]))][:COLOURS]
    colours: dict[str | None, int] = {name: row for row, name in enumerate(ranked)}
    groups = [colours.get(entry.category, COLOURS) for entry in entries]
    return dict(enumerate(ranked)) | ({COLOURS: "other"} if COLOURS in groups else {}), groups


def _signs(
    named: Mapping[int, str],
    groups: Sequence[int],
    places: Shaped[np.ndarray, "shown 2"],
    spots: Sequence[tuple[float, float]],
) -> list[Markup]:
    """The name of each category, where it lies densest."""
    signs = []
    for group, name in named.items():
        members = [i for i, own in enumerate(groups) if own == group]
        if group < COLOURS and members:
            x, y = spots[members[_densest(places[members])]]
            signs.append(
                tag(
                    "span",
                    name,
                    cls=f"place {colour(group)}",
                    style=f"left:{x}%;bottom:{y}%",
                    data_group=group,
                )
            )
    return signs


def _densest(places: Shaped[np.ndarray, "member 2"]) -> int:
    """The member whose nearest tenth of the others is nearest: a middle may lie where nobody is."""
    away = np.sort(np.linalg.norm(places[:, None] - places[None], axis=-1), axis=1)
    return int(away[:, : max(4, len(places) // 10)].mean(1).argmin())


def _axis(values: Shaped[np.ndarray, " shown"]) -> Axis:
    """An axis with a little air at both ends."""
    low, high = float(values.min()), float(values.max())
    air = 0.03 * (high - low) or 0.5
    return Axis(low - air, high + air, ())


def _search(concepts: ConceptMap, shown: Int[np.ndarray, " shown"], id: str) -> Markup:
    names = sorted({concepts.entries[row].name for row in shown})
    return join(
        tag(
            "input",
            type="search",
            list=f"{id}-names",
            placeholder="find a concept",
            aria_label="find a concept",
        ),
        tag("datalist", [tag("option", value=name) for name in names], id=f"{id}-names"),
    )


def _points(
    concepts: ConceptMap,
    shown: Int[np.ndarray, " shown"],
    spots: Sequence[tuple[float, float]],
    groups: Sequence[int],
    near: Int[np.ndarray, "concept k"],
) -> list[dict[str, object]]:
    """What the script shows near the pointer; neighbours that are not drawn are still named."""
    drawn = {int(row): i for i, row in enumerate(shown)}
    points = []
    for i, row in enumerate(shown.tolist()):
        entry, close = concepts.entries[row], near[row].tolist()
        points.append(
            {
                "x": spots[i][0],
                "y": spots[i][1],
                "g": groups[i],
                "title": entry.name,
                "note": " · ".join(filter(None, [entry.category, plural(entry.contexts, "context")])),
                "text": entry.gloss,
                "near": [concepts.entries[other].name for other in close],
                "to": [drawn[other] for other in close if other in drawn],
            }
        )
    return points


def _caption(concepts: ConceptMap, shown: int, kin: Kinship | None) -> Markup:
    total = len(concepts.entries)
    drawn = (
        f"all {count(total)} concepts"
        if shown == total
        else f"{count(shown)} of {count(total)} concepts, drawn at random"
    )
    how = (
        f"Each dot is a concept: {drawn}. Its vector is the {concepts.estimator} at {concepts.site}; vectors "
        f"were centred, brought to length 1, reduced to {SPECTRUM} principal components and laid out by "
        f"t-SNE (seed {concepts.seed}), which keeps neighbourhoods and invents distances between far groups. "
        "Colours are the branches of the taxonomy that best tell two concepts apart. "
    )
    if kin is None:
        return join(how, "No two of these concepts share a parent, so no share of neighbours can be given.")
    value, interval = estimate(100 * kin.share, 100 * kin.low, 100 * kin.high)
    share = tag("strong", f"{value} %")
    chance = estimate(100 * kin.chance, None, None)[0]
    return join(
        how,
        f"In the full space, of each concept's {NEIGHBOURS} nearest neighbours by cosine (other senses of "
        "its own words left out) ",
        share,
        f" {interval} stand under its own parent; chance is {chance} %. n = {count(kin.concepts)} concepts "
        f"that have a sibling; the 95 % interval resamples their {count(kin.parents)} parents.",
    )
