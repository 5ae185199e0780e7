"""Does the geometry of concept vectors follow the taxonomy? Claims, each beside its null.

Vectors are taken in whitened coordinates. The vector m of a child's family is estimated without the child:
the mean over the parent and all below it, but the child and what is below that. So nothing is near because it
is inside, which alone makes "a child's increment is orthogonal to its parent" true of any data.
"""

from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from hsae.geometry.settings import Claims
from hsae.seeding import numpy_stream
from hsae.stats import Interval, Verdict, cluster_bootstrap, cluster_mean, cluster_sums, judge

MOST = 4_000
"""Children that are asked about; of more, a random choice."""


@final
class Kinship(NamedTuple):
    """The children that are asked about, and for each the families that it might have been born into."""

    below: sparse.csr_matrix
    """[concept concept]: 1 where the second is the first or stands under it."""
    child: Int[np.ndarray, " child"]
    parent: Int[np.ndarray, " child"]
    rivals: list[Int[np.ndarray, " rival"]]
    """Parents at the depth of the child's own, apart from that one."""


def kinship(parents: Sequence[int], names: Sequence[str], *, seed: int) -> Kinship:
    """Children whose family has two other members or more, and whose name shares no word with any of them.

    "hunting dog" is near "dog" by its letters already, so such children are not asked about.
    """
    above = [_ancestors(parents, row) for row in range(len(parents))]
    below = _below(above)
    size = np.asarray(below.sum(1)).ravel()
    asked = [
        row
        for row, parent in enumerate(parents)
        if parent >= 0 and size[parent] - size[row] >= 2 and not _shares_a_word(row, parent, names, below)
    ]
    if len(asked) > MOST:
        asked = sorted(numpy_stream(seed, "children asked about").choice(asked, MOST, replace=False).tolist())
    depth = np.array([len(line) for line in above])
    houses = np.unique([parent for parent in parents if parent >= 0]).astype(np.int64)
    rivals = {row: houses[(depth[houses] == depth[parents[row]]) & (houses != parents[row])] for row in asked}
    child = np.array([row for row in asked if len(rivals[row])], dtype=np.int64)
    return Kinship(below, child, np.asarray(parents)[child], [rivals[row] for row in child.tolist()])


def _ancestors(parents: Sequence[int], row: int) -> list[int]:
    line = []
    while (row := parents[row]) >= 0:
        line.append(row)
    return line


def _below(above: Sequence[Sequence[int]]) -> sparse.csr_matrix:
    pairs = np.array([(old, row) for row, line in enumerate(above) for old in (row, *line)], dtype=np.int64)
    return sparse.csr_matrix((np.ones(len(pairs)), tuple(pairs.T)), shape=(len(above), len(above)))


def _shares_a_word(row: int, parent: int, names: Sequence[str], below: sparse.csr_matrix) -> bool:
    own, family = (below.indices[below.indptr[one] : below.indptr[one + 1]].tolist() for one in (row, parent))
    return any(_words(names[row]) & _words(names[int(other)]) for other in set(family) - set(own))


def _words(name: str) -> set[str]:
    return set(name.lower().replace("-", " ").replace("_", " ").split())


@final
class Measured(NamedTuple):
    """Per child, with v its vector and m its family's."""

    nearer: Float[np.ndarray, " child"]
    """Share of the rivals that are less near than the child's own family: an AUROC, chance 0.5."""
    overlap: Float[np.ndarray, " child"]
    """v . m"""
    square: Float[np.ndarray, " child"]
    """m . m"""
    increment: Float[np.ndarray, " child"]
    """|cos(v - m, m)|"""


def measure(vectors: Float[np.ndarray, "concept d"], kin: Kinship) -> Measured:
    """All statistics of all children; every family is estimated from these very vectors."""
    v = vectors.astype(np.float64)
    total, size = kin.below @ v, np.asarray(kin.below.sum(1)).ravel()
    family = (total[kin.parent] - total[kin.child]) / (size[kin.parent] - size[kin.child])[:, None]
    own, houses = v[kin.child], _unit(total)
    to_own = (_unit(own) * _unit(family)).sum(1)
    nearer = np.empty(len(own))
    for at, options in enumerate(kin.rivals):
        near = houses[options] @ _unit(own[at : at + 1])[0]
        nearer[at] = ((near < to_own[at]) + (near == to_own[at]) / 2).mean()
    increment = np.abs((_unit(own - family) * _unit(family)).sum(1))
    return Measured(nearer, (own * family).sum(1), (family * family).sum(1), increment)


def _unit(rows: Float[np.ndarray, "row d"]) -> Float[np.ndarray, "row d"]:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def verdicts(
    vectors: Float[np.ndarray, "concept d"],
    words: Float[np.ndarray, "concept d"],
    kin: Kinship,
    claims: Claims,
    *,
    seed: int,
) -> list[Verdict]:
    """Four claims on whitened concept vectors; `words` are the token embeddings of the concepts' names.

    The null gives every concept another's vector and estimates everything again. Intervals resample parents,
    at a level that is corrected for the number of claims.
    """
    real, lexical = measure(vectors, kin), measure(words, kin)
    rng = numpy_stream(seed, "shuffled concept vectors")
    shuffled = [measure(vectors[rng.permutation(len(vectors))], kin) for _ in range(claims.permutations)]
    level = 1 - claims.alpha / 4
    mean = lambda values: cluster_mean(values, kin.parent, seed=seed, level=level)
    sums = cluster_sums(np.stack([real.overlap, real.square], 1), kin.parent)
    return [
        judge(
            "a child lies nearer its own family than another",
            "share of other families that are less near",
            mean(real.nearer),
            threshold=claims.nearer,
            null=_null([one.nearer.mean() for one in shuffled]),
            unit="parents",
        ),
        judge(
            "it does so beyond what the words' own tokens say",
            "the same share, minus that of token embeddings",
            mean(real.nearer - lexical.nearer),
            threshold=claims.beyond_words,
            null=_null([(one.nearer - lexical.nearer).mean() for one in shuffled]),
            unit="parents",
        ),
        judge(
            "a child holds its family's pattern",
            "sum of v . m over sum of m . m",
            cluster_bootstrap(sums, seed=seed, level=level),
            threshold=claims.whole,
            null=_null([one.overlap.sum() / one.square.sum() for one in shuffled]),
            unit="parents",
        ),
        judge(
            "what a child adds is orthogonal to its family",
            "mean |cos(v - m, m)|",
            mean(real.increment),
            threshold=claims.orthogonal,
            null=_null([one.increment.mean() for one in shuffled]),
            unit="parents",
            above=False,
        ),
    ]


def _null(draws: Sequence[float]) -> Interval:
    return Interval(float(np.mean(draws)), float(min(draws)), float(max(draws)), len(draws))
