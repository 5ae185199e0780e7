"""The largest of many affine scores, for little more than the product itself.

The k largest scores stand in the k groups with the largest maxima, since each of these groups has a score at
least as large as any that is left. So only maxima of groups are gone through for all concepts. On a CPU the
product is made in pieces whose scores are still in the cache when their maxima are taken, into one buffer:
fresh memory for every block of rows would cost half as much as the product.
"""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

GROUP = 32
"""Scores that share a maximum."""

PIECE = 2048
"""Concepts at once on a CPU, at most: 2 MB of scores for ROWS rows."""

ROWS = 256
"""Rows that go through the matrix together: so many that reading it does not matter."""


@final
class Largest:
    """Finds the k largest of s = x W^T + b in each row."""

    def __init__(self, weights: Float[Tensor, "concept d"], bias: Float[Tensor, " concept"]):
        self.concepts = len(weights)
        pieces = -(-self.concepts // PIECE) if weights.device.type == "cpu" else 1
        size = -(-self.concepts // (pieces * GROUP)) * GROUP
        missing = pieces * size - self.concepts
        # pieces of one size: what fills the last one up scores minus infinity, and is never among the largest
        self._weights = functional.pad(weights, (0, 0, 0, missing)).unflatten(0, (-1, size))
        self._bias = functional.pad(bias, (0, missing), value=-torch.inf).unflatten(0, (-1, size))

    def __call__(
        self, x: Float[Tensor, "row d"], k: int
    ) -> tuple[Float[Tensor, "row k"], Int[Tensor, "row k"]]:
        """Scores, falling, and their concepts; k is at most the number of concepts."""
        pieces, size = self._bias.shape
        buffer = torch.empty(pieces, min(ROWS, len(x)), size, dtype=x.dtype, device=x.device)
        found = [self._block(some, k, buffer) for some in x.split(ROWS)]
        return torch.cat([scores for scores, _ in found]), torch.cat([concept for _, concept in found])

    def _block(
        self, x: Float[Tensor, "row d"], k: int, buffer: Float[Tensor, "piece most size"]
    ) -> tuple[Float[Tensor, "row k"], Int[Tensor, "row k"]]:
        buffer = buffer.flatten()[: len(x) * self._bias.numel()].view(len(self._bias), len(x), -1)
        maxima = []
        for weights, bias, scores in zip(self._weights, self._bias, buffer, strict=True):
            torch.addmm(bias, x, weights.T, out=scores)
            # a group is every so many-th concept: neighbours in memory are compared side by side
            maxima.append(scores.unflatten(1, (GROUP, -1)).amax(1))
        groups = torch.cat(maxima, 1)
        if k >= groups.shape[1]:
            best = buffer.transpose(0, 1).flatten(1).topk(k)
            return best.values, best.indices
        concept = self._members(groups.topk(k, sorted=False).indices)
        piece, place = concept // buffer.shape[2], concept % buffer.shape[2]
        row = torch.arange(len(x), device=x.device)[:, None]
        best = buffer[piece, row, place].topk(k)
        return best.values, concept.gather(1, best.indices)

    def _members(self, groups: Int[Tensor, "row k"]) -> Int[Tensor, "row member"]:
        """The concepts of groups that are numbered piece after piece."""
        size = self._bias.shape[1]
        step = size // GROUP
        first = groups // step * size + groups % step
        return (first[:, :, None] + step * torch.arange(GROUP, device=groups.device)).flatten(1)
