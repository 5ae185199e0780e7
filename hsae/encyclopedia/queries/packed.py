"""An encyclopedia in its smallest form: one prototype a concept, with its name and its parents.

Beside what `hsae.encyclopedia.queries.prototypes` writes lie names.txt.gz and parents.txt.gz, a line for each
row: the concept's name, and the rows of its parents, the main one first. What the rounding costs is measured
by the nearest prototype of held-out rows, the same rows at each precision.
"""

import gzip
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool

from hsae.concepts import Concept, Taxonomy
from hsae.encyclopedia.encyclopedia import Encyclopedia
from hsae.encyclopedia.queries.prototypes import IDS, TENSORS, Dtype, Prototypes
from hsae.journal import whole
from hsae.stats import Interval, cluster_mean

NAMES, PARENTS = "names.txt.gz", "parents.txt.gz"
PRECISIONS: tuple[Dtype, ...] = ("float32", "float16", "int8")
BATCH = 2048
"""Rows that are compared with all prototypes at once."""


@final
class Cost(NamedTuple):
    """Share of held-out rows whose nearest prototype is their own concept's, and what was lost of it."""

    accuracy: Interval
    lost: Interval
    """Against float32, row by row; both intervals are over concepts."""
    rows: int


def packed(
    book: Encyclopedia, site: str, *, pooling: str | None, dtype: Dtype, shrinkage: float | None
) -> Prototypes:
    """Prototypes of all concepts that have a mean of the role fit; `shrinkage=None`: not whitened."""
    within = None if shrinkage is None else book.covariance(site, pooling=pooling)
    return Prototypes.of(
        book.mean(site, pooling=pooling),
        within,
        ids=[concept.id for concept in book.taxonomy],
        shrinkage=shrinkage or 0.0,
        dtype=dtype,
        model=book.model,
        site=site,
    )


def write_words(prototypes: Prototypes, taxonomy: Taxonomy, folder: Path) -> None:
    """Names and parents of the prototypes' concepts. Where a parent has no prototype, its own parents stand
    for it."""
    names = [taxonomy.concepts[taxonomy.index[id]].name for id in prototypes.ids]
    parents = [",".join(map(str, _above(id, prototypes, taxonomy))) for id in prototypes.ids]
    for file, lines in ((NAMES, names), (PARENTS, parents)):
        with whole(folder / file) as draft:
            draft.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))


def read_words(prototypes: Prototypes, folder: Path) -> Taxonomy:
    """The taxonomy of the prototypes: ids, names and parents, and nothing else of a concept."""
    names, parents = (
        gzip.decompress((folder / file).read_bytes()).decode().split("\n") for file in (NAMES, PARENTS)
    )
    ids, concepts = prototypes.ids, list[Concept]()
    for id, name, above in zip(ids, names, parents, strict=True):
        rows = [int(row) for row in above.split(",") if row]
        depth = concepts[rows[0]].depth + 1 if rows else 0
        parents_of = tuple(ids[row] for row in rows)
        concepts.append(Concept(id=id, name=name, pos="", parents=parents_of, depth=depth))
    return Taxonomy(concepts)


def _above(id: str, prototypes: Prototypes, taxonomy: Taxonomy) -> list[int]:
    found: dict[int, None] = {}
    todo = list(taxonomy.concepts[taxonomy.index[id]].parents)
    while todo:
        parent = todo.pop(0)
        if parent in prototypes.index:
            found[prototypes.index[parent]] = None
        else:
            todo[:0] = taxonomy.concepts[taxonomy.index[parent]].parents
    return list(found)


def costs(book: Encyclopedia, exact: Prototypes, *, pooling: str | None, seed: int) -> Mapping[Dtype, Cost]:
    """What each precision costs on the raw rows of the role test; nothing where there are none.

    `exact` is in float32.
    """
    rows = book.rows(exact.site, role="test", pooling=pooling)
    own = np.array([exact.index.get(concept.id, -1) for concept in book.taxonomy])[rows.concept]
    x, own = rows.x[own >= 0], own[own >= 0]
    if not len(own):
        return {}
    right: dict[Dtype, np.ndarray] = {
        dtype: np.concatenate(list(_right(exact.rounded(dtype), x, own))) for dtype in PRECISIONS
    }
    return {
        dtype: Cost(
            cluster_mean(found, own, seed=seed),
            cluster_mean(right["float32"] - found.astype(np.float64), own, seed=seed),
            len(own),
        )
        for dtype, found in right.items()
    }


def _right(prototypes: Prototypes, x: np.ndarray, own: np.ndarray) -> Iterator[Bool[np.ndarray, " row"]]:
    for start in range(0, len(own), BATCH):
        part = slice(start, start + BATCH)
        nearest = prototypes.score(torch.from_numpy(x[part])).argmax(1).cpu().numpy()
        yield nearest == own[part]


def sizes(folder: Path, prototypes: Prototypes, files: Sequence[str]) -> dict[str, Any]:
    """Bytes of a pack: of a concept's own, by component, of what all concepts share, and of all together over
    their number."""
    n, every = len(prototypes), {name: (folder / name).stat().st_size for name in files}
    row = prototypes.unit.element_size() * prototypes.d
    own = {"vector": row, "norm": prototypes.norm.element_size()}
    words = {name: round(every[name] / n, 2) for name in (IDS, NAMES, PARENTS)}
    return {
        **own,
        **words,
        "shared": every[TENSORS] - n * sum(own.values()),
        "each": round(sum(own.values()) + sum(words.values()), 1),
        "all": round(sum(every.values()) / n, 1),
    }
