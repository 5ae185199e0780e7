"""A world of concepts with known means, one covariance within them, a background, and a tree above them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hsae.concepts import Concept, Taxonomy
from hsae.encyclopedia.queries.prototypes import Prototypes

D, FAMILIES, CHILDREN = 24, 12, 15
CONCEPTS = 1 + FAMILIES * (1 + CHILDREN)


def taxonomy() -> Taxonomy:
    """A root, 12 families, 15 children in each."""
    concepts = [Concept(id="t:thing", name="thing")]
    for family in range(FAMILIES):
        concepts.append(Concept(id=f"t:family-{family}", name=f"family {family}", parents=("t:thing",)))
        concepts += [
            Concept(
                id=f"t:child-{family}.{child}",
                name=f"child {family}.{child}",
                gloss=f"the child {child} of family {family}",
                parents=(f"t:family-{family}",),
            )
            for child in range(CHILDREN)
        ]
    return Taxonomy(concepts)


@dataclass(frozen=True)
class World:
    mean: Tensor
    spread: Tensor
    """A root of the covariance within: rows are mean + spread^T noise."""

    @property
    def within(self) -> Tensor:
        return (self.spread.T @ self.spread).double()

    def rows(self, concept: Tensor, *, seed: int) -> Tensor:
        noise = torch.randn(len(concept), D, generator=torch.Generator().manual_seed(seed))
        return self.mean[concept] + noise @ self.spread

    def background(self, n: int, *, seed: int) -> Tensor:
        """Tokens of no concept: around another point, wider than concepts are."""
        noise = torch.randn(n, D, generator=torch.Generator().manual_seed(seed))
        return 4.9 + 3.0 * noise @ self.spread

    def prototypes(self, **choices) -> Prototypes:
        chosen = {"ids": [c.id for c in taxonomy()], "shrinkage": 0.0, **choices}
        return Prototypes.of(self.mean, self.within, **chosen)


def world(*, seed: int = 0, apart: float = 1.0) -> World:
    """Families lie 3 apart from the root in every whitened unit, children 2 from their family, far from the
    origin; `apart` scales both."""
    draw = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, generator=draw)
    above = [3.0 * apart * normal(D) for _ in range(FAMILIES)]
    whitened = [torch.zeros(D)]
    for family in above:
        whitened += [family, *(family + 2.0 * apart * normal(CHILDREN, D))]
    spread = torch.logspace(-1, 0.5, D)[:, None] * torch.linalg.qr(normal(D, D)).Q
    return World(torch.stack(whitened) @ spread + 5.0, spread)
