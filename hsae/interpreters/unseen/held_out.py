"""Splits concepts so that none that is judged has a parent, a child, a sibling or a word among those seen.

A group is a subtree below `depth` together with all that shares a word with it, transitively. Whole groups
are held out. Concepts above `depth` belong to no group and are always seen, and so what touches them is
neither seen nor judged: the root of a subtree, whose parent is seen, or a concept whose word stands above.
Such concepts are the border; they may still be named as an answer.
"""

from typing import Any, NamedTuple, final

import numpy as np
from jaxtyping import Bool, Int, Int64
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from hsae.concepts import Concept, Taxonomy
from hsae.errors import UserError
from hsae.seeding import numpy_stream

LEAST = 0.5
"""Share of what was asked to be held out that whole groups must come to."""


@final
class Kinship(NamedTuple):
    """Whatever makes two concepts too close to stand on both sides of a split."""

    depth: Int64[np.ndarray, " concept"]
    """Length of the main path to a root."""
    parents: Int64[np.ndarray, "edge 2"]
    """A concept and one of its parents."""
    words: Int64[np.ndarray, "edge 2"]
    """A concept and the number of a word that it goes by."""


@final
class HeldOut(NamedTuple):
    """Of each concept, which part of the split it is in: one of the first three."""

    seen: Bool[np.ndarray, " concept"]
    judged: Bool[np.ndarray, " concept"]
    border: Bool[np.ndarray, " concept"]
    group: Int64[np.ndarray, " concept"]
    """Numbers from 0, -1 above `depth`."""
    depth: int

    def told(self, taxonomy: Taxonomy) -> dict[str, Any]:
        """Sizes of the split and the ids of what is judged, ready for JSON, for whoever doubts it."""
        sizes = np.bincount(self.group[self.group >= 0])
        return {
            "depth": self.depth,
            "concepts": len(taxonomy),
            "seen": int(self.seen.sum()),
            "judged": int(self.judged.sum()),
            "border": int(self.border.sum()),
            "held_out_share": float((~self.seen).mean()),
            "groups": len(sizes),
            "groups_held_out": len(np.unique(self.group[~self.seen])),
            "largest_group": int(sizes.max()),
            "median_group": float(np.median(sizes)),
            "judged_ids": [one.id for one, asked in zip(taxonomy, self.judged, strict=True) if asked],
        }


def kinship(taxonomy: Taxonomy) -> Kinship:
    """Parents (every one, not only the main one) and words of a taxonomy."""
    depth = np.zeros(len(taxonomy), np.int64)
    number: dict[str, int] = {}
    parents, holders = [], []
    for row, concept in enumerate(taxonomy):
        above = [taxonomy.index[parent] for parent in concept.parents]
        depth[row] = depth[above[0]] + 1 if above else 0  # a parent stands before its children
        parents += [(row, parent) for parent in above]
        holders += [(row, number.setdefault(word, len(number))) for word in words(concept)]
    table = lambda pairs: np.array(pairs, np.int64).reshape(-1, 2)
    return Kinship(depth, table(parents), table(holders))


def words(concept: Concept) -> list[str]:
    """The strings by which a concept goes, each once, without case; `_` and a space are one."""
    return sorted({word.lower().replace("_", " ").strip() for word in (concept.name, *concept.lemmas)})


def groups(kin: Kinship, *, depth: int) -> Int64[np.ndarray, " concept"]:
    """The group of each concept, -1 above `depth`: joined are parent and child, and concepts with a word in
    common, as far as both lie at `depth` or deeper."""
    n, deep = len(kin.depth), kin.depth >= depth
    edges = np.concatenate([kin.parents[deep[kin.parents].all(1)], kin.words[deep[kin.words[:, 0]]] + [0, n]])
    nodes = int(edges.max(initial=n - 1)) + 1
    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(nodes, nodes))
    label = connected_components(graph, directed=False)[1][:n]
    found = np.full(n, -1, np.int64)
    found[deep] = np.unique(label[deep], return_inverse=True)[1]
    return found


def hold_out(taxonomy: Taxonomy, *, depth: int | None, share: float, seed: int) -> HeldOut:
    """Whole groups, drawn by the seed, until no other fits into `share` of all concepts. Without a depth, the
    one that leaves most to be judged; the roots themselves (0) only where none below them leaves enough.

    Raises UserError where whole groups do not come to half of the share, with a depth at which they do.
    """
    kin = kinship(taxonomy)
    found = _best(kin, share, seed) if depth is None else _at(kin, depth, share, seed)
    if not _enough(found, share):
        raise UserError(_swallowed(found, _best(kin, share, seed), share))
    return found


def _best(kin: Kinship, share: float, seed: int) -> HeldOut:
    tried = [_at(kin, depth, share, seed) for depth in range(int(kin.depth.max()) + 1)]
    below = [split for split in tried[1:] if _enough(split, share)]
    return max(below or tried, key=lambda split: split.judged.sum())


def _enough(split: HeldOut, share: float) -> bool:
    return bool(split.judged.any() and (~split.seen).sum() >= LEAST * share * len(split.seen))


def _at(kin: Kinship, depth: int, share: float, seed: int) -> HeldOut:
    group = groups(kin, depth=depth)
    sizes = np.bincount(group[group >= 0])
    out = np.isin(group, _drawn(sizes, share * len(group), seed))
    border = out & _touching(kin, ~out)
    return HeldOut(~out, out & ~border, border, group, depth)


def _drawn(sizes: Int[np.ndarray, " group"], room: float, seed: int) -> Int64[np.ndarray, " chosen"]:
    """Groups in an order of the seed, each taken if it still fits."""
    chosen, left = [], room
    for number in numpy_stream(seed, "held-out concepts").permutation(len(sizes)):
        size = int(sizes[number])
        if size <= left:
            chosen.append(number)
            left -= size
    return np.array(chosen, np.int64)


def _touching(kin: Kinship, seen: Bool[np.ndarray, " concept"]) -> Bool[np.ndarray, " concept"]:
    """Concepts with a parent, a child, a sibling (by any parent) or a word among the seen ones."""
    child, parent = kin.parents.T
    touching = np.zeros(len(seen), bool)
    touching[child[seen[parent]]] = True
    touching[parent[seen[child]]] = True
    for member, family in ((child, parent), kin.words.T):
        met = np.bincount(family, weights=seen[member]) > 0
        touching[member[met[family]]] = True
    return touching


def _swallowed(found: HeldOut, best: HeldOut, share: float) -> str:
    n, sizes = len(found.group), np.bincount(found.group[found.group >= 0])
    cure = (
        f"job.depth={best.depth} leaves {best.judged.sum():,} to be judged; null chooses that one."
        if _enough(best, share)
        else "No depth leaves groups that are small enough: hold out more (job.share=0.5), or take concepts "
        "whose words differ more."
    )
    return (
        f"at job.depth={found.depth} the {n:,} concepts form {len(sizes):,} groups, the largest of "
        f"{int(sizes.max(initial=0)):,}, and whole groups that fit into job.share={share:g} do not come to "
        f"half of it.\n{cure}"
    )
