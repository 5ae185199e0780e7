"""The curve of registration: how well held-out concepts are told from all others, by the contexts of each.

Means over concepts; intervals resample concepts and draws of contexts at once. The null swaps what was
registered: each held-out concept is looked for under the contexts of another one.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64, Shaped

from hsae.errors import UserError
from hsae.interpreters.judging.crossed import crossed, macro
from hsae.interpreters.unseen.held_out import HeldOut
from hsae.interpreters.unseen.registration import Named
from hsae.interpreters.unseen.retrieval import of_concepts
from hsae.seeding import numpy_stream
from hsae.stats import Interval, cluster_mean


def with_contexts(
    split: HeldOut, concept: Int64[np.ndarray, " row"], *, most: int
) -> Bool[np.ndarray, " concept"]:
    """The judged concepts with at least `most` rows to be registered by. Raises UserError where none has."""
    rows = np.bincount(concept, minlength=len(split.seen))
    enough = split.judged & (rows >= most)
    if not enough.any():
        raise UserError(
            f"none of {int(split.judged.sum()):,} held-out concepts has {most} raw rows of the role fit; the "
            f"most is {int(rows[split.judged].max(initial=0))}.\n"
            f"Keep more (encyclopedia.sample={most}) in a stage that has them, or ask for less: job.shots"
        )
    return enough


def drawn(concepts: Bool[np.ndarray, " concept"], n: int, *, seed: int) -> Bool[np.ndarray, " concept"]:
    """At most n of them."""
    kept = numpy_stream(seed, "seen concepts asked for").permutation(np.flatnonzero(concepts))[:n]
    return np.isin(np.arange(len(concepts)), kept)


def curve(
    named: Iterable[Named], concept: Int64[np.ndarray, " row"], split: HeldOut, *, seed: int
) -> list[dict[str, Any]]:
    """One entry for each score and number of shots; `concept` is that of each row that was named.

    `accuracy`: held-out concepts among all; `among_held_out`: among these alone; `seen`: rows of seen
    concepts, which the newcomers may take; `harmonic` of the first and the last; `permuted`: the null;
    `draws`: the accuracy in each draw.
    """
    held: dict[tuple[str, int], list[Named]] = {}
    for one in named:
        held.setdefault((one.score, one.shots), []).append(one)
    return [
        {"score": score, "shots": shots, **_point(parts, concept, split, seed)}
        for (score, shots), parts in sorted(
            held.items(), key=lambda item: (item[0][0] == "cosine", item[0][1])
        )
    ]


def _point(
    parts: Sequence[Named], concept: Int64[np.ndarray, " row"], split: HeldOut, seed: int
) -> dict[str, Any]:
    new = ~split.seen[concept]
    left, n = int((~split.seen).sum()), len(split.seen)
    of_all, of_held_out = (
        np.stack([getattr(one, kind) for one in parts]) for kind in ("of_all", "of_held_out")
    )
    right = of_all == concept
    over = lambda values, rows: told(values[:, rows], concept[rows], seed)
    found = {
        "accuracy": over(right, new) | {"chance": 1 / n},
        "among_held_out": over(of_held_out == concept, new) | {"chance": 1 / left},
        "permuted": over(of_all == swapped(concept, split.seen)[None], new),
        "taken_for_seen": over(split.seen[of_all], new) | {"chance": float(split.seen.mean())},
        "seen": over(right, ~new),
        "draws": [float((one[new] * macro(concept[new])).sum() / macro(concept[new]).sum()) for one in right],
    }
    s, u = found["seen"]["value"], found["accuracy"]["value"]
    return found | {"harmonic": 2 * s * u / (s + u) if s + u else 0.0}


def swapped(
    concept: Int64[np.ndarray, " row"], seen: Bool[np.ndarray, " concept"]
) -> Int64[np.ndarray, " row"]:
    """Each held-out concept's next one instead, the last's being the first."""
    ids = np.flatnonzero(~seen)
    other = np.arange(len(seen))
    other[ids] = np.roll(ids, -1)
    return other[concept]


def told(
    values: Shaped[np.ndarray, "draw row"], concept: Int64[np.ndarray, " row"], seed: int
) -> dict[str, Any]:
    """Mean over concepts with an interval over concepts and draws; over concepts alone for a single draw."""
    draws, rows = values.shape
    found: Interval
    if draws > 1:
        which = np.repeat(np.arange(draws), rows)
        weights = np.tile(macro(concept), draws)
        of = crossed(values.ravel(), np.tile(concept, draws), which, weights=weights, seed=seed)
        found = of.interval()
    else:
        ids, own = of_concepts(values[0], concept)
        found = cluster_mean(own, ids, seed=seed)
    known = lambda v: float(v) if np.isfinite(v) else None
    n = len(set(concept.tolist()))
    return {"value": found.value, "low": known(found.low), "high": known(found.high), "n": n}
