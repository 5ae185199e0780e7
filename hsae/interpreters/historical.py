"""HatCat's SemanticInterpreter (2025), kept as it was to be compared with.

    Linear(width, 512) -> LayerNorm -> + place -> 4 pre-norm encoder layers (8 heads, 2048) -> LayerNorm ->
    Linear(512, concepts)

It is given one activation, a sequence of length 1. The softmax over a single score is 1 whatever the query
and the key are: their weights, 2.1 of the 13,453,288 at d=640 and 1,000 concepts, never get a gradient, and
the network is an MLP. Which nonlinearity stood in its layers is not recorded; here it is GELU.

What is mended is around it: rows are normalised by the statistics of `fit`, and these are saved. What is not:
concepts without a row keep their output, and nothing refuses to be asked for them, so that the historical
validation accuracy of 0 can be shown to come from its split.
"""

import math
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hsae.concepts import Taxonomy
from hsae.interpreters.layers import encoder, head
from hsae.interpreters.settings import Attending
from hsae.interpreters.training import Learner, seeded


class Settings(Attending):
    """The widths, which were 512, 8, 4, 2048 and 0.1."""

    name: Literal["historical"]


@final
class Historical(Learner):
    """A transformer with nothing to attend to."""

    refuses_unseen: ClassVar[bool] = False

    def __init__(self, settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int):
        super().__init__(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
        with seeded(seed, "interpreter weights"):
            self.project = nn.Sequential(
                nn.Linear(self.width, settings.d_model), nn.LayerNorm(settings.d_model)
            )
            self.place = nn.Parameter(0.02 * torch.randn(1, 1, settings.d_model))
            self.encoder = encoder(settings)
            self.head = head(settings.d_model, self.concepts)

    def logits(self, x: Float[Tensor, "row site d"]) -> Float[Tensor, "row concept"]:
        """The network on a sequence of one."""
        token = self.project(x.flatten(1))[:, None] + self.place
        return self.head(self.encoder(token)[:, 0])

    def scores(self, x: Float[Tensor, "row site d"]) -> Float[Tensor, "row concept"]:
        """All concepts, seen or not."""
        return self.logits(self.normalise(x))


def entropy_confidence(log_posterior: Float[Tensor, "row concept"]) -> Float[Tensor, " row"]:
    """1 - H(p) / ln C, the historical confidence. For reporting alone: it is no probability, and the same
    posterior over more concepts is more confident."""
    entropy = torch.special.entr(log_posterior.exp()).sum(1)
    return 1 - entropy / math.log(log_posterior.shape[1])


def build(settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int) -> Historical:
    """With random weights."""
    return Historical(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
