"""Softmax regression: logits = W normalised(x) + b, by gradients."""

from typing import Literal, final

from jaxtyping import Float
from torch import Tensor, nn

from hsae.concepts import Taxonomy
from hsae.interpreters.settings import Learning
from hsae.interpreters.training import Learner, seeded


class Settings(Learning):
    """Nothing beyond how it learns."""

    name: Literal["linear"]


@final
class Linear(Learner):
    """One filter per concept, all sites side by side."""

    def __init__(self, settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int):
        super().__init__(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
        with seeded(seed, "interpreter weights"):
            self.head = nn.Linear(self.width, self.concepts)

    def logits(self, x: Float[Tensor, "row site d"]) -> Float[Tensor, "row concept"]:
        """W x + b"""
        return self.head(x.flatten(1))


def build(settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int) -> Linear:
    """With random weights."""
    return Linear(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
