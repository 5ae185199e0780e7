"""Two encyclopedias side by side: what they share, how alike their geometries are, which concepts moved.

Compared are the means of the role fit, of concepts that both know, in two spaces: centred, and standardised
(each unit over its standard deviation within concepts: Walther et al. 2016), in which no single loud unit
decides. Movement is told in the standardised one, in lengths of the typical concept's vector.
"""

from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
from jaxtyping import Float, Int

from hsae import json_file
from hsae.encyclopedia.convergence.curve import debiased_square
from hsae.encyclopedia.encyclopedia import Encyclopedia
from hsae.encyclopedia.queries import difference as geometry
from hsae.encyclopedia.queries.movement import Movement, discoveries, movement, shared_noise
from hsae.encyclopedia.queries.template_effects import TemplateEffects, pooled, template_effects
from hsae.encyclopedia.statistics import ROLES
from hsae.errors import UserError
from hsae.seeding import numpy_stream

FOUND = "difference.json"

NAMED = 5
"""Neighbours of a concept that are told by name."""
ROUNDING = 1e-4
"""Of a mean's length: what other batches of the same contexts may do to it."""
LAYERS_MOST = 500
"""Concepts that all pairs of sites are compared on."""


@final
class Side(NamedTuple):
    """One of the two: the encyclopedia, the site that is looked at, and what people call it."""

    book: Encyclopedia
    site: str
    label: str


@final
class Matched(NamedTuple):
    """The concepts that are compared, and where they stand on either side."""

    ids: list[str]
    rows: tuple[Int[np.ndarray, " concept"], Int[np.ndarray, " concept"]]
    common: int
    """Concepts that both have contexts of; more than are compared where these are a sample."""
    only: tuple[list[str], list[str]]


def load(folder: Path) -> dict[str, Any]:
    """What `compare` found, from a result folder of `job=diff`."""
    return json_file.read(Path(folder) / FOUND)


def compare(
    a: Side, b: Side, *, seed: int, draws: int = 99, most: int = 1000, fdr: float = 0.05
) -> dict[str, Any]:
    """Similarities with intervals and nulls, noise ceiling, movement by concept; ready for JSON.

    Of more than `most` concepts a sample is compared: RSA looks at all pairs. Raises `UserError` for two
    sides that are one, or that have too few concepts in common.
    """
    if a.book.folder == b.book.folder and a.site == b.site:
        raise UserError(
            f"both sides are the same: {a.label}.\nSay what is other on the other side: job.other=stage:raw, "
            "job.other=model:gpt2, job.other=site:resid_post.0"
        )
    found = matched(a.book, b.book, most=most, seed=seed)
    scales = _scales(a, b)
    means = [_means(side, rows) for side, rows in zip((a, b), found.rows, strict=True)]
    spaces = {"centred": means}
    if scales is not None:
        spaces["standardised"] = [mean / scale for mean, scale in zip(means, scales, strict=True)]
    told = {
        name: geometry.difference(*pair, seed=seed, draws=draws) | {"ceiling": _ceiling(a, b, found, scale)}
        for (name, pair), scale in zip(spaces.items(), (None, scales), strict=False)
    }
    return json_file.finite(
        {
            "first": _side(a),
            "second": _side(b),
            "concepts": {"compared": len(found.ids), "common": found.common},
            "only_first": _named(a.book, found.only[0]),
            "only_second": _named(b.book, found.only[1]),
            "spaces": told,
            "movement": _movement(a, b, found, list(spaces.values())[-1], scales, seed=seed, fdr=fdr),
            "layers": _layers(a.book, b.book, found),
        }
    )


def matched(a: Encyclopedia, b: Encyclopedia, *, most: int, seed: int) -> Matched:
    """The concepts with contexts of the role fit on both sides, at most so many, drawn."""
    trees, counts = (a.taxonomy, b.taxonomy), (a.count().numpy(), b.count().numpy())
    known = [
        {concept.id for concept, n in zip(tree, count, strict=True) if n}
        for tree, count in zip(trees, counts, strict=True)
    ]
    ids = [concept.id for concept in a.taxonomy if concept.id in known[0] & known[1]]
    drawn = np.sort(numpy_stream(seed, "concepts compared").permutation(len(ids))[:most])
    kept = [ids[row] for row in drawn]
    rows = tuple(np.array([tree.index[id] for id in kept], np.int64) for tree in trees)
    one, other = (
        [concept.id for concept in tree if concept.id in mine - theirs]
        for tree, mine, theirs in zip(trees, known, known[::-1], strict=True)
    )
    return Matched(kept, (rows[0], rows[1]), len(ids), (one, other))


def same_place(a: Side, b: Side) -> bool:
    """Whether their vectors can be subtracted as they are: the same site of the same model."""
    return (a.book.model, a.site) == (b.book.model, b.site)


def _side(side: Side) -> dict[str, Any]:
    book = side.book
    return {
        "label": side.label,
        "model": book.model,
        "site": side.site,
        "stage": book.stages[-1]["stage"],
        "concepts": len(book.taxonomy),
        "contexts": sum(stage["contexts"] for stage in book.stages),
    }


def _named(book: Encyclopedia, ids: list[str]) -> list[dict[str, str]]:
    return [{"id": id, "name": book.taxonomy[id].name} for id in ids]


def _means(
    side: Side, rows: Int[np.ndarray, " concept"], roles: tuple[str, ...] = ("fit",)
) -> Float[np.ndarray, "concept d"]:
    """The mean over the contexts of some roles together; NaN where there is none."""
    counts = [side.book.count(role=role).numpy()[rows][:, None] for role in roles]  # type: ignore[arg-type]
    parts = [side.book.mean(side.site, role=role).numpy()[rows] for role in roles]  # type: ignore[arg-type]
    total = sum(np.nan_to_num(part.astype(np.float64)) * n for part, n in zip(parts, counts, strict=True))
    n = sum(counts)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _scales(a: Side, b: Side) -> tuple[np.ndarray, np.ndarray] | None:
    """Standard deviation of each unit within concepts; one for both sides where these are the same place.
    None where it is unknown on either: no concept with two contexts."""
    freedom = [int((side.book.count() - 1).clamp(min=0).sum()) for side in (a, b)]
    if not all(freedom):
        return None
    spread = [side.book.covariance(side.site).diagonal().numpy() for side in (a, b)]
    if same_place(a, b):
        both = (spread[0] * freedom[0] + spread[1] * freedom[1]) / sum(freedom)
        spread = [both, both]
    one, other = (np.sqrt(np.maximum(each, 1e-6 * each.mean())) for each in spread)
    return one, other


def _ceiling(
    a: Side, b: Side, found: Matched, scales: tuple[np.ndarray, np.ndarray] | None
) -> dict[str, Any]:
    """RSA of halves: contexts of the role fit, and those of tune and test, which are of other templates."""
    sides = zip((a, b), found.rows, strict=True)
    halves = [[_means(side, rows, roles) for roles in (ROLES[:1], ROLES[1:])] for side, rows in sides]
    known = np.logical_and.reduce([~np.isnan(half).any(1) for side in halves for half in side])
    n = int(known.sum())
    if n < geometry.FEWEST:
        why = f"{n} concepts have contexts of the role fit and of tune or test on both sides"
        return {"concepts": n, "why": why}
    scaled = [
        [half[known] if scales is None else half[known] / scales[number] for half in side]
        for number, side in enumerate(halves)
    ]
    return {"concepts": n, **geometry.ceiling((scaled[0][0], scaled[0][1]), (scaled[1][0], scaled[1][1]))}


def _movement(
    a: Side,
    b: Side,
    found: Matched,
    means: list[np.ndarray],
    scales: tuple[np.ndarray, np.ndarray] | None,
    *,
    seed: int,
    fdr: float,
) -> dict[str, Any]:
    """Every compared concept, those that surely moved furthest first."""
    kinds: list[TemplateEffects] = []
    one, other = (geometry.centred(mean) for mean in means)
    straight, concepts = same_place(a, b), len(one)
    half = numpy_stream(seed, "halves of the alignment").permutation(concepts) % 2 == 0
    counts = [side.book.count().numpy()[rows] for side, rows in zip((a, b), found.rows, strict=True)]
    shared = _shared(a.book, b.book)[found.rows[0]]
    noise, typical, effective = np.full(concepts, np.nan), float((one**2).sum(1).mean()), 1.0
    if scales is not None:
        places = list(zip((a, b), found.rows, scales, strict=True))
        kinds = [
            template_effects(side.book, side.site, rows, scale, known=known)
            for (side, rows, scale), known in zip(places, _effects(a, b), strict=True)
        ]
        one, other = (geometry.centred(x - of.effect) for x, of in zip((one, other), kinds, strict=True))
        traces = [
            np.where(np.isnan(kind.trace), kind.left * _traces(side, rows, scale), kind.trace)
            for kind, (side, rows, scale) in zip(kinds, places, strict=True)
        ]
        typical = _typical(counts[0], one, traces[0]) or typical
        effective = kinds[0].effective
        if straight:
            noise = shared_noise((traces[0], traces[1]), (counts[0], counts[1]), shared)
        else:
            noise = _noise(traces[0], counts[0]) + _stretch(one, other) ** 2 * _noise(traces[1], counts[1])
    delta = one - other if straight else geometry.residuals(one, other, half)
    noise = noise + np.square(ROUNDING) * (means[0].astype(np.float64) ** 2).sum(1)
    moved = movement(delta, noise, effective=effective)
    return {
        "aligned": not straight,
        "unit": "the length of the typical concept's vector",
        "fdr": fdr,
        "shared_contexts": float((shared / np.maximum(np.minimum(*counts), 1)).mean()),
        "left_after_templates": [kind.left for kind in kinds],
        "effective_dimensions": effective if scales is not None else None,
        **_told(a, found, moved, np.sqrt(typical), (one, other), counts, fdr=fdr),
    }


def _told(
    a: Side,
    found: Matched,
    moved: Movement,
    unit: float,
    vectors: tuple[np.ndarray, np.ndarray],
    counts: list[np.ndarray],
    *,
    fdr: float,
) -> dict[str, Any]:
    """One dict a concept, and how many of them moved."""
    unknown = bool(np.isnan(moved.p).any())
    q = np.full(len(moved.p), np.nan) if unknown else discoveries(moved.p)
    value = np.sqrt(np.maximum(moved.squared if not unknown else _length(vectors), 0)) / unit
    order = np.argsort(-(value if unknown else moved.low / unit + 1e-6 * value), kind="stable")
    kept, near = geometry.kept_neighbours(*vectors), [_nearest(side) for side in vectors]
    name = lambda row: a.book.taxonomy[found.ids[row]].name
    return {
        "moved": None if unknown else int((q <= fdr).sum()),
        "concepts": [
            {
                "id": found.ids[row],
                "name": name(row),
                "moved": float(value[row]),
                "low": float(moved.low[row] / unit),
                "high": float(moved.high[row] / unit),
                "p": float(moved.p[row]),
                "q": float(q[row]),
                "contexts": [int(count[row]) for count in counts],
                "kept_neighbours": float(kept[row]),
                "nearest": [[name(other) for other in side[row]] for side in near],
            }
            for row in order.tolist()
        ],
    }


def _length(vectors: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Squared, of what differs, where nothing is known of the noise; widths agree only in the same place."""
    one, other = vectors
    if one.shape != other.shape:
        return np.full(len(one), np.nan)
    return ((one - other) ** 2).sum(1)


def _nearest(rows: np.ndarray) -> Int[np.ndarray, "concept k"]:
    """The nearest by cosine, nearest first."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(min=1e-30)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    return np.argsort(-cosine, axis=1)[:, :NAMED]


def _traces(side: Side, rows: Int[np.ndarray, " concept"], scale: np.ndarray) -> np.ndarray:
    """T of each concept in standardised units; the average concept's where it has one context."""
    variance = side.book.variance(side.site).double().numpy()[rows]
    trace = (variance / scale**2).sum(1)
    return np.where(np.isnan(trace), np.nanmean(trace) if (~np.isnan(trace)).any() else len(scale), trace)


def _effects(a: Side, b: Side) -> list[dict[str, np.ndarray]]:
    """The effects of templates on either side: the same ones in the same place."""
    if same_place(a, b):
        return [pooled([a.book, b.book], a.site)] * 2
    return [pooled([side.book], side.site) for side in (a, b)]


def _noise(trace: np.ndarray, count: np.ndarray) -> np.ndarray:
    return trace / np.maximum(count, 1)


def _typical(count: np.ndarray, vectors: np.ndarray, trace: np.ndarray) -> float | None:
    """Mean over concepts of their squared distance from the average one, without what noise adds."""
    square = np.nanmean(debiased_square(count, vectors, trace, centred=True)) if (count > 1).any() else np.nan
    return float(square) if square > 0 else None


def _stretch(one: np.ndarray, other: np.ndarray) -> float:
    """s of the rotation from the other side to this one."""
    turned = geometry.rotation(one, other)
    return float(np.linalg.norm(turned) / np.sqrt(min(turned.shape)))


def _shared(a: Encyclopedia, b: Encyclopedia) -> Int[np.ndarray, " concept"]:
    """Of each concept of `a`, how many contexts of the role fit are known to `b` too, to the letter."""
    theirs = np.concatenate([_fit_contexts(b, number)[1] for number in range(len(b.shards))])
    found = np.zeros(len(a.taxonomy), np.int64)
    for number in range(len(a.shards)):
        concept, uid = _fit_contexts(a, number)
        np.add.at(found, concept[np.isin(uid, theirs)], 1)
    return found


def _fit_contexts(book: Encyclopedia, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the concepts of one shard's contexts, and the contexts' names in bits."""
    table = book.table(number)
    fit = table["role"] == ROLES.index("fit")
    return table["concept"][fit].astype(np.int64) + number * book.block_size, table["uid"][fit]


def _layers(a: Encyclopedia, b: Encyclopedia, found: Matched) -> dict[str, Any] | None:
    """CKA of every site of one with every site of the other; None where both have a single one."""
    if max(len(a.sites), len(b.sites)) == 1:
        return None
    rows = [side[:LAYERS_MOST] for side in found.rows]
    of = lambda book, chosen: [geometry.centred(book.mean(site).numpy()[chosen]) for site in book.sites]
    one, other = of(a, rows[0]), of(b, rows[1])
    table = [[geometry.cka(mine, theirs) for theirs in other] for mine in one]
    return {"first": a.sites, "second": b.sites, "cka": table, "concepts": len(rows[0])}
