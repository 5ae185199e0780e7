"""What a concept is taken for, judged on contexts that its vector knows nothing of.

In whitened coordinates z, with the vectors w of two concepts c and k, a context of c lies on k's side of the
border if |z - w_k| < |z - w_c|. Shares of contexts are means over their templates, and their intervals are
Wilson's of as many trials: two sentences out of one template are hardly two witnesses.
"""

from math import isfinite
from typing import Any, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hsae.encyclopedia.queries.neighbours import row_of
from hsae.encyclopedia.queries.prototypes import Prototypes
from hsae.errors import UserError
from hsae.stats import cluster_sums, paired_difference, wilson


@final
class HeldOut(NamedTuple):
    """Contexts of a concept that its vector knows nothing of (roles tune and test), and what made each."""

    x: Float[Tensor, "row d"]
    template: Int[np.ndarray, " row"]


def share(hits: Tensor, template: Int[np.ndarray, " row"]) -> dict[str, float | int]:
    """Mean over templates of the hits (or shares) of its rows, with Wilson's interval over templates."""
    columns = np.stack([hits.double().cpu().numpy(), np.ones(len(template))], 1)
    sums = cluster_sums(columns, template)
    each = sums[:, 0] / sums[:, 1]
    low, high = wilson(float(each.sum()), len(each))
    return {
        "value": float(each.mean()),
        "low": low,
        "high": high,
        "n": len(template),
        "templates": len(each),
    }


def confusers(prototypes: Prototypes, id: str, *, held_out: HeldOut | None, k: int) -> list[dict[str, Any]]:
    """The k concepts that contexts of `id` are most easily taken for: nearest by |w_c - w_k|, with margins.

        distance   D = |w_c - w_k|, in standard deviations within concepts
        margin     (z - (w_c + w_k) / 2) . (w_c - w_k) / D, the mean over n held-out contexts z with its
                   interval: how far contexts that w_c was not made of lie on c's side of the border
        confusion  Phi(-margin sqrt(n / (n - 1))): the share of them on the other side, without bias if they
                   are Gaussian around their mean with the covariance within (Lieberman & Resnikoff 1955)
        beyond     the share of them that is on the other side, as counted (see `share`)

    Distances between means of few contexts are mostly noise, and the nearest are picked for it: only what was
    held out tells a margin, so without it all but the distance is None. Raises `UserError` for prototypes
    without a whitener, whose distances have no unit.
    """
    if prototypes.whitener is None:
        raise UserError("margins are in units of the spread within concepts: whiten the prototypes.")
    row, w = row_of(prototypes, id), _vectors(prototypes)
    distance = torch.linalg.vector_norm(w - w[row], dim=1)
    distance[row] = torch.inf
    near = distance.topk(min(k, len(prototypes) - 1), largest=False)
    named = [prototypes.ids[other] for other in near.indices.tolist()]
    pairs = list(zip(named, near.values.tolist(), strict=True))
    if held_out is None:
        nothing = {"margin": None, "confusion": None, "beyond": None}
        return [{"id": other, "distance": d, **nothing} for other, d in pairs]
    z, other = _whitened(prototypes, held_out.x), w[near.indices]
    # of every context and confuser, by its distance from the border
    each = ((z[:, None] - (w[row] + other) / 2) * (w[row] - other)).sum(2).double() / near.values
    margin, n = each.mean(0), len(z)
    wider = (n / (n - 1)) ** 0.5 if n > 1 else torch.inf
    mistaken = torch.special.ndtr(-margin * wider)
    return [
        {"id": id, "distance": d, "margin": _margin(each[:, at]), "confusion": float(mistaken[at])}
        | {"beyond": share(each[:, at] < 0, held_out.template)}
        for at, (id, d) in enumerate(pairs)
    ]


def _margin(each: Float[Tensor, " row"]) -> dict[str, float | None]:
    """Mean over contexts with Student's interval; None where a single context leaves its ends unknown."""
    found = paired_difference(each.tolist(), [0.0] * len(each))
    known = lambda end: end if isfinite(end) else None
    return {"value": found.value, "low": known(found.low), "high": known(found.high)}


def found(prototypes: Prototypes, id: str, held_out: HeldOut) -> dict[str, Any]:
    """How the held-out contexts of a concept fare among all prototypes: the share to which its own vector is
    the nearest, the median rank of it, and what the others are nearest to, the commonest first.

    Chance is 1 / concepts.
    """
    row, w = row_of(prototypes, id), _vectors(prototypes)
    z = _whitened(prototypes, held_out.x)
    score = z @ w.T - w.square().sum(1) / 2  # the largest is the nearest
    rank = 1 + (score > score[:, row, None]).sum(1)
    winners = score.argmax(1)[rank > 1]
    taken, times = torch.unique(winners, return_counts=True)
    order = sorted(zip(times.tolist(), taken.tolist(), strict=True), key=lambda pair: (-pair[0], pair[1]))
    return {
        **share(rank == 1, held_out.template),
        "chance": 1 / len(prototypes),
        "rank": float(rank.double().median()),
        "taken_for": [{"id": prototypes.ids[other], "n": n} for n, other in order],
    }


def separation(
    prototypes: Prototypes, id: str, held_out: HeldOut, others: Float[Tensor, "other d"]
) -> dict[str, Any]:
    """AUROC of the score of `id` on its held-out contexts against contexts of other concepts: the chance that
    one of its own scores higher.

    The score is z . w_c - |w_c|^2 / 2, the log odds of c against a concept at the centre; chance is 1/2.
    """
    w = _vectors(prototypes)[row_of(prototypes, id)]
    own, rest = (_whitened(prototypes, x) @ w for x in (held_out.x, others))
    ordered = rest.sort().values
    below = torch.searchsorted(ordered, own, side="left") + torch.searchsorted(ordered, own, side="right")
    return {**share(below / (2 * len(rest)), held_out.template), "others": len(rest)}


def _vectors(prototypes: Prototypes) -> Float[Tensor, "concept d"]:
    """w: with their lengths."""
    return prototypes.rows.float() * prototypes.norm[:, None]


def _whitened(prototypes: Prototypes, x: Float[Tensor, "row d"]) -> Float[Tensor, "row d"]:
    """z."""
    z = x.to(prototypes.center) - prototypes.center
    return z if prototypes.whitener is None else z @ prototypes.whitener
