"""How surely a concept is found among those it is most easily taken for, in templates it has not seen.

All rows are whitened, so that squared distances count standard deviations. With p_k the mean of concept k and
h the mean of a concept c's contexts from template t, both without that template elsewhere,

    margin(c, k, t) = |h - p_k|^2 - |h - p_c|^2

is how much nearer its own mean it lies. Squared distances to a mean of few contexts are too long by its own
error, T / n; that is taken off, or rarely seen confusers would look far away.
"""

from collections.abc import Iterator
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy import sparse
from scipy.special import stdtrit

NEIGHBOURS = 32


@final
class ConceptMeans(NamedTuple):
    """Means of whitened rows by concept, and T: the expected squared distance of a row from its concept's."""

    count: Int[np.ndarray, " concept"]
    mean: Float[np.ndarray, "concept d"]
    noise: float


def concept_means(
    x: Float[np.ndarray, "row d"], concept: Int[np.ndarray, " row"], *, concepts: int
) -> ConceptMeans:
    """From whitened rows. Raises `ValueError` where no concept has two: their scatter is unknown."""
    count = np.bincount(concept, minlength=concepts)
    mean = _sums(x, concept, concepts) / np.maximum(count, 1)[:, None]
    if (freedom := int(np.maximum(count - 1, 0).sum())) == 0:
        raise ValueError("no concept has two rows")
    mean = mean.astype(x.dtype)
    squares = sum(
        float(_square(x[rows] - mean[concept[rows]]).sum()) for rows in _blocks(np.arange(len(x)), 4096)
    )
    return ConceptMeans(count, mean, squares / freedom)


def nearest_confusers(
    known: ConceptMeans, *, neighbours: int = NEIGHBOURS, block: int = 1024
) -> Int[np.ndarray, "concept neighbour"]:
    """The concepts whose means lie nearest to each concept's, nearest first; -1 where there are fewer.

    Distances are debiased by T / n. One block of concepts against all at a time: memory grows with
    block x concepts.
    """
    concepts = len(known.count)
    empty = known.count == 0
    mean = known.mean - _origin(known)
    square = np.where(empty, np.inf, _square(mean) - known.noise / np.maximum(known.count, 1))
    kept = min(neighbours, concepts - 1)
    found = np.full((concepts, neighbours), -1)
    for start in range(0, concepts, block):
        rows = np.arange(start, min(start + block, concepts))
        distance = square.astype(mean.dtype) - 2 * (mean[rows] @ mean.T)
        distance[rows - start, rows] = np.inf
        nearest = np.argpartition(distance, kept - 1, axis=1)[:, :kept] if kept else rows[:, None][:, :0]
        distance = np.take_along_axis(distance, nearest, 1)
        order = np.argsort(distance, axis=1, kind="stable")
        nearest = np.where(np.isfinite(distance), nearest, -1)
        found[rows, :kept] = np.take_along_axis(nearest, order, 1)
    found[empty] = -1
    return found


@final
class Margins(NamedTuple):
    """Per concept; NaN and -inf where fewer than two templates leave nothing to compare."""

    margin: Float[np.ndarray, " concept"]
    """Mean over templates, against the confuser for which it is smallest."""
    lower: Float[np.ndarray, " concept"]
    """Smallest lower confidence bound over confusers."""
    confuser: Int[np.ndarray, " concept"]
    """The confuser with the smallest margin; -1 where there is none."""
    templates: Int[np.ndarray, " concept"]


def retrieval_margins(
    x: Float[np.ndarray, "row d"],
    concept: Int[np.ndarray, " row"],
    template: Int[np.ndarray, " row"],
    confusers: Int[np.ndarray, "concept neighbour"],
    *,
    level: float = 0.95,
    block: int = 256,
) -> Margins:
    """Leave-template-out margins of whitened rows against each concept's confusers.

    Against confuser k, Student's one-sided bound by the spread over the concept's templates (each one draw);
    over confusers the smallest bound, which keeps its level without correction, for the claim is that *all*
    of them are beaten (Berger 1982). A confuser that has no other template than t keeps t. Concepts whose
    confusers are all -1 are passed over, so that a look may judge only those that are due.
    """
    return margin_sums(x, concept, template, confusers, block=block).margins(level)


@final
class MarginSums(NamedTuple):
    """Sums over templates of margins against each confuser: what bounds of every level follow from."""

    total: Float[np.ndarray, "concept neighbour"]
    squares: Float[np.ndarray, "concept neighbour"]
    used: Float[np.ndarray, "concept neighbour"]
    """Templates."""
    confusers: Int[np.ndarray, "concept neighbour"]

    def margins(self, level: float) -> Margins:
        """The margins with their bounds at a level; see `retrieval_margins`."""
        return _over_templates(*self, level)


def margin_sums(
    x: Float[np.ndarray, "row d"],
    concept: Int[np.ndarray, " row"],
    template: Int[np.ndarray, " row"],
    confusers: Int[np.ndarray, "concept neighbour"],
    *,
    block: int = 256,
) -> MarginSums:
    """The sums behind `retrieval_margins`, a block of cells at a time."""
    concepts = len(confusers)
    own = concept_means(x, concept, concepts=concepts)
    cells = _cells(x, concept, template, own)
    total, squares, used = (np.zeros(confusers.shape) for _ in range(3))
    judged = (cells.others > 0) & np.any(confusers[cells.concept] >= 0, axis=1)
    for here in _blocks(np.flatnonzero(judged), block):
        margin = _cell_margins(cells, own, confusers, here)
        first, last = int(cells.concept[here[0]]), int(cells.concept[here[-1]])
        rows = slice(first, last + 1)  # cells are sorted by concept
        ones = np.ones(len(here)), (cells.concept[here] - first, np.arange(len(here)))
        of = sparse.csr_matrix(ones, shape=(last + 1 - first, len(here)))
        present = np.isfinite(margin)
        margin = np.where(present, margin, 0.0)
        total[rows] += of @ margin
        squares[rows] += of @ margin**2
        used[rows] += of @ present
    return MarginSums(total, squares, used, confusers)


@final
class _Cells(NamedTuple):
    """Rows of one concept and one template, and the concept's mean without them; sorted by concept.

    Means here are from a common origin, so that float32 squares keep their digits.
    """

    concept: Int[np.ndarray, " cell"]
    key: Int[np.ndarray, " cell"]
    template: Int[np.ndarray, " cell"]
    templates: int
    count: Int[np.ndarray, " cell"]
    others: Int[np.ndarray, " cell"]
    candidates: Float[np.ndarray, "candidate d"]
    """The means without each cell, and after them the concepts' whole means."""
    length: Float[np.ndarray, " candidate"]
    """Their debiased squared norms."""


def _cells(
    x: Float[np.ndarray, "row d"],
    concept: Int[np.ndarray, " row"],
    template: Int[np.ndarray, " row"],
    own: ConceptMeans,
) -> _Cells:
    _, code = np.unique(template, return_inverse=True)
    templates = int(code.max()) + 1
    key, cell, count = np.unique(concept * templates + code, return_inverse=True, return_counts=True)
    of = key // templates
    others = own.count[of] - count
    candidates = np.concatenate([_sums(x, cell, len(key)), own.mean])
    without = candidates[: len(key)]
    for here in _blocks(np.arange(len(key)), 4096):
        whole = own.mean[of[here]] * own.count[of[here], None]
        without[here] = (whole - without[here]) / np.maximum(others[here], 1)[:, None]
    candidates -= _origin(own)
    size = np.maximum(np.concatenate([others, own.count]), 1)
    length = _square(candidates) - own.noise / size
    return _Cells(of, key, key % templates, templates, count, others, candidates, length)


def _cell_margins(
    cells: _Cells,
    own: ConceptMeans,
    confusers: Int[np.ndarray, "concept neighbour"],
    here: Int[np.ndarray, " block"],
) -> Float[np.ndarray, "block neighbour"]:
    """margin(c, k, t) of a block of cells against their concepts' confusers; inf where there is none.

    |h - p_k|^2 - |h - p_c|^2 = |p_k|^2 - |p_c|^2 - 2 h . (p_k - p_c)
    """
    concept, rivals = cells.concept[here], confusers[cells.concept[here]]
    key = rivals * cells.templates + cells.template[here, None]
    place = np.minimum(np.searchsorted(cells.key, key), len(cells.key) - 1)
    leave = (cells.key[place] == key) & (cells.others[place] > 0)
    place = np.where(leave, place, len(cells.key) + rivals)
    mine = cells.candidates[here]
    whole = cells.candidates[len(cells.key) + concept] * own.count[concept, None]
    h = ((whole - mine * cells.others[here, None]) / cells.count[here, None]).astype(mine.dtype)
    dot = np.matmul(cells.candidates[place], h[:, :, None])[..., 0] - np.einsum("bd,bd->b", h, mine)[:, None]
    margin = cells.length[place] - cells.length[here, None] - 2 * dot
    return np.where(rivals >= 0, margin, np.inf)


def _origin(own: ConceptMeans) -> Float[np.ndarray, " d"]:
    return (own.count @ own.mean / own.count.sum()).astype(own.mean.dtype)


def _over_templates(
    total: Float[np.ndarray, "concept neighbour"],
    squares: Float[np.ndarray, "concept neighbour"],
    used: Float[np.ndarray, "concept neighbour"],
    confusers: Int[np.ndarray, "concept neighbour"],
    level: float,
) -> Margins:
    enough = used > 1
    n = np.maximum(used, 2)
    mean = total / n
    spread = np.sqrt(np.maximum(squares - n * mean**2, 0) / (n - 1))
    bound = np.where(enough, mean - stdtrit(n - 1, level) * spread / np.sqrt(n), np.inf)
    mean = np.where(enough, mean, np.inf)
    worst, some = mean.argmin(1), enough.any(1)
    rows = np.arange(len(mean))
    return Margins(
        margin=np.where(some, mean[rows, worst], np.nan),
        lower=np.where(some, bound.min(1), -np.inf),
        confuser=np.where(some, confusers[rows, worst], -1),
        templates=used.max(1, initial=0).astype(np.int64),
    )


def _sums(
    x: Float[np.ndarray, "row d"], group: Int[np.ndarray, " row"], groups: int
) -> Float[np.ndarray, "group d"]:
    # in the rows' own precision: in float64 all of them would take twice their memory
    ones = np.ones(len(x), dtype=x.dtype)
    return sparse.csr_matrix((ones, (group, np.arange(len(x)))), shape=(groups, len(x))) @ x


def _square(x: Shaped[np.ndarray, "*row d"]) -> Float[np.ndarray, "*row"]:
    return np.einsum("...d,...d->...", x, x, dtype=np.float64)


def _blocks(rows: Int[np.ndarray, " row"], size: int) -> Iterator[Int[np.ndarray, " block"]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
