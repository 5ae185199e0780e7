"""One layer of latents of equal rank, of which the k loudest of each row speak.

Source: Gao et al. 2024, "Scaling and evaluating sparse autoencoders", arXiv:2406.04093.
"""

from typing import Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hsae.sae import kernels
from hsae.sae.base import SAE, random_directions, remove_radial
from hsae.sae.kernels import Sparse
from hsae.sae.settings import Common
from hsae.sae.teacher import Placement, Teacher, calibrated
from hsae.seeding import stream


class Settings(Common):
    """A flat dictionary."""

    name: Literal["topk"]


@final
class TopK(SAE):
    """z = relu(top_k((x - b_dec) W_enc + b_enc)), every latent alike."""

    def __init__(self, settings: Settings, *, d: int, seed: int):
        latents = settings.width(d)
        super().__init__(d=d, parents=torch.full((latents,), -1), k=settings.k, aux=settings.aux)
        directions = random_directions(latents, d, generator=stream(seed, "sae weights"))
        self.W_dec = nn.Parameter(directions)
        self.W_enc = nn.Parameter(directions.T.contiguous())

    def flops_per_token(self) -> int:
        """2 d latents to encode, 2 d k to decode."""
        return 2 * self.d * (self.latents + self.k)

    def encode_sparse(self, x: Float[Tensor, "batch d"]) -> Sparse:
        """The k largest preactivations of each row, where they are positive."""
        return kernels.top_affine(x, self.b_dec, self.W_enc, self.b_enc, k=self.k)

    def project_gradients(self) -> None:
        """Along each decoder vector."""
        if self.W_dec.grad is not None:
            self.W_dec.grad = remove_radial(self.W_dec.grad, self.W_dec.detach())

    @torch.no_grad()
    def renormalise(self) -> None:
        """Each row of W_dec."""
        self.W_dec.copy_(nn.functional.normalize(self.W_dec, dim=1) * self.row_norm)

    def _steepen(self, latents: Int[Tensor, " some"], factor: Float[Tensor, " some"]) -> None:
        self.W_enc[:, latents] *= factor

    def _fold_weights(self, scale: float) -> None:
        self.W_enc *= scale
        self.W_dec /= scale


def build(settings: Settings, *, d: int, teacher: Teacher | None, seed: int) -> TopK:
    """A blank dictionary, or one whose first latents are the teacher's concepts."""
    sae = TopK(settings, d=d, seed=seed)
    if teacher is not None:
        _teach(sae, teacher, room=int(settings.taught * sae.latents))
    return sae


@torch.no_grad()
def _teach(sae: TopK, teacher: Teacher, *, room: int) -> None:
    """One latent for each concept, writing the whole pattern and not its increment over the parent.

    Without a gate nothing makes the parent fire along with the child: a lone increment would reconstruct the
    concept only when the parent's latent happens to win a place of its own, and spend two places where one
    does.
    """
    taught = min(len(teacher), room)
    read, write = teacher.read[:taught], teacher.write[:taught]
    sae.W_dec[:taught] = nn.functional.normalize(write, dim=1)
    sae.W_enc[:, :taught] = calibrated(read, write).T
    left_out = {"no latent left": len(teacher) - taught} if taught < len(teacher) else {}
    sae.settle(teacher, Placement(torch.arange(taught), teacher.names[:taught], left_out=left_out))
