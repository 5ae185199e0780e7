"""The concept whose mean lies nearest: what every other interpreter has to beat.

    cosine   s(c) = cos(x - b, mean_c - b)
    euclid   s(c) = -|x - mean_c|^2 / (2 v)         v: the variance within concepts, per unit

b is the mean over concepts. The temperature is fitted on tune, for a cosine has no scale of its own.
"""

from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from hsae.concepts import Taxonomy
from hsae.config import Part
from hsae.interpreters.classes import Classes
from hsae.interpreters.closed_form import ClosedForm


class Settings(Part):
    """Which mean is near."""

    name: Literal["nearest_mean"]
    metric: Literal["cosine", "euclid"]


@final
class NearestMean(ClosedForm):
    """One mean per concept, all sites side by side: one matrix product per row."""

    center: Float[Tensor, " width"]
    mean: Float[Tensor, "concept width"]
    offset: Float[Tensor, " concept"]

    def __init__(self, settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int):
        super().__init__(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
        self.metric = settings.metric
        self.register_buffer("center", torch.zeros(self.width))
        self.register_buffer("mean", torch.zeros(self.concepts, self.width))
        self.register_buffer("offset", torch.zeros(self.concepts))

    def scores(self, x: Float[Tensor, "row site d"]) -> Float[Tensor, "row concept"]:
        """Cosines, or euclid's s up to a term that all concepts share."""
        centred = x.flatten(1) - self.center
        centred = normalize(centred, dim=1) if self.metric == "cosine" else centred
        return self.masked(centred @ self.mean.T - self.offset)

    @torch.no_grad()
    def learn(self, known: Classes) -> None:
        """From an encyclopedia's statistics alone."""
        centred = known.mean - known.center
        if self.metric == "cosine":
            self.mean.copy_(normalize(centred, dim=1))
        else:
            variance = known.within.diagonal().mean()
            self.mean.copy_(centred / variance)
            self.offset.copy_(centred.square().sum(1) / (2 * variance))
        self.center.copy_(known.center)
        self.seen.copy_(known.count > 0)


def build(settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int) -> NearestMean:
    """Without means yet."""
    return NearestMean(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
