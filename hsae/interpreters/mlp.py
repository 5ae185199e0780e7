"""Hidden layers, then softmax: what a transformer over a single token amounts to, said plainly."""

from typing import Literal, final

from jaxtyping import Float
from torch import Tensor, nn

from hsae.concepts import Taxonomy
from hsae.interpreters.layers import trunk
from hsae.interpreters.settings import Layered
from hsae.interpreters.training import Learner, seeded


class Settings(Layered):
    """Nothing beyond its layers."""

    name: Literal["mlp"]


@final
class MLP(Learner):
    """All sites side by side -> hidden layers -> one logit per concept."""

    def __init__(self, settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int):
        super().__init__(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
        with seeded(seed, "interpreter weights"):
            self.trunk = trunk(
                self.width, hidden=settings.hidden, depth=settings.depth, dropout=settings.dropout
            )
            self.head = nn.Linear(settings.hidden, self.concepts)

    def logits(self, x: Float[Tensor, "row site d"]) -> Float[Tensor, "row concept"]:
        """head(trunk(x))"""
        return self.head(self.trunk(x.flatten(1)))


def build(settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int) -> MLP:
    """With random weights."""
    return MLP(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
