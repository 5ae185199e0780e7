"""All that is known of some concepts: statistics at every site and pooling, raw rows of some, the contexts.

    contexts/...                              the table of contexts
    sites/<site>/<pooling>/<role>/mean, m2    float32 [concept d]; absent where no concept has a context (m2:
                                              two contexts) of the role
    sites/<site>/<pooling>/scatter            float64 [d d], of the role `fit`
    sites/<site>/<pooling>/effects/mean       float32 [template d], over all contexts of the block
    sites/<site>/<pooling>/sample/...         unit rows float16 [row d], their norms, the context of each

Means and m2 rest in float32: rounding them is 6e-8 of their size, a thousandth of the standard error that
even 10,000 contexts would leave; sums and merges run in float64.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, final

import numpy as np
from jaxtyping import Float16, Float32, Int, Int64, Shaped

from hsae.encyclopedia.contexts_table import ContextTable
from hsae.encyclopedia.statistics import ROLES, Members, Moments, Statistics

Key = tuple[str, str]
"""Site and pooling."""


@final
class Sample(NamedTuple):
    """Raw rows of some contexts: x = norm * unit."""

    unit: Float16[np.ndarray, "row d"]
    norm: Float32[np.ndarray, " row"]
    context: Int[np.ndarray, " row"]
    """Row in the table of contexts."""

    @classmethod
    def of(cls, x: Shaped[np.ndarray, "row d"], context: Int[np.ndarray, " row"]) -> "Sample":
        norm = np.linalg.norm(x.astype(np.float64), axis=1)
        unit = x / np.maximum(norm, np.finfo(np.float32).tiny)[:, None]
        return cls(unit.astype(np.float16), norm.astype(np.float32), context.astype(np.int32))

    @property
    def x(self) -> Float32[np.ndarray, "row d"]:
        """The rows themselves, rounded to half precision."""
        return self.unit.astype(np.float32) * self.norm[:, None]


@final
class Place(NamedTuple):
    """What is known at one site with one pooling."""

    statistics: Statistics
    """By concept x role, the role running fastest."""
    effects: Moments
    """By template, in the order of the table's names; their m2 is not kept on disk."""
    sample: Sample


@final
class Block:
    """What is known of the concepts in `rows` (their rows in the taxonomy, ascending)."""

    def __init__(self, rows: Int[np.ndarray, " concept"], table: ContextTable, places: Mapping[Key, Place]):
        self.rows, self.table, self.places = rows.astype(np.int64), table, dict(places)

    @classmethod
    def of(
        cls,
        rows: Int[np.ndarray, " concept"],
        table: ContextTable,
        vectors: Mapping[Key, Shaped[np.ndarray, "context d"]],
        *,
        sample: int,
    ) -> "Block":
        """The block of these contexts, of which vectors were gathered; at most `sample` raw rows are kept of
        each concept and role."""
        concept, role = table["concept"].astype(np.int64), table["role"].astype(np.int64)
        kept = _lowest(concept * len(ROLES) + role, table["uid"], sample)
        members = Members(concept * len(ROLES) + role, groups=len(rows) * len(ROLES))
        alike = Members(table["template"].astype(np.int64), groups=len(table.names["template"]))
        return cls(
            rows,
            table,
            {
                key: Place(
                    Statistics.of_members(x, members),
                    _effects(x, alike),
                    Sample.of(x[kept], kept),
                )
                for key, x in vectors.items()
            },
        )

    @property
    def count(self) -> Int64[np.ndarray, "concept role"]:
        """Contexts of each concept in each role."""
        first = next(iter(self.places.values()))
        return first.statistics.moments.count.reshape(-1, len(ROLES))

    def merge(self, other: "Block", *, sample: int) -> "Block":
        """Both together. The other's concepts are some of this block's."""
        place = np.searchsorted(self.rows, other.rows)
        table = self.table.followed_by(other.table, place)
        return Block(
            self.rows,
            table,
            {
                key: Place(
                    mine.statistics.merge(_spread(other.places[key].statistics, place, len(self.rows))),
                    _together(self.table, mine.effects, other.table, other.places[key].effects, table),
                    _sampled(mine.sample, other.places[key].sample, len(self.table), table, sample),
                )
                for key, mine in self.places.items()
            },
        )

    def write(self, group: Any) -> None:
        """Into a group of an HDF5 file."""
        group["rows"] = self.rows
        group["count"] = self.count
        self.table.write(group.create_group("contexts"))
        for (site, pooling), place in self.places.items():
            _write_place(group.create_group(f"sites/{site}/{pooling}"), place)

    @classmethod
    def read(cls, group: Any) -> "Block":
        """What `write` wrote."""
        count = group["count"][()]
        places = {
            (site, pooling): _read_place(node, count)
            for site, poolings in group["sites"].items()
            for pooling, node in poolings.items()
        }
        return cls(group["rows"][()], ContextTable.read(group["contexts"]), places)


def _effects(x: Shaped[np.ndarray, "context d"], alike: Members) -> Moments:
    """Means by template. Their m2, which is not kept, is not computed."""
    mean = alike.mean(x.astype(np.float64))
    return Moments(alike.count, mean, np.zeros_like(mean))


def _lowest(
    group: Int[np.ndarray, " row"], uid: Shaped[np.ndarray, " row"], most: int
) -> Int[np.ndarray, " kept"]:
    """The rows with the lowest uid of each group, at most so many, ascending: a sample that does not depend
    on the order in which contexts came."""
    order = np.lexsort((uid, group))
    sorted_group = group[order]
    first = np.searchsorted(sorted_group, sorted_group)  # where each row's group begins
    return np.sort(order[np.arange(len(order)) - first < most])


def _spread(statistics: Statistics, place: Int[np.ndarray, " concept"], concepts: int) -> Statistics:
    """The statistics of some concepts as those of a whole block."""
    groups = (place[:, None] * len(ROLES) + np.arange(len(ROLES))).reshape(-1)
    return Statistics(statistics.moments.placed(groups, concepts * len(ROLES)), statistics.scatter)


def _together(
    mine: ContextTable, effects: Moments, theirs: ContextTable, others: Moments, both: ContextTable
) -> Moments:
    """Means by template of two blocks, in the order of the names of both."""
    names = both.names["template"]
    first = aligned(effects, mine.names["template"], names)
    return first.merge(aligned(others, theirs.names["template"], names))


def aligned(moments: Moments, names: Sequence[str], wanted: Sequence[str]) -> Moments:
    """Moments of named groups, in a longer order of names. Both are sorted."""
    place = np.searchsorted(wanted, names) if len(names) else np.zeros(0, np.int64)
    return moments.placed(place, len(wanted))


def _sampled(mine: Sample, theirs: Sample, before: int, table: ContextTable, most: int) -> Sample:
    context = np.concatenate([mine.context, theirs.context + before])
    group = table["concept"][context].astype(np.int64) * len(ROLES) + table["role"][context]
    kept = _lowest(group, table["uid"][context], most)
    unit, norm = (np.concatenate(pair)[kept] for pair in zip(mine[:2], theirs[:2], strict=True))
    return Sample(unit, norm, context[kept])


def _write_place(group: Any, place: Place) -> None:
    moments = place.statistics.moments
    shape = (-1, len(ROLES), moments.mean.shape[1])
    count, mean, m2 = moments.count.reshape(shape[:2]), moments.mean.reshape(shape), moments.m2.reshape(shape)
    for number, role in enumerate(ROLES):
        if count[:, number].any():
            group[f"{role}/mean"] = mean[:, number].astype(np.float32)
        if (count[:, number] > 1).any():
            group[f"{role}/m2"] = m2[:, number].astype(np.float32)
    group["scatter"] = place.statistics.scatter
    group["effects/count"] = place.effects.count
    group["effects/mean"] = place.effects.mean.astype(np.float32)
    for name, column in place.sample._asdict().items():
        group[f"sample/{name}"] = column


def read_moments(group: Any, count: Int[np.ndarray, "concept role"]) -> Moments:
    """The moments by concept x role out of the group of a site and pooling."""
    d = group["effects/mean"].shape[1]
    mean, m2 = (np.zeros((*count.shape, d)) for _ in range(2))
    for number, role in enumerate(ROLES):
        for name, whole in (("mean", mean), ("m2", m2)):
            if f"{role}/{name}" in group:
                whole[:, number] = group[f"{role}/{name}"][()]
    return Moments(count.reshape(-1), mean.reshape(-1, d), m2.reshape(-1, d))


def _read_place(group: Any, count: Int[np.ndarray, "concept role"]) -> Place:
    effects = group["effects/mean"][()].astype(np.float64)
    return Place(
        Statistics(read_moments(group, count), group["scatter"][()]),
        Moments(group["effects/count"][()], effects, np.zeros_like(effects)),
        Sample(*(group[f"sample/{name}"][()] for name in Sample._fields)),
    )
