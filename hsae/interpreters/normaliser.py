"""Brings activations to mean 0 and deviation 1 per unit, by the statistics of the role `fit` alone.

Normalising each role by its own statistics, as the historical code did, leaks the test's into its features
and takes away the templates' offset, which an interpreter meets when it is used.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hsae.interpreters.base import Rows


@final
class Normaliser(nn.Module):
    """(x - mean) / std per site and unit; a unit that never varies keeps std 1."""

    mean: Float[Tensor, "site d"]
    std: Float[Tensor, "site d"]

    def __init__(self, *, sites: int, d: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(sites, d))
        self.register_buffer("std", torch.ones(sites, d))

    def forward(self, x: Float[Tensor, "row site d"]) -> Float[Tensor, "row site d"]:
        """Normalised."""
        return (x - self.mean) / self.std

    @torch.no_grad()
    def learn(self, rows: Rows) -> None:
        """Mean and population deviation over all rows: float64 sums, two passes, a batch at a time."""
        n, shape = len(rows.concept), self.mean.shape
        total, squares = (torch.zeros(shape, dtype=torch.float64) for _ in range(2))
        for part in rows.batches():
            total += part.x.double().sum(0).reshape(shape)
        mean = total / n
        for part in rows.batches():
            squares += (part.x.double() - mean.reshape(part.x.shape[1:])).square().sum(0).reshape(shape)
        std = (squares / n).sqrt()
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 1e-6 * mean.abs(), std, 1.0))
