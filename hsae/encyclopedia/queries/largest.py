"""The largest of many affine scores, for little more than the product itself.

The k largest scores stand in the k groups with the largest maxima, since each of these groups has a score at
least as large as any that is left. So only maxima of groups are gone through for all concepts. The product of
a block of rows is one call, into one buffer: fresh memory for every block would cost half as much as the
product, and pieces that stay in the cache cost more, where threads must meet behind each, than they save.
"""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

GROUP = 32
"""Scores that share a maximum."""

ROWS = 256
"""Rows that go through the matrix together: so many that reading it does not matter."""


@final
class Largest:
    """Finds the k largest of s = x W^T + b in each row."""

    def __init__(self, weights: Float[Tensor, "concept d"], bias: Float[Tensor, " concept"]):
        self.concepts = len(weights)
        # what fills the groups up scores minus infinity, and is never among the largest
        missing = -self.concepts % GROUP
        self._weights = functional.pad(weights, (0, 0, 0, missing))
        self._bias = functional.pad(bias, (0, missing), value=-torch.inf)

    def __call__(
        self, x: Float[Tensor, "row d"], k: int
    ) -> tuple[Float[Tensor, "row k"], Int[Tensor, "row k"]]:
        """Scores, falling, and their concepts; k is at most the number of concepts."""
        buffer = torch.empty(min(ROWS, len(x)), len(self._bias), dtype=x.dtype, device=x.device)
        found = [self._block(some, k, buffer[: len(some)]) for some in x.split(ROWS)]
        return torch.cat([scores for scores, _ in found]), torch.cat([concept for _, concept in found])

    def _block(
        self, x: Float[Tensor, "row d"], k: int, scores: Float[Tensor, "row padded"]
    ) -> tuple[Float[Tensor, "row k"], Int[Tensor, "row k"]]:
        torch.addmm(self._bias, x, self._weights.T, out=scores)
        # a group is every so many-th concept: neighbours in memory are compared side by side
        maxima = scores.unflatten(1, (GROUP, -1)).amax(1)
        if k >= maxima.shape[1]:
            best = scores.topk(k)
            return best.values, best.indices
        first = maxima.topk(k, sorted=False).indices
        steps = maxima.shape[1] * torch.arange(GROUP, device=x.device)
        concept = (first[:, :, None] + steps).flatten(1)
        best = scores.gather(1, concept).topk(k)
        return best.values, concept.gather(1, best.indices)
