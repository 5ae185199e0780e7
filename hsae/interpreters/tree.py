"""Probabilities along a taxonomy's main path.

At a concept one either stops, which means the concept itself, or goes on to one of its children:

    p(c) = p(stop | c) * product over c and what stands above it of p(child | parent)

and the roots are children of nobody. So p(c or anything below c) is the product without the stop, and equals
the sum of p over c and its descendants: no child is ever likelier than its parent.
"""

from typing import final

import torch
from jaxtyping import Bool, Float, Int64
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
        keep("members", self.group.argsort(stable=True).tolist())
        keep("size", self.group.bincount(minlength=len(parents) + 1).tolist())
        stop = {row: len(parents) + place for place, row in enumerate(inner)}
        paths = [
            [*taxonomy.ancestors(row), row, *([stop[row]] if row in stop else [])]
            for row in range(len(parents))
        ]
        longest = max(map(len, paths))
        keep("paths", [path + [-1] * (longest - len(path)) for path in paths])

    parents: Int64[Tensor, " concept"]
    inner: Int64[Tensor, " inner"]
    group: Int64[Tensor, " choice"]
    order: Int64[Tensor, " concept"]
    """Concepts from the roots down, and `rank` the place of each in it."""
    rank: Int64[Tensor, " concept"]
    members: Int64[Tensor, " choice"]
    """Choices, group after group, and `size` the number in each."""
    size: Int64[Tensor, " group"]
    paths: Int64[Tensor, "concept step"]
    """The choices that lead to a concept, -1 behind the last."""

    @property
    def choices(self) -> int:
        """Logits that it takes."""
        return len(self.group)

    def log_p(
        self, logits: Float[Tensor, "row choice"], seen: Bool[Tensor, " concept"]
    ) -> Float[Tensor, "row concept"]:
        """log p(c), -inf for concepts that were not seen; goes nowhere that leads to none seen."""
        concepts = len(self.parents)
        conditional = self._log_softmax(logits.masked_fill(~self._possible(seen), NEVER))
        reached = self._products(conditional[:, :concepts])
        stop = torch.zeros_like(reached).index_copy(1, self.inner, conditional[:, concepts:])
        return (reached + stop).masked_fill(~seen, -torch.inf)

    def log_p_of(
        self,
        logits: Float[Tensor, "row choice"],
        concept: Int64[Tensor, " row"],
        seen: Bool[Tensor, " concept"],
    ) -> Float[Tensor, " row"]:
        """`log_p` of one concept per row, at the cost of the choices along its path instead of all."""
        taken = self.paths[concept]
        row, step = (taken >= 0).nonzero(as_tuple=True)
        chosen = taken[row, step]
        group = self.group[chosen]
        size = self.size[group]
        fork = torch.arange(len(row), device=row.device).repeat_interleave(size)
        within = torch.arange(len(fork), device=row.device) - (size.cumsum(0) - size)[fork]
        among = self.members[(self.size.cumsum(0) - self.size)[group][fork] + within]
        open_ways = logits[row[fork], among].masked_fill(~self._possible(seen)[among], NEVER)
        top = logits.new_full((len(row),), NEVER).scatter_reduce(0, fork, open_ways.detach(), "amax")
        total = logits.new_zeros(len(row)).index_add(0, fork, (open_ways - top[fork]).exp())
        return logits.new_zeros(len(logits)).index_add(0, row, logits[row, chosen] - top - total.log())

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

    def _possible(self, seen: Bool[Tensor, " concept"]) -> Bool[Tensor, " choice"]:
        """Choices that lead to a concept that was seen."""
        return torch.cat([self.below(seen.double()[None])[0] > 0, seen[self.inner]])

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
