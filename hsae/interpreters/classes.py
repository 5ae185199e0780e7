"""Sufficient statistics of concepts: what the interpreters in closed form are made of.

An encyclopedia holds them (count, mean, pooled covariance within concepts), so that these need no raw rows.
"""

from typing import NamedTuple, final

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from hsae.interpreters.base import Rows


@final
class Classes(NamedTuple):
    """Of the role `fit`; concepts without rows have count 0 and mean 0."""

    count: Int64[Tensor, " concept"]
    mean: Float64[Tensor, "concept width"]
    within: Float64[Tensor, "width width"]
    """Sum of (x - its concept's mean)(x - its concept's mean)^T, over rows - concepts seen."""

    @property
    def center(self) -> Float64[Tensor, " width"]:
        """Mean over the concepts seen, each counting once however many rows it has."""
        return self.mean[self.count > 0].mean(0)

    @property
    def freedom(self) -> int:
        """Degrees of freedom of `within`."""
        return int(self.count.sum() - (self.count > 0).sum())


@torch.no_grad()
def classes(rows: Rows, *, concepts: int) -> Classes:
    """The statistics of rows, their sites side by side: two passes in float64, a batch at a time."""
    count = torch.bincount(rows.concept, minlength=concepts)
    width = rows.x[0].numel()
    mean = torch.zeros(concepts, width, dtype=torch.float64)
    for part in rows.batches():
        mean.index_add_(0, part.concept, part.x.flatten(1).double())
    mean /= count.clamp(min=1)[:, None]
    scatter = torch.zeros(width, width, dtype=torch.float64)
    for part in rows.batches():
        deviation = part.x.flatten(1).double() - mean[part.concept]
        scatter += deviation.T @ deviation
    freedom = int(count.sum() - (count > 0).sum())
    return Classes(count, mean, scatter / max(freedom, 1))
