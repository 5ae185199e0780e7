"""A concept that was never fitted on is registered by the mean of n of its contexts, and told from all.

Activations are whitened by what the seen concepts alone say: z = (x - b) W V, with W^-2 their covariance
within concepts and V the axes along which their means spread, by variances t (those of the noise in the
means taken away). With p_c the mean of concept c's n_c registered rows, the scores are

    cosine       cos(z, p_c)
    predictive   log N(z; a p_c, v),  a = n_c t / (1 + n_c t),  v = 1 + t / (1 + n_c t)    along each axis

The second is Bayes' rule where concepts are Gaussian: it knows that a mean of one context is less sure than
a mean of eight, where a distance to the bare mean favours whoever has many contexts.
Source: Ioffe 2006, "Probabilistic Linear Discriminant Analysis"; prototypes: Snell et al. 2017.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor
from torch.nn.functional import normalize

from hsae.encyclopedia.whitening import whitener
from hsae.errors import UserError
from hsae.interpreters.base import BATCH, Rows
from hsae.interpreters.classes import Classes
from hsae.seeding import stream

SCORES = ("predictive", "cosine")
"""How rows are told apart."""


@final
class Space(NamedTuple):
    """Where contexts of one concept scatter equally in all directions."""

    center: Float32[Tensor, " width"]
    map: Float32[Tensor, "width axis"]
    spread: Float32[Tensor, " axis"]
    """t: variance of concepts' true means along each axis, in variances within concepts."""

    def of(self, x: Float32[Tensor, "row *site d"]) -> Float32[Tensor, "row axis"]:
        """z"""
        return (x.flatten(1) - self.center) @ self.map


@final
class Registered(NamedTuple):
    """The means of all concepts that are told apart, and how many contexts each is of."""

    mean: Float32[Tensor, "concept axis"]
    n: Int64[Tensor, " concept"]


def learned(known: Classes) -> Space:
    """The space of the concepts that there are rows of. Raises UserError where they do not vary."""
    seen = known.count > 0
    if known.freedom < 1 or not known.within.diagonal().sum() > 0:
        raise UserError(
            f"the {int(seen.sum()):,} concepts seen have one context each to fit by: no covariance.\n"
            "Give them more: stage=templates"
        )
    white = torch.from_numpy(whitener(known.within.numpy(), freedom=known.freedom))
    means = (known.mean[seen] - known.center) @ white
    noise = (1 / known.count[seen].double()).mean()
    between = means.T @ means / max(1, len(means) - 1) - noise * torch.eye(len(white), dtype=torch.float64)
    spread, axes = torch.linalg.eigh(between)
    return Space(known.center.float(), (white @ axes).float(), spread.clamp(min=0).float())


def plain(x: Float32[Tensor, "row *site d"]) -> Space:
    """Centred on the rows and nothing else: for what does not vary within concepts, such as their letters."""
    flat = x.flatten(1)
    return Space(flat.mean(0), torch.eye(flat.shape[1]), torch.ones(flat.shape[1]))


def places(concept: Int64[Tensor, " row"], *, seed: int, draw: int) -> Int64[Tensor, " row"]:
    """Of each row, its place (from 0) among its concept's rows in the order of this draw: the first n of a
    concept are the rows at places below n, so that more contexts are always the fewer ones and others."""
    shuffled = torch.randperm(len(concept), generator=stream(seed, f"registered contexts {draw}"))
    order = shuffled[concept[shuffled].argsort(stable=True)]
    count = torch.bincount(concept)
    found = torch.empty_like(concept)
    found[order] = torch.arange(len(concept)) - (count.cumsum(0) - count)[concept[order]]
    return found


def registered(
    z: Float32[Tensor, "row axis"], concept: Int64[Tensor, " row"], *, concepts: int
) -> Registered:
    """Means of rows in the space; a concept without any has n = 0."""
    n = torch.bincount(concept, minlength=concepts)
    mean = torch.zeros(concepts, z.shape[1]).index_add_(0, concept, z)
    return Registered(mean / n.clamp(min=1)[:, None], n)


def scores(
    space: Space, known: Registered, z: Float32[Tensor, "row axis"], kind: str
) -> Float32[Tensor, "row concept"]:
    """Cosine or predictive log density, up to a term of the row; -inf for a concept without a context."""
    if kind == "cosine":
        found = normalize(z, dim=1) @ normalize(known.mean, dim=1).T
    else:
        n = known.n[:, None].float()
        mean = known.mean * (n * space.spread / (1 + n * space.spread))
        variance = 1 + space.spread / (1 + n * space.spread)
        constant = (mean.square() / variance + variance.log()).sum(1)
        found = z @ (mean / variance).T - (z.square() @ (1 / variance).T + constant) / 2
    return found.masked_fill(known.n == 0, -torch.inf)


@final
class Named(NamedTuple):
    """What the rows of test were taken for at one n, in one draw, by one score."""

    shots: int
    draw: int
    score: str
    of_all: Int64[np.ndarray, " row"]
    of_held_out: Int64[np.ndarray, " row"]
    """The best of the concepts that were held out alone."""


@torch.no_grad()
def register(
    fit: Rows,
    test: Rows,
    seen: Bool[np.ndarray, " concept"],
    *,
    space: Space,
    kinds: Sequence[str] = SCORES,
    shots: Sequence[int],
    draws: int,
    seed: int,
) -> Iterator[Named]:
    """Registers all concepts that are not seen by n of their rows of `fit`, and names the rows of `test`."""
    concepts, old = len(seen), torch.from_numpy(seen)
    z, asked = space.of(fit.x), space.of(test.x)
    for draw in range(draws):
        place = places(fit.concept, seed=seed, draw=draw)
        for n in shots:
            kept = old[fit.concept] | (place < n)
            means = registered(z[kept], fit.concept[kept], concepts=concepts)
            for kind in kinds:
                yield Named(n, draw, kind, *_named(space, means, asked, old, kind))


def _named(
    space: Space,
    means: Registered,
    asked: Float32[Tensor, "row axis"],
    seen: Bool[Tensor, " concept"],
    kind: str,
) -> tuple[Int64[np.ndarray, " row"], Int64[np.ndarray, " row"]]:
    """The best of all concepts, and the best of those not seen."""
    best, best_new = [], []
    for part in asked.split(BATCH):
        found = scores(space, means, part, kind)
        best.append(found.argmax(1))
        best_new.append(found.masked_fill(seen, -torch.inf).argmax(1))
    return torch.cat(best).numpy(), torch.cat(best_new).numpy()
