"""Does the geometry of concept vectors follow the taxonomy? Each claim beside the same estimate on shuffled
vectors.

Vectors are taken in whitened coordinates. The vector of a child's family is estimated without the child: m is
the mean over the parent and everything below it but the child and what is below that. So nothing is near
because it is inside.
"""

from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from hsae.seeding import numpy_stream
from hsae.stats import Interval, Verdict, cluster_bootstrap, cluster_mean, cluster_sums, judge

PERMUTATIONS = 20
MOST = 4_000  # children looked at; of more, a random choice
NEARER, ORTHOGONAL, WHOLE, BEYOND_WORDS = 0.6, 0.2, 0.5, 0.02


@final
class Kinship(NamedTuple):
    """The children that are asked about, and for each the parents that it might have had."""

    below: sparse.csr_matrix
    """[concept concept]: 1 where the second is the first or stands under it."""
    child: Int[np.ndarray, " child"]
    parent: Int[np.ndarray, " child"]
    rivals: list[Int[np.ndarray, " rival"]]
    """Concepts with children of their own, as deep as the parent, that neither hold the child nor stand under
    it.
    """


def kinship(parents: Sequence[int], names: Sequence[str], *, seed: int) -> Kinship:
    """Children whose family has at least two other members, and whose name shares no word with parent or
    siblings.

    "hunting dog" is near "dog" by its letters already; such children are left out.
    """
    above = [_ancestors(parents, row) for row in range(len(parents))]
    pairs = [(old, row) for row, line in enumerate(above) for old in (row, *line)]
    into, of = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    below = sparse.csr_matrix((np.ones(len(pairs)), (into, of)), shape=(len(parents), len(parents)))
    size = np.asarray(below.sum(1)).ravel()
    words = [set(name.lower().replace("-", " ").split()) for name in names]
    siblings: dict[int, list[int]] = {}
    for row, parent in enumerate(parents):
        siblings.setdefault(parent, []).append(row)
    said = lambda row: set().union(
        words[parents[row]], *(words[s] for s in siblings[parents[row]] if s != row)
    )
    asked = [
        row
        for row, parent in enumerate(parents)
        if parent >= 0 and size[parent] - size[row] >= 2 and not words[row] & said(row)
    ]
    if len(asked) > MOST:
        asked = sorted(numpy_stream(seed, "children asked about").choice(asked, MOST, replace=False).tolist())
    depth = np.array([len(line) for line in above])
    houses = np.array([row for row in siblings if row >= 0], dtype=np.int64)
    rivals = []
    for row in asked:
        level = houses[depth[houses] == depth[parents[row]]]
        barred = {row, *above[row]}
        rivals.append(
            np.array([r for r in level.tolist() if r not in barred and row not in above[r]], dtype=np.int64)
        )
    keep = [at for at, options in enumerate(rivals) if len(options)]
    child = np.array([asked[at] for at in keep], dtype=np.int64)
    return Kinship(below, child, np.asarray(parents)[child], [rivals[at] for at in keep])


def _ancestors(parents: Sequence[int], row: int) -> list[int]:
    line = []
    while (row := parents[row]) >= 0:
        line.append(row)
    return line


@final
class Measured(NamedTuple):
    """Per child."""

    nearer: Float[np.ndarray, " child"]
    """Share of the rivals that are less near than the parent's family: an AUROC, chance 0.5."""
    overlap: Float[np.ndarray, " child"]
    """v . m"""
    square: Float[np.ndarray, " child"]
    """m . m"""
    increment: Float[np.ndarray, " child"]
    """|cos(v - m, m)|"""


def measure(vectors: Float[np.ndarray, "concept d"], kin: Kinship) -> Measured:
    """All statistics of all children; families are estimated from these very vectors."""
    v = vectors.astype(np.float64)
    total, size = kin.below @ v, np.asarray(kin.below.sum(1)).ravel()
    family = (total[kin.parent] - total[kin.child]) / (size[kin.parent] - size[kin.child])[:, None]
    own, houses = v[kin.child], _unit(total)
    to_parent = (_unit(own) * _unit(family)).sum(1)
    nearer = np.empty(len(own))
    for at, options in enumerate(kin.rivals):
        near = houses[options] @ _unit(own[at : at + 1])[0]
        nearer[at] = ((near < to_parent[at]) + (near == to_parent[at]) / 2).mean()
    increment = np.abs((_unit(own - family) * _unit(family)).sum(1))
    return Measured(nearer, (own * family).sum(1), (family * family).sum(1), increment)


def _unit(rows: Float[np.ndarray, "row d"]) -> Float[np.ndarray, "row d"]:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def verdicts(
    vectors: Float[np.ndarray, "concept d"],
    words: Float[np.ndarray, "concept d"],
    kin: Kinship,
    *,
    seed: int,
    alpha: float = 0.05,
) -> list[Verdict]:
    """Four claims on whitened concept vectors; `words` are the token embeddings of the concepts' names.

    The null of the first three gives every concept another's vector and estimates everything again. Intervals
    resample parents; their level is corrected for four claims.
    """
    level = 1 - alpha / 4
    real, clusters = measure(vectors, kin), kin.parent
    rng = numpy_stream(seed, "shuffled concept vectors")
    shuffled = [measure(vectors[rng.permutation(len(vectors))], kin) for _ in range(PERMUTATIONS)]
    mean = lambda values: cluster_mean(values, clusters, seed=seed, level=level)
    null = lambda values: _null([float(value) for value in values])
    lexical = measure(words, kin)
    return [
        judge(
            "a child lies nearer its own family than another",
            "share of other families that are less near",
            mean(real.nearer),
            threshold=NEARER,
            null=null(one.nearer.mean() for one in shuffled),
            unit="parents",
        ),
        judge(
            "it does so beyond what the words' own tokens say",
            "the same share, minus that of token embeddings",
            mean(real.nearer - lexical.nearer),
            threshold=BEYOND_WORDS,
            null=null(one.nearer.mean() - lexical.nearer.mean() for one in shuffled),
            unit="parents",
        ),
        judge(
            "a child holds its family's pattern",
            "sum of v . m over sum of m . m",
            _pooled(real, clusters, seed=seed, level=level),
            threshold=WHOLE,
            null=null(one.overlap.sum() / one.square.sum() for one in shuffled),
            unit="parents",
        ),
        judge(
            "what a child adds is orthogonal to its family",
            "mean |cos(v - m, m)|",
            mean(real.increment),
            threshold=ORTHOGONAL,
            null=null(one.increment.mean() for one in shuffled),
            unit="parents",
            above=False,
        ),
    ]


def _pooled(one: Measured, clusters: Int[np.ndarray, " child"], *, seed: int, level: float) -> Interval:
    sums = cluster_sums(np.stack([one.overlap, one.square], 1), clusters)
    return cluster_bootstrap(sums, seed=seed, level=level)


def _null(draws: Sequence[float]) -> Interval:
    return Interval(float(np.mean(draws)), min(draws), max(draws), len(draws))
