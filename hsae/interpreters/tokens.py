"""A transformer over the places of an activation (sites, or sites x tokens): it has something to attend to.

    tokens = W normalised(x[place]) + b + e[place]
    logits = Linear(LayerNorm(encoder([query; tokens])[query]))

One learned query reads what the places tell it; in the first layer already, its attention weighs places by
what they hold.
"""

from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hsae.concepts import Taxonomy
from hsae.errors import UserError
from hsae.interpreters.layers import encoder, head
from hsae.interpreters.settings import Attending
from hsae.interpreters.training import Learner, seeded


class Settings(Attending):
    """Its widths."""

    name: Literal["tokens"]


@final
class Tokens(Learner):
    """Each place is a token of its own."""

    def __init__(self, settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int):
        super().__init__(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
        with seeded(seed, "interpreter weights"):
            self.project = nn.Linear(d, settings.d_model)
            self.place = nn.Parameter(0.02 * torch.randn(sites, settings.d_model))
            self.query = nn.Parameter(0.02 * torch.randn(1, settings.d_model))
            self.encoder = encoder(settings)
            self.head = head(settings.d_model, self.concepts)

    def logits(self, x: Float[Tensor, "row site d"]) -> Float[Tensor, "row concept"]:
        """What the query read."""
        tokens = self.project(x) + self.place
        query = self.query.to(tokens.dtype).expand(len(tokens), 1, -1)
        return self.head(self.encoder(torch.cat([query, tokens], 1))[:, 0])


def build(settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int) -> Tokens:
    """With random weights. Raises UserError for a single place, where attention has no choice."""
    if sites < 2:
        raise UserError(
            "interpreter=tokens attends over several sites, and there is one.\n"
            "Name more (layers=thirds), or take interpreter=mlp"
        )
    return Tokens(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
