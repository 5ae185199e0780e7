"""Gaussian concepts with one covariance: the best there is where that is true.

    log p(c | x) = w_c . x - w_c . mean_c / 2 + const,    w_c = S^-1 mean_c,
    S = (1 - a) W + a tr(W) / width I

W is the covariance within concepts, pooled, so that what templates add to an activation is noise that S
divides out. Every concept is as likely as any other before it is looked at: the number of its contexts was
our choice.
Source: Fisher 1936; a by Chen et al. 2010, "Shrinkage Algorithms for MMSE Covariance Estimation" (OAS).
"""

from typing import Annotated, ClassVar, Literal, final

import torch
from jaxtyping import Float, Float64
from pydantic import Field
from torch import Tensor

from hsae.concepts import Taxonomy
from hsae.config import Part
from hsae.errors import UserError
from hsae.interpreters.classes import Classes
from hsae.interpreters.closed_form import ClosedForm


class Settings(Part):
    """How far the covariance is trusted."""

    name: Literal["lda"]
    shrinkage: Annotated[float, Field(ge=0, le=1)] | None
    """a: share of the covariance that is replaced by its mean variance; null takes OAS' estimate."""


@final
class LDA(ClosedForm):
    """w and its offset per concept, all sites side by side: one matrix product per row."""

    scaled: ClassVar[bool] = True

    center: Float[Tensor, " width"]
    weight: Float[Tensor, "concept width"]
    offset: Float[Tensor, " concept"]
    shrinkage: Float[Tensor, ""]

    def __init__(self, settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int):
        super().__init__(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
        self.asked = settings.shrinkage
        self.register_buffer("center", torch.zeros(self.width))
        self.register_buffer("weight", torch.zeros(self.concepts, self.width))
        self.register_buffer("offset", torch.zeros(self.concepts))
        self.register_buffer("shrinkage", torch.zeros(()))

    def scores(self, x: Float[Tensor, "row site d"]) -> Float[Tensor, "row concept"]:
        """log p(c | x) up to a term that all concepts share."""
        return self.masked((x.flatten(1) - self.center) @ self.weight.T - self.offset)

    @torch.no_grad()
    def learn(self, known: Classes) -> None:
        """From an encyclopedia's statistics alone. Raises UserError where nothing varies within concepts."""
        if known.freedom < 1 or not known.within.diagonal().sum() > 0:
            raise UserError(
                f"{int(known.count.sum()):,} rows of {int((known.count > 0).sum()):,} concepts do not vary "
                "within concepts: there is no covariance.\n"
                "Give concepts several contexts: stage=templates, or take interpreter=nearest_mean"
            )
        share = oas(known.within, known.freedom) if self.asked is None else self.asked
        covariance = shrunk(known.within, share)
        factor, problem = torch.linalg.cholesky_ex(covariance)
        if problem:
            raise UserError(
                f"the covariance within concepts has no inverse at interpreter.shrinkage={share:g}.\n"
                "Set it higher, or null."
            )
        centred = known.mean - known.center
        weight = torch.cholesky_solve(centred.T, factor).T
        self.weight.copy_(weight)
        self.offset.copy_((weight * centred).sum(1) / 2)
        self.center.copy_(known.center)
        self.seen.copy_(known.count > 0)
        self.shrinkage.fill_(share)


def shrunk(covariance: Float64[Tensor, "d d"], share: float) -> Float64[Tensor, "d d"]:
    """(1 - share) W + share tr(W) / d I"""
    mean_variance = covariance.diagonal().mean()
    return (1 - share) * covariance + share * mean_variance * torch.eye(
        len(covariance), dtype=torch.float64, device=covariance.device
    )


def oas(covariance: Float64[Tensor, "d d"], n: int) -> float:
    """The share that loses least for Gaussian rows, from W and its n degrees of freedom alone.

    ((1 - 2/d) tr(W^2) + tr(W)^2) / ((n + 1 - 2/d) (tr(W^2) - tr(W)^2 / d)), at most 1.
    """
    d = len(covariance)
    squares, square = covariance.square().sum().item(), covariance.trace().item() ** 2
    above = (1 - 2 / d) * squares + square
    below = (n + 1 - 2 / d) * (squares - square / d)
    return min(1.0, above / below) if below > 0 else 1.0


def build(settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int) -> LDA:
    """Without means yet."""
    return LDA(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
