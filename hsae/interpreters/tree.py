"""Probabilities along a taxonomy's main path.

At a concept one either stops, which means the concept itself, or goes on to one of its children:

    p(c) = p(stop | c) * product over c and what stands above it of p(child | parent)

and the roots are children of nobody. So p(c or anything below c) is the product without the stop, and equals
the sum of p over c and its descendants: no child is ever likelier than its parent.
"""

from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hsae.concepts import Taxonomy

NEVER = -1e30
"""A logit that leaves nothing, and whose group may consist of nothing else, which -inf would turn to NaN."""


@final
class Tree(nn.Module):
    """Choices: one "go to c" for every concept c, then one "stop" for every concept that has children."""

    def __init__(self, taxonomy: Taxonomy):
        super().__init__()
        parents = taxonomy.parents
        depth = [0] * len(parents)
        for row, parent in enumerate(parents):
            depth[row] = depth[parent] + 1 if parent >= 0 else 0
        inner = [row for row, children in enumerate(taxonomy.children) if children]
        keep = lambda name, numbers: self.register_buffer(
            name, torch.tensor(numbers, dtype=torch.long), persistent=False
        )
        keep("parents", parents)
        keep("inner", inner)
        # the choice among a concept's children and stopping there; group 0 is the choice among the roots
        keep("group", [parent + 1 for parent in parents] + [row + 1 for row in inner])
        order = sorted(range(len(parents)), key=depth.__getitem__)
        self.levels = [0] * (max(depth) + 1)
        for level in depth:
            self.levels[level] += 1
        keep("order", order)
        keep("rank", [place for place, _ in sorted(enumerate(order), key=lambda pair: pair[1])])

    parents: Tensor
    inner: Tensor
    group: Tensor
    order: Tensor
    rank: Tensor

    @property
    def choices(self) -> int:
        """Logits that it takes."""
        return len(self.group)

    def log_p(
        self, logits: Float[Tensor, "row choice"], seen: Bool[Tensor, " concept"]
    ) -> Float[Tensor, "row concept"]:
        """log p(c), -inf for concepts that were not seen; goes nowhere that leads to none seen."""
        concepts = len(self.parents)
        leads = self.below(seen.double()[None])[0] > 0
        possible = torch.cat([leads, seen[self.inner]])
        conditional = self._log_softmax(logits.masked_fill(~possible, NEVER))
        reached = self._products(conditional[:, :concepts])
        stop = torch.zeros_like(reached).index_copy(1, self.inner, conditional[:, concepts:])
        return (reached + stop).masked_fill(~seen, -torch.inf)

    def below(self, p: Float[Tensor, "row concept"]) -> Float[Tensor, "row concept"]:
        """p(c or anything below c): for any posterior, of any interpreter."""
        summed = p[:, self.order].clone()
        places = self.rank[self.parents.clamp(min=0)][self.order]
        start = p.shape[1]
        for size in reversed(self.levels[1:]):
            start -= size
            level = slice(start, start + size)
            summed.index_add_(1, places[level], summed[:, level].clone())
        return summed[:, self.rank]

    def _log_softmax(self, logits: Float[Tensor, "row choice"]) -> Float[Tensor, "row choice"]:
        """Within each group."""
        shape = (len(logits), len(self.parents) + 1)
        group = self.group.expand_as(logits)
        top = logits.new_full(shape, NEVER).scatter_reduce(1, group, logits.detach(), "amax")
        centred = logits - top[:, self.group]
        total = logits.new_zeros(shape).index_add(1, self.group, centred.exp())
        return centred - total.clamp(min=torch.finfo(total.dtype).tiny).log()[:, self.group]

    def _products(self, conditional: Float[Tensor, "row concept"]) -> Float[Tensor, "row concept"]:
        """Sums of logs from the roots down, level by level."""
        sorted_, parent_place = conditional[:, self.order], self.rank[self.parents.clamp(min=0)][self.order]
        levels, start = [sorted_[:, : self.levels[0]]], self.levels[0]
        for above, size in zip(self.levels, self.levels[1:], strict=False):
            level = slice(start, start + size)
            upper = levels[-1][:, parent_place[level] - (start - above)]
            levels.append(upper + sorted_[:, level])
            start += size
        return torch.cat(levels, 1)[:, self.rank]
