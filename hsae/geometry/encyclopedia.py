"""Concept vectors from activations: means over contexts, read through the spread within concepts (LDA).

    center = mean over concepts of mu_c;   write_c = mu_c - center;   metric = S_within^-1

so that read_c . (x - center) is Fisher's linear discriminant of c against the average concept. Source: Fisher
1936; Park et al. 2024, arXiv:2406.01506, do the same with the covariance of the unembedding.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from hsae.geometry.patterns import Patterns, relative_shrinkage
from hsae.geometry.settings import Teaching


class Settings(Teaching):
    """Vectors of the encyclopedia of `stage`."""

    name: Literal["encyclopedia"]


def estimate(
    mean: Float[Tensor, "concept d"],
    within: Float64[Tensor, "d d"],
    *,
    parents: Sequence[int],
    names: Sequence[str],
    shrinkage: float,
) -> Patterns:
    """Patterns from the concepts' means and their pooled covariance within concepts."""
    center = mean.mean(0)
    metric = torch.linalg.inv(relative_shrinkage(within, shrinkage))
    return Patterns(
        write=mean - center,
        metric=((metric + metric.T) / 2).float(),
        parents=torch.tensor(list(parents)),
        names=tuple(names),
        center=center,
    )
