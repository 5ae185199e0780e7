"""Conditional softmax along the taxonomy: which child, given the parent (see tree.py).

Calibrated for ancestors by construction: what it says of "animal" is the sum of what it says of all animals.
Source: Morin & Bengio 2005, "Hierarchical Probabilistic Neural Network Language Model"; Redmon & Farhadi
2017, arXiv:1612.08242, section 4.
"""

from typing import Annotated, Literal, final

from jaxtyping import Float, Int64
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from hsae.concepts import Taxonomy
from hsae.interpreters.layers import trunk
from hsae.interpreters.settings import Learning
from hsae.interpreters.training import Learner, seeded
from hsae.interpreters.tree import Tree


class Settings(Learning):
    """Its layers; without one, each choice is a linear function of the activation."""

    name: Literal["hierarchical"]
    hidden: PositiveInt
    depth: NonNegativeInt
    dropout: Annotated[float, Field(ge=0, lt=1)]


@final
class Hierarchical(Learner):
    """One logit for every choice of the tree."""

    def __init__(self, settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int):
        super().__init__(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
        self.tree = Tree(taxonomy)
        with seeded(seed, "interpreter weights"):
            self.trunk = trunk(
                self.width, hidden=settings.hidden, depth=settings.depth, dropout=settings.dropout
            )
            self.head = nn.Linear(settings.hidden if settings.depth else self.width, self.tree.choices)

    def logits(self, x: Float[Tensor, "row site d"]) -> Float[Tensor, "row concept"]:
        """log p(c), normalised as it is."""
        return self.tree.log_p(self._choices(x), self.seen)

    def loss(self, x: Float[Tensor, "row site d"], concept: Int64[Tensor, " row"]) -> Float[Tensor, ""]:
        """Mean of -log p(concept | x), along the concepts' paths alone."""
        return -self.tree.log_p_of(self._choices(self.normalise(x)), concept, self.seen).mean()

    def _choices(self, x: Float[Tensor, "row site d"]) -> Float[Tensor, "row choice"]:
        return self.head(self.trunk(x.flatten(1))).float()


def build(settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int) -> Hierarchical:
    """With random weights."""
    return Hierarchical(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
