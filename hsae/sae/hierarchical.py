"""Parents with a few children each: a child may speak only when its parent does, from its parent's own
subspace.

Source: Muchane et al. 2025, arXiv:2506.01197, and its code's `moe_eqx.py`. What differs from there, and why:
- top-k of relu'd preactivations instead of a fixed threshold 1 / sqrt(d) for both levels, whose meaning hangs
on the scale of x; both levels have biases and x is centred.
- `k` counts both levels, so that a flat dictionary of the same k is matched in L0.
- A child's vector in d dimensions has unit length, so that its code says how much it writes; there, the
  up-projection was never renormalised and code and vector could trade length.
- AuxK on both levels instead of two L1 terms.
- No bi-orthogonality term: as written there it subtracts the diagonal from whole columns (`ED -
jnp.diag(ED)`), it is inert (gradients of order 1 / m^3), and it cannot see absorption: the absorbed pair e_p
= f_p - f_c, d_c ~ f_p + f_c has e_p . d_c = 0.
"""

from collections import Counter
from typing import Annotated, Literal, final

import torch
from einops import rearrange
from jaxtyping import Float, Int
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from hsae.errors import UserError
from hsae.sae import kernels
from hsae.sae.base import SAE, random_directions, remove_radial
from hsae.sae.families import Increments, beside, increments, place
from hsae.sae.kernels import Sparse
from hsae.sae.losses import unexplained
from hsae.sae.settings import Common
from hsae.sae.teacher import Placement, Teacher, calibrated
from hsae.seeding import stream


class Settings(Common):
    """Tops of full rank, and under each the same number of children in a subspace of few dimensions."""

    name: Literal["hierarchical"]
    k: Annotated[int, Field(ge=2, multiple_of=2)]
    """Latents that may fire at once, both levels together: k / 2 tops with one child each."""
    children: PositiveInt
    """Under each top."""
    subspace: PositiveInt
    """Dimensions that the children of one top share."""
    gate: Literal["hard", "scaled"]
    """A child's code where its parent fires: its own (hard), or its own times the parent's (scaled)."""
    top_weight: Annotated[float, Field(ge=0)]
    """Weight of the loss that makes the tops reconstruct alone, so that children add and do not replace."""

    @model_validator(mode="after")
    def _families_fit(self) -> "Settings":
        family = self.children + 1
        if self.latents is not None and self.latents % family:
            near = max(self.latents // family, 1) * family
            raise ValueError(
                f"latents={self.latents} is no multiple of {family} (1 top and {self.children} children): "
                f"set latents={near}, or another children"
            )
        return self

    def width(self, d: int) -> int:
        """Latents over activations of width d: as many whole families as `expansion` has room for."""
        return self.latents or max(self.expansion * d // (self.children + 1), 1) * (self.children + 1)


@final
class Hierarchical(SAE):
    """x_hat = b_dec + sum over the tops j that fire of z_j d_j + c_j v_j; c and v are of j's loudest child i.

        z   = relu(top_{k/2}((x - b_dec) top_enc + b_enc))
        c_j = 1[z_j > 0] relu(max_i low_enc_ji . down_j (x - b_dec) + b_enc_ji)
        v_j = low_dec_ji up_j, brought to unit length

    Latents are numbered tops first, then the children of top 0, of top 1, ... W_enc and W_dec are made of the
    factors, and the equation of every SAE holds for them.
    """

    def __init__(self, settings: Settings, *, d: int, seed: int):
        latents = settings.width(d)
        tops = latents // (settings.children + 1)
        under = torch.arange(tops).repeat_interleave(settings.children)
        parents = torch.cat([torch.full((tops,), -1), under])
        super().__init__(d=d, parents=parents, k=settings.k, aux=settings.aux)
        self.tops, self.per_top, self.subspace = tops, settings.children, settings.subspace
        self.scaled = settings.gate == "scaled"
        self.top_weight = settings.top_weight
        generator = stream(seed, "sae weights")
        vectors = random_directions(self.tops, d, generator=generator)
        spaces = random_directions(self.tops, self.subspace, d, generator=generator)
        atoms = random_directions(self.tops, self.per_top, self.subspace, generator=generator)
        self.top_dec, self.top_enc = nn.Parameter(vectors), nn.Parameter(vectors.T.contiguous())
        self.up, self.down = nn.Parameter(spaces), nn.Parameter(spaces.clone())
        self.low_dec, self.low_enc = nn.Parameter(atoms), nn.Parameter(atoms.clone())

    @property
    def W_enc(self) -> Float[Tensor, "d latent"]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Filters of the tops, then low_enc down of the children."""
        return torch.cat([self.top_enc, (self.low_enc @ self.down).flatten(0, 1).T], dim=1)

    @property
    def W_dec(self) -> Float[Tensor, "latent d"]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Vectors of the tops, then low_dec up of the children at the length of every other."""
        vectors = nn.functional.normalize((self.low_dec @ self.up).flatten(0, 1), dim=1)
        return torch.cat([self.top_dec, self.row_norm * vectors])

    def flops_per_token(self) -> int:
        """All tops and all subspaces, 2 d tops (1 + subspace); k / 2 families' children; 2 d k to decode."""
        families = self.k // 2 * 2 * self.subspace * self.per_top
        return 2 * self.d * (self.tops * (1 + self.subspace) + self.k) + families

    def encode_sparse(self, x: Float[Tensor, "batch d"]) -> Sparse:
        """The k / 2 loudest tops of each row, then the loudest child of each of them."""
        tops = kernels.top_affine(x, self.b_dec, self.top_enc, self.b_enc[: self.tops], k=self.k // 2)
        loudest = self._children(x, tops.indices).max(dim=2)
        gate = tops.values if self.scaled else (tops.values > 0).to(x.dtype)
        atoms = self.tops + tops.indices * self.per_top + loudest.indices
        values = torch.cat([tops.values, loudest.values.relu() * gate], dim=1)
        return Sparse(torch.cat([tops.indices, atoms], dim=1), values)

    def _children(
        self, x: Float[Tensor, "batch d"], tops: Int[Tensor, "batch place"]
    ) -> Float[Tensor, "batch place child"]:
        """Preactivations of the children of the tops that each row names.

        Every subspace is looked at in one product and the named ones are picked from it: gathering each row's
        own projections is memory-bound (2,048 rows of width 192, 16 of 256 tops with 4 dimensions, two cores:
        4 ms against 37 ms, 32 ms in chunks).
        """
        down = self.down.flatten(0, 1).T
        with torch.no_grad():
            everywhere = (x - self.b_dec) @ down
        axes = torch.arange(self.subspace, device=x.device)
        places = (tops[:, :, None] * self.subspace + axes).flatten(1)
        inside = kernels.affine_at(everywhere, places, x, self.b_dec, down)
        # an embedding's backward adds up in a fixed order, that of indexing does not (atomic additions)
        filters = nn.functional.embedding(tops, self.low_enc.flatten(1))
        biases = nn.functional.embedding(tops, self.b_enc[self.tops :].view(self.tops, self.per_top))
        filters = rearrange(filters, "batch place (child dim) -> batch place child dim", child=self.per_top)
        inside = rearrange(inside, "batch (place dim) -> batch place 1 dim", dim=self.subspace)
        return (filters * inside).sum(3) + biases

    def _more_losses(self, x: Float[Tensor, "batch d"], code: Sparse) -> dict[str, Tensor]:
        alone = Sparse(*(side[:, : self.k // 2] for side in code))
        x_hat = kernels.decode(alone.indices, alone.values, self.top_dec) + self.b_dec
        return {"top": self.top_weight * unexplained(x, x_hat)}

    def project_gradients(self) -> None:
        """Along the tops' vectors; the children's have no length to change."""
        if self.top_dec.grad is not None:
            self.top_dec.grad = remove_radial(self.top_dec.grad, self.top_dec.detach())

    @torch.no_grad()
    def renormalise(self) -> None:
        """The tops' vectors, and the factors of the children's: factors that grew would learn ever less."""
        self.top_dec.copy_(nn.functional.normalize(self.top_dec, dim=1) * self.row_norm)
        self.low_dec.copy_(nn.functional.normalize(self.low_dec, dim=2))
        self.up *= self.subspace**0.5 / self.up.flatten(1).norm(dim=1)[:, None, None]

    def _steepen(self, latents: Int[Tensor, " some"], factor: Float[Tensor, " some"]) -> None:
        top = latents < self.tops
        self.top_enc[:, latents[top]] *= factor[top]
        self.low_enc.flatten(0, 1)[latents[~top] - self.tops] *= factor[~top, None]

    def _fold_weights(self, scale: float) -> None:
        self.top_enc *= scale
        self.down *= scale
        self.top_dec /= scale


def build(settings: Settings, *, d: int, teacher: Teacher | None, seed: int) -> Hierarchical:
    """A blank dictionary, or one whose first families are the teacher's."""
    if settings.subspace > d:
        raise UserError(
            f"a subspace of {settings.subspace} dimensions in activations of {d}: set sae.subspace<={d}"
        )
    if settings.k // 2 > settings.width(d) // (settings.children + 1):
        raise UserError(
            f"k={settings.k} means {settings.k // 2} tops at once, and {settings.width(d)} latents hold only "
            f"{settings.width(d) // (settings.children + 1)}.\nSet sae.k lower, or sae.latents higher."
        )
    sae = Hierarchical(settings, d=d, seed=seed)
    if teacher is not None:
        _teach(sae, teacher, room=int(settings.taught * sae.tops), seed=seed)
    return sae


@torch.no_grad()
def _teach(sae: Hierarchical, teacher: Teacher, *, room: int, seed: int) -> None:
    """Concepts with children become tops with their whole pattern, leaves become increments over them."""
    families = place(teacher.parents.tolist(), tops=room, children=sae.per_top)
    read, write = teacher.read[families.tops], teacher.write[families.tops]
    sae.top_dec[: len(families.tops)] = nn.functional.normalize(write, dim=1)
    sae.top_enc[:, : len(families.tops)] = calibrated(read, write).T
    generator = stream(seed, "axes beside the taught")
    latents, concepts = list(range(len(families.tops))), list(families.tops)
    energy = held = write.square().sum().item()
    left_out = Counter(families.left_out)
    for slot, (top, children) in enumerate(zip(families.tops, families.children, strict=True)):
        family = increments(teacher, top, children, dimensions=sae.subspace)
        left_out.update(family.left_out)
        if family.concepts:
            parent = None if teacher.center is None else teacher.write[top]
            latents += _teach_children(sae, slot, family, parent, generator)
            concepts += family.concepts
            energy, held = energy + family.energy, held + family.held
    names = tuple(teacher.names[concept] for concept in concepts)
    sae.settle(teacher, Placement(torch.tensor(latents, dtype=torch.long), names, held / energy, +left_out))


def _teach_children(
    sae: Hierarchical,
    slot: int,
    family: Increments,
    parent: Float[Tensor, " d"] | None,
    generator: torch.Generator,
) -> range:
    """Give the first children of a slot a family's increments; returns their latents.

    `parent` is the parent's pattern, None where its length means nothing.
    """
    taught = len(family.concepts)
    lengths = family.reading.norm(dim=1)
    sae.up[slot] = beside(family.axes, sae.subspace, generator)
    sae.down[slot] = beside(family.reading / lengths[:, None], sae.subspace, generator)
    spare = (0, sae.subspace - len(lengths))
    sae.low_dec[slot, :taught] = nn.functional.pad(nn.functional.normalize(family.inside, dim=1), spare)
    sae.low_enc[slot, :taught] = nn.functional.pad(family.inside * family.gain[:, None] * lengths, spare)
    latents = range(sae.tops + slot * sae.per_top, sae.tops + slot * sae.per_top + taught)
    if parent is not None:
        # a child reads what it adds to its parent: on the parent's own pattern it is silent
        sae.b_enc[latents.start : latents.stop] = -(sae.low_enc[slot, :taught] @ sae.down[slot]) @ parent
    return latents
