"""How high the right concept stands among all when an activation is asked what it is of.

Of each row the rank of its concept: 1 + those with a higher score, where t concepts share the score any of
their t places being as likely. Numbers are means over a concept's rows, then over concepts, so that every
concept counts alike; intervals resample concepts, and beside them whole groups of kin, which are fewer and
the honest unit for concepts of another kind.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64, Shaped
from torch import Tensor

from hsae import json_file
from hsae.interpreters.base import BATCH, Interpreter
from hsae.interpreters.unseen.kin import Tree
from hsae.seeding import numpy_stream, stream
from hsae.stats import Interval, cluster_bootstrap, cluster_mean, cluster_sums

FILE = "retrieval.json"
DEEP = (1, 5, 10)
"""Recall is told within so many answers."""


@final
class Found(NamedTuple):
    """Of each row, how many concepts score higher than its own, how many the same (itself among them), and
    the best."""

    above: Int64[np.ndarray, " row"]
    ties: Int64[np.ndarray, " row"]
    best: Int64[np.ndarray, " row"]

    def within(self, k: int) -> Float64[np.ndarray, " row"]:
        """Probability that the right concept is among the first k."""
        return np.clip((k - self.above) / self.ties, 0.0, 1.0)

    @property
    def reciprocal(self) -> Float64[np.ndarray, " row"]:
        """Expected 1 / rank."""
        harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, (self.above + self.ties).max() + 1))])
        return (harmonic[self.above + self.ties] - harmonic[self.above]) / self.ties

    @property
    def rank(self) -> Float64[np.ndarray, " row"]:
        """Expected rank."""
        return self.above + (self.ties + 1) / 2


@torch.no_grad()
def find(
    scores: Iterable[Float[Tensor, "_batch concept"]],
    concept: Int64[Tensor, " row"],
    *,
    among: Bool[np.ndarray, " concept"] | None = None,
    seed: int,
) -> Found:
    """The ranks of rows' own concepts by scores that come a batch at a time; `among` leaves some concepts
    only. Of several best concepts one is drawn."""
    out = None if among is None else torch.from_numpy(~among)
    g = stream(seed, "ties of retrieval")
    above, ties, best, start = [], [], [], 0
    for batch in scores:
        part = batch.cpu() if out is None else batch.cpu().masked_fill(out, -torch.inf)
        own = part.gather(1, concept[start : start + len(part), None])
        start += len(part)
        above.append((part > own).sum(1))
        ties.append((part == own).sum(1))
        first = part == part.amax(1, keepdim=True)
        best.append((first * torch.rand(part.shape, generator=g)).argmax(1))
    return Found(*(torch.cat(column).numpy() for column in (above, ties, best)))


def answers(
    interpreter: Interpreter, x: Float[Tensor, "row *site d"], *, batch: int = BATCH
) -> Iterable[Float[Tensor, "_batch concept"]]:
    """log p(concept | x), a batch at a time."""
    return (interpreter.log_posterior(part) for part in x.split(batch))


def of_concepts(
    values: Shaped[np.ndarray, " row"],
    concept: Int64[np.ndarray, " row"],
    statistic: Callable[[np.ndarray], float] = np.mean,
) -> tuple[Int64[np.ndarray, " concept"], Float64[np.ndarray, " concept"]]:
    """The concepts that have rows, and one number of each."""
    order = np.argsort(concept, kind="stable")
    ids, starts = np.unique(concept[order], return_index=True)
    parts = np.split(np.asarray(values, np.float64)[order], starts[1:])
    return ids, np.array([statistic(part) for part in parts])


def mean(
    values: Shaped[np.ndarray, " row"],
    concept: Int64[np.ndarray, " row"],
    group: Int64[np.ndarray, " concept"],
    *,
    chance: float,
    seed: int,
) -> dict[str, Any]:
    """Mean over concepts with both intervals, beside chance."""
    ids, own = of_concepts(values, concept)
    return told(cluster_mean(own, ids, seed=seed), cluster_mean(own, group[ids], seed=seed), chance)


def told(over: Interval, groups: Interval, chance: float) -> dict[str, Any]:
    """For JSON, which knows no infinity: an unknown end is None."""
    known = lambda v: float(v) if np.isfinite(v) else None
    return {
        "value": over.value,
        "low": known(over.low),
        "high": known(over.high),
        "n": over.n,
        "chance": float(chance),
        "groups": {"low": known(groups.low), "high": known(groups.high), "n": groups.n},
    }


def judged(
    found: Found,
    concept: Int64[np.ndarray, " row"],
    *,
    tree: Tree,
    group: Int64[np.ndarray, " concept"],
    candidates: int,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Every score of some rows. `r@k`, `mrr`: recall and mean reciprocal rank; `median_rank` over concepts of
    a concept's own median; `hypernym_correct`: the best is the concept or an ancestor of it;
    `tree_distance`: edges from the best to it."""
    place = np.arange(1, candidates + 1)
    ids = np.unique(concept)
    known = {"group": group, "seed": seed}
    scores = {
        f"r@{k}": mean(found.within(k), concept, chance=min(1.0, k / candidates), **known) for k in DEEP
    }
    scores["mrr"] = mean(found.reciprocal, concept, chance=(1 / place).mean(), **known)
    scores["median_rank"] = _median(found.rank, concept, group, chance=(candidates + 1) / 2, seed=seed)
    scores["hypernym_correct"] = mean(
        tree.holds(found.best, concept),
        concept,
        chance=((tree.depth[ids] + 1) / len(tree.depth)).mean(),
        **known,
    )
    scores["tree_distance"] = mean(
        tree.distance(found.best, concept), concept, chance=tree.expected_distance(ids).mean(), **known
    )
    return scores


def _median(
    rank: Float64[np.ndarray, " row"],
    concept: Int64[np.ndarray, " row"],
    group: Int64[np.ndarray, " concept"],
    *,
    chance: float,
    seed: int,
) -> dict[str, Any]:
    ids, own = of_concepts(rank, concept, np.median)
    over, groups = (_median_interval(own, clusters, seed) for clusters in (ids, group[ids]))
    return told(over, groups, chance)


def _median_interval(
    own: Float64[np.ndarray, " concept"], clusters: Int64[np.ndarray, " concept"], seed: int
) -> Interval:
    """Percentiles of medians over whole clusters drawn with replacement."""
    names, place = np.unique(clusters, return_inverse=True)
    if len(names) < 2:
        return Interval(float(np.median(own)), -np.inf, np.inf, len(names))
    members = np.split(np.argsort(place, kind="stable"), np.cumsum(np.bincount(place))[:-1])
    rng = numpy_stream(seed, "bootstrap of a median")
    drawn = [
        np.median(own[np.concatenate([members[i] for i in rng.integers(len(names), size=len(names))])])
        for _ in range(1000)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(np.median(own)), float(low), float(high), len(names))


def harmonic(
    seen: tuple[Shaped[np.ndarray, " row"], Int64[np.ndarray, " row"]],
    unseen: tuple[Shaped[np.ndarray, " other"], Int64[np.ndarray, " other"]],
    *,
    candidates: int,
    seed: int,
) -> dict[str, Any]:
    """H = 2 s u / (s + u) of the accuracies on seen and on unseen concepts, each with all as candidates.

    Each side is values and concepts of its rows; concepts of both are drawn together. Source: Xian et al.
    2019, "Zero-Shot Learning - A Comprehensive Evaluation".
    """
    sides = [of_concepts(*side) for side in (seen, unseen)]
    columns = np.zeros((sum(len(ids) for ids, _ in sides), 4))
    border = len(sides[0][0])
    for side, part in enumerate((slice(0, border), slice(border, None))):
        columns[part, 2 * side], columns[part, 2 * side + 1] = sides[side][1], 1
    sums = cluster_sums(columns, np.concatenate([ids for ids, _ in sides]))
    found = cluster_bootstrap(sums, _h, seed=seed)
    chance = 1 / candidates
    return told(found, found, chance) | {
        "seen": float(sides[0][1].mean()),
        "unseen": float(sides[1][1].mean()),
    }


def _h(totals: np.ndarray) -> np.ndarray:
    s, u = totals[..., 0] / totals[..., 1], totals[..., 2] / totals[..., 3]
    return np.where(s + u > 0, 2 * s * u / np.where(s + u > 0, s + u, 1), 0.0)


def load(folder: Path) -> dict[str, Any]:
    """What `job=retrieve` found: the split, zero-shot retrieval beside its nulls, the curve of n shots."""
    return json_file.read(Path(folder) / FILE)
