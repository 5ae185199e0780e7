"""Which concepts of a teacher become tops, which become children under them, and in which few dimensions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from hsae.sae.teacher import Teacher

LEAST = 0.1
"""Share of an increment's energy below which a child is not said to be taught."""


@final
class Families(NamedTuple):
    """Rows of a teacher: slot i was given to concept tops[i], its children to children[i]."""

    tops: list[int]
    children: list[list[int]]
    left_out: Mapping[str, int]


def place(parents: Sequence[int], *, tops: int, children: int) -> Families:
    """Concepts with children become tops, those with the most leaves first; leaves become children under
    them.

    A concept inside the tree stands once, as a top with its whole pattern: two levels cannot hold it as a
    child of its own parent too. Leaves without a parent take the slots that remain. Who finds no room is
    counted, by reason.
    """
    inner = {parent for parent in parents if parent >= 0}
    leaves: dict[int, list[int]] = {concept: [] for concept in sorted(inner)}
    loners = []
    for concept, parent in enumerate(parents):
        if concept not in inner:
            (leaves[parent] if parent >= 0 else loners).append(concept)
    ranked = sorted(leaves, key=lambda concept: -len(leaves[concept]))
    taken = (ranked + loners)[:tops]
    homeless = ranked[tops:]
    left_out = Counter(
        {
            "no slot for a concept with children": len(homeless),
            "no slot for the parent": sum(len(leaves[concept]) for concept in homeless),
            "no slot for a concept alone": max(len(ranked) + len(loners) - tops, 0) - len(homeless),
            "more children than a slot has": sum(max(len(leaves.get(c, ())) - children, 0) for c in taken),
        }
    )
    return Families(taken, [leaves.get(concept, [])[:children] for concept in taken], +left_out)


@final
class Increments(NamedTuple):
    """What the children of one top add to it, in the few dimensions that hold most of it.

    Child i writes inside[i] @ axes, and gain[i] * inside[i] @ reading is the filter that reads it as its
    length.
    """

    concepts: list[int]
    axes: Float[Tensor, "rank d"]
    reading: Float[Tensor, "rank d"]
    inside: Float[Tensor, "child rank"]
    gain: Float[Tensor, " child"]
    energy: float
    """Sum of the squared lengths of the increments."""
    left_out: Mapping[str, int]

    @property
    def held(self) -> float:
        """What of the energy lies in the axes."""
        return self.inside.square().sum().item()


def increments(teacher: Teacher, top: int, children: Sequence[int], *, dimensions: int) -> Increments:
    """The increments over `top`, projected on at most `dimensions` axes.

    With increments W = U S V (one row a child) the axes are the first rows of V, and the filters' axes the
    same mixture of the filters R, S^-1 U^T R. As R = W P for a positive definite P, a projected filter still
    reads its own projected increment. A child equal to its parent is left out, and one of which the axes hold
    less than LEAST: its latent would be named after what it does not write.
    """
    write, read = (side[list(children)] - side[top] for side in (teacher.write, teacher.read))
    differs = (write * read).sum(1) > 0
    write, read = write[differs], read[differs]
    U, S, V = torch.linalg.svd(write, full_matrices=False)
    rank = min(dimensions, int((S / S[:1] > 1e-5).sum()))
    axes, reading = V[:rank], (U[:, :rank] / S[:rank]).T @ read
    inside = write @ axes.T
    fits = inside.square().sum(1) >= LEAST * write.square().sum(1)
    kept = torch.tensor(list(children), dtype=torch.long)[differs][fits].tolist()
    energy, inside = write.square().sum().item(), inside[fits]
    gain = inside.norm(dim=1) / ((inside @ reading) * (inside @ axes)).sum(1)
    left_out = {
        "no difference from the parent": int((~differs).sum()),
        "hardly in its parent's subspace": int((~fits).sum()),
    }
    return Increments(kept, axes, reading, inside, gain, energy, left_out)


def beside(axes: Float[Tensor, "rank d"], count: int, generator: torch.Generator) -> Float[Tensor, "count d"]:
    """The axes, filled up to `count` with random directions that are orthogonal to them and to each other."""
    rank, d = axes.shape
    random = torch.randn(count - rank, d, generator=generator)
    basis = torch.linalg.qr(torch.cat([axes, random]).T).Q.T
    return torch.cat([axes, basis[rank:]])
