"""One trunk, three tasks: which concept, which parent, and to lie near rows of the same concept.

    loss = CE(concept) + parent_weight CE(parent) + contrast_weight SupCon

Each batch goes through the trunk twice, under other dropout, so that every row has a partner even where a
batch of 256 rows meets 50,000 concepts.
Source: Khosla et al. 2020, "Supervised Contrastive Learning", arXiv:2004.11362, L_out.
"""

from typing import Annotated, Literal, final

import torch
from jaxtyping import Float, Int64
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from hsae.concepts import Taxonomy
from hsae.interpreters.layers import trunk
from hsae.interpreters.settings import Layered
from hsae.interpreters.training import Learner, seeded

Weight = Annotated[float, Field(ge=0)]


class Settings(Layered):
    """What the two other tasks weigh against the first."""

    name: Literal["multitask"]
    parent_weight: Weight
    contrast_weight: Weight
    contrast: PositiveInt
    """Dimensions in which rows of one concept are drawn together."""
    sharpness: PositiveFloat
    """What their cosines are multiplied by: 1 / temperature of the contrast."""


@final
class Multitask(Learner):
    """The posterior is the concept head's; the others shape the trunk."""

    families: Int64[Tensor, " concept"]

    def __init__(self, settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int):
        super().__init__(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
        self.parent_weight, self.contrast_weight = settings.parent_weight, settings.contrast_weight
        self.sharpness = settings.sharpness
        # a concept's family is its parent; the roots are one family of their own
        named, families = torch.tensor(taxonomy.parents).unique(return_inverse=True)
        self.register_buffer("families", families, persistent=False)
        with seeded(seed, "interpreter weights"):
            self.trunk = trunk(
                self.width, hidden=settings.hidden, depth=settings.depth, dropout=settings.dropout
            )
            self.head = nn.Linear(settings.hidden, self.concepts)
            self.parent = nn.Linear(settings.hidden, len(named))
            self.projection = nn.Linear(settings.hidden, settings.contrast)

    def logits(self, x: Float[Tensor, "row site d"]) -> Float[Tensor, "row concept"]:
        """The concept head's."""
        return self.head(self.trunk(x.flatten(1)))

    def loss(self, x: Float[Tensor, "row site d"], concept: Int64[Tensor, " row"]) -> Float[Tensor, ""]:
        """The weighted sum of the three."""
        normalised = self.normalise(x).flatten(1)
        hidden, twice = self.trunk(torch.cat([normalised, normalised])), torch.cat([concept, concept])
        of_concept = cross_entropy(self.masked(self.head(hidden).float()), twice)
        of_parent = cross_entropy(self.parent(hidden).float(), self.families[twice])
        contrast = supervised_contrast(self.projection(hidden).float(), twice, sharpness=self.sharpness)
        return of_concept + self.parent_weight * of_parent + self.contrast_weight * contrast


def supervised_contrast(
    z: Float[Tensor, "row e"], concept: Int64[Tensor, " row"], *, sharpness: float
) -> Float[Tensor, ""]:
    """Mean over rows i of the mean over partners j of -log softmax over k != i of sharpness cos(z_i, z_k)."""
    unit = normalize(z, dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    log_p = torch.log_softmax((sharpness * unit @ unit.T).masked_fill(itself, -torch.inf), dim=1)
    partner = (concept[:, None] == concept) & ~itself
    return -(log_p.masked_fill(~partner, 0.0).sum(1) / partner.sum(1)).mean()


def build(settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int) -> Multitask:
    """With random weights."""
    return Multitask(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
