"""Sets of concepts that hold the true one with a probability that was chosen, whatever the interpreter.

Adaptive prediction sets: concepts in falling order of probability, until their mass is enough. With
    a(x, c) = sum of p over concepts likelier than c + u p(c),   u uniform in [0, 1) per row,
and t the ceil((n + 1)(1 - miss))-th smallest a(x, true) of n calibration rows, the set {c: a(x, c) <= t}
holds the truth with probability at least 1 - miss on rows that are exchangeable with those.
Rows of unlike templates are not: therefore the halves of tune are of different templates, and the coverage
on test is measured, never assumed.
Source: Romano, Sesia & Candes 2020, arXiv:2006.02544.
"""

import math
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from hsae.errors import UserError
from hsae.interpreters.base import BATCH, Interpreter, Rows
from hsae.seeding import stream


def halves(tune: Rows, *, seed: int) -> tuple[Rows, Rows]:
    """Two halves that share no template: one to fit a temperature on, one to calibrate sets on.

    Raises UserError where tune has one template only.
    """
    templates = tune.template.unique()
    if len(templates) < 2:
        raise UserError(
            f"tune is halved by template, and its {len(tune.concept):,} rows are of {len(templates)}.\n"
            "Ask for more contexts: stage=templates"
        )
    order = torch.randperm(len(templates), generator=stream(seed, "halves of tune"))
    first = torch.isin(tune.template, templates[order[: len(templates) // 2]])
    return tune.chosen(first), tune.chosen(~first)


@torch.no_grad()
def threshold(
    interpreter: Interpreter, calibration: Rows, *, miss: float, seed: int, batch: int = BATCH
) -> float:
    """t; infinite, so that every set is everything, where fewer than 1 / miss - 1 rows cannot promise
    more."""
    mass = []
    for part, u in _with_u(calibration, seed, "conformal calibration", batch):
        p = interpreter.log_posterior(part.x).double().exp()
        mass.append(_mass_of(p, part.concept.to(p.device), u.to(p.device)).cpu())
    all_mass = torch.cat(mass).sort().values
    rank = math.ceil((len(all_mass) + 1) * (1 - miss))
    return all_mass[rank - 1].item() if rank <= len(all_mass) else math.inf


@final
class Sets(NamedTuple):
    """The sets of some rows, so that intervals can resample templates or concepts."""

    covered: Bool[np.ndarray, " row"]
    """The true concept is in the set."""
    size: Int64[np.ndarray, " row"]
    """Concepts in the set; may be 0."""


@torch.no_grad()
def sets(interpreter: Interpreter, rows: Rows, *, t: float, seed: int, batch: int = BATCH) -> Sets:
    """Coverage and size for every row."""
    covered, size = [], []
    for part, u in _with_u(rows, seed, "conformal sets", batch):
        p = interpreter.log_posterior(part.x).double().exp()
        u = u.to(p.device)
        covered.append((_mass_of(p, part.concept.to(p.device), u) <= t).cpu())
        falling = p.sort(dim=1, descending=True).values
        before = falling.cumsum(1) - falling
        size.append(((before + u[:, None] * falling) <= t).sum(1).cpu())
    return Sets(torch.cat(covered).numpy(), torch.cat(size).numpy())


def _with_u(rows: Rows, seed: int, purpose: str, batch: int):
    """Batches, and the random number of each row, whatever the size of a batch."""
    u = torch.rand(len(rows.concept), dtype=torch.float64, generator=stream(seed, purpose))
    return zip(rows.batches(batch), u.split(batch), strict=True)


def _mass_of(
    p: Float[Tensor, "row concept"], concept: Int64[Tensor, " row"], u: Float64[Tensor, " row"]
) -> Float64[Tensor, " row"]:
    """a(x, c)"""
    own = p.gather(1, concept[:, None])
    return torch.where(p > own, p, 0.0).sum(1) + u * own.squeeze(1)
