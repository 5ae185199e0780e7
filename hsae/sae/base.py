"""What every sparse autoencoder here is.

    z     = activation((x - b_dec) W_enc + b_enc)
    x_hat = z W_dec + b_dec

A variant says where its weights are, how a code is read and what else it is trained to do. It knows no
language model, no disk and no encyclopedia: a teacher reaches it as vectors and parents.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hsae.errors import UserError
from hsae.sae import kernels
from hsae.sae.kernels import Sparse
from hsae.sae.losses import unexplained
from hsae.sae.teacher import BLANK, Placement, Teacher

MOST = 0.8
"""Share of its own concept's code that a taught latent's threshold may take."""


class Terms(NamedTuple):
    """What one batch says."""

    losses: dict[str, Float[Tensor, ""]]
    """Named and already weighted: their sum is minimised."""
    fired: Int[Tensor, " latent"]
    """Rows in which each latent is above zero."""


class SAE(nn.Module, ABC):
    """A dictionary of `latents` vectors in d dimensions of which a row uses at most `k`.

    `parents[v]` is the latent that must fire for v to fire, -1 for those that need nobody; W_dec row v is
    what v writes, and every row has the length `row_norm`: 1 while training, 1 / scale once `fold` was
    called.
    """

    W_enc: Tensor  # [d latent]: a parameter, or made of parameters
    W_dec: Tensor  # [latent d]: likewise
    parents: Int[Tensor, " latent"]
    row_norm: Float[Tensor, ""]

    def __init__(self, *, d: int, parents: Int[Tensor, " latent"], k: int, aux: float):
        super().__init__()
        if k > len(parents):
            raise UserError(
                f"{k} latents cannot fire at once where there are {len(parents)}.\nSet sae.k lower."
            )
        self.k = k
        self.aux = aux
        self.placement: Placement = BLANK
        self.b_enc = nn.Parameter(torch.zeros(len(parents)))
        self.b_dec = nn.Parameter(torch.zeros(d))
        self.register_buffer("parents", parents)
        self.register_buffer("row_norm", torch.ones(()))

    @property
    def d(self) -> int:
        """Width of an activation."""
        return len(self.b_dec)

    @property
    def latents(self) -> int:
        """All latents, on every level."""
        return len(self.b_enc)

    @property
    def vectors(self) -> Float[Tensor, "latent d"]:
        """What each latent writes, W_dec."""
        return self.W_dec

    @property
    def weights(self) -> int:
        """Numbers that are learned."""
        return sum(weight.numel() for weight in self.parameters())

    @abstractmethod
    def flops_per_token(self) -> int:
        """Of encoding and decoding one row as it is done here, a multiplication and an addition being two."""

    @abstractmethod
    def encode_sparse(self, x: Float[Tensor, "batch d"]) -> Sparse:
        """The code by its entries."""

    @abstractmethod
    def project_gradients(self) -> None:
        """Before a step: remove from each decoder vector's gradient what would only change its length."""

    @abstractmethod
    def renormalise(self) -> None:
        """After a step: give each decoder vector the length `row_norm` again."""

    @abstractmethod
    def _steepen(self, latents: Int[Tensor, " some"], factor: Float[Tensor, " some"]) -> None:
        """Multiply the filters of some latents, the biases apart."""

    @abstractmethod
    def _fold_weights(self, scale: float) -> None:
        """Encoder times scale; decoder vectors whose length is a weight, divided by it."""

    def encode(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch latent"]:
        """z = activation((x - b_dec) W_enc + b_enc): never negative, at most k entries a row."""
        return self.encode_sparse(x).dense(self.latents)

    def decode(self, code: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch d"]:
        """x_hat = z W_dec + b_dec"""
        return code @ self.W_dec + self.b_dec

    def decode_sparse(self, code: Sparse) -> Float[Tensor, "batch d"]:
        """`decode` at the cost of the entries alone."""
        return kernels.decode(code.indices, code.values, self.W_dec) + self.b_dec

    def forward(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch d"]:
        """The reconstruction of x."""
        return self.decode_sparse(self.encode_sparse(x))

    def losses(self, x: Float[Tensor, "batch d"], *, dead: Bool[Tensor, " latent"]) -> Terms:
        """The losses of one batch; `dead` are the latents that have to be brought back."""
        code = self.encode_sparse(x)
        x_hat = self.decode_sparse(code)
        losses = {"fvu": unexplained(x, x_hat), **self._more_losses(x, code)}
        if self.aux and dead.any():
            losses["aux"] = self.aux * self._revive(x, (x - x_hat).detach(), code, dead)
        return Terms(losses, code.fired(self.latents))

    @torch.no_grad()
    def centre(self, b_dec: Float[Tensor, " d"]) -> None:
        """Start from another b_dec. Latents whose teacher has a center of its own keep reading from there."""
        if self.placement.codes is not None:
            taught = self.placement.latents
            self.b_enc[taught] += (b_dec - self.b_dec) @ self.W_enc[:, taught]
        self.b_dec.copy_(b_dec)

    @torch.no_grad()
    def quieten(self, x: Float[Tensor, "batch d"]) -> None:
        """Taught latents fire on no more of these rows than latents do on average, k / latents.

        A filter that tells concepts apart answers to most other tokens a little, and hundreds of such answers
        drown the reconstruction: with 1,000 of 4,096 latents taught, a flat SAE started at an explained
        variance of -13 without this and -2 with it. The threshold t is the loudest answer but so many, at
        most MOST of the latent's code a for its own concept, and the slope grows to a / (a - t), so that this
        code stays.
        """
        taught, codes = self.placement.latents, self.placement.codes
        if not len(taught):
            return
        answers = (x - self.b_dec) @ self.W_enc[:, taught] + self.b_enc[taught]
        allowed = math.ceil(len(x) * self.k / self.latents)
        threshold = answers.topk(allowed, dim=0).values[-1].clamp(min=0)
        if codes is not None:
            threshold = threshold.minimum(MOST * codes)
            slope = codes / (codes - threshold)
            self._steepen(taught, slope)
            self.b_enc[taught] = slope * (self.b_enc[taught] - threshold)
        else:
            self.b_enc[taught] -= threshold

    @torch.no_grad()
    def settle(self, teacher: Teacher, placement: Placement) -> None:
        """Remember who was taught what; start from the teacher's center, if it has one."""
        self.placement = placement
        if teacher.center is not None:
            self.b_dec.copy_(teacher.center)
            row = {name: number for number, name in enumerate(teacher.names)}
            own = teacher.write[[row[name] for name in placement.names]]
            codes = (own * self.W_enc[:, placement.latents].T).sum(1) + self.b_enc[placement.latents]
            self.placement = replace(placement, codes=codes)

    @torch.no_grad()
    def fold(self, scale: float) -> None:
        """Trained on scale * x, works on x from now on: equal codes, reconstructions in the units of x.

        W_enc * scale, W_dec / scale, b_dec / scale, b_enc as it was.
        """
        self._fold_weights(scale)
        self.b_dec /= scale
        self.row_norm /= scale

    def _more_losses(self, x: Float[Tensor, "batch d"], code: Sparse) -> dict[str, Tensor]:  # noqa: ARG002
        """What a variant minimises beyond the unexplained variance."""
        return {}

    def _revive(
        self,
        x: Float[Tensor, "batch d"],
        error: Float[Tensor, "batch d"],
        code: Sparse,
        dead: Bool[Tensor, " latent"],
    ) -> Float[Tensor, ""]:
        """AuxK: a row's d/2 loudest dead latents reconstruct what the code left over; its unexplained share.

        Full strength from d/2 dead latents on. A latent with a parent may only try where its parent fires:
        elsewhere it would learn what it can never say. Source: Gao et al. 2024, arXiv:2406.04093, A.2.
        """
        latents = dead.nonzero().squeeze(1)
        wanted = max(self.d // 2, 1)
        auxiliary = kernels.top_affine(
            x,
            self.b_dec.detach(),
            self.W_enc[:, latents],
            self.b_enc[latents],
            k=min(wanted, len(latents)),
            allowed=self._may_fire(code, latents),
        )
        guess = kernels.decode(*auxiliary, self.W_dec[latents])
        return min(len(latents) / wanted, 1.0) * unexplained(error, guess)

    def _may_fire(self, code: Sparse, latents: Int[Tensor, " some"]) -> Bool[Tensor, "batch some"] | None:
        parents = self.parents[latents]
        if (parents < 0).all():
            return None
        return (code.dense(self.latents)[:, parents.clamp(min=0)] > 0) | (parents < 0)


def remove_radial(gradient: Float[Tensor, "row d"], rows: Float[Tensor, "row d"]) -> Float[Tensor, "row d"]:
    """gradient - (gradient . r) r, where r is the row's direction."""
    direction = nn.functional.normalize(rows, dim=1)
    return gradient - (gradient * direction).sum(1, keepdim=True) * direction


def random_directions(*shape: int, generator: torch.Generator) -> Tensor:
    """Unit vectors along the last axis, uniform on the sphere."""
    return nn.functional.normalize(torch.randn(*shape, generator=generator), dim=-1)
