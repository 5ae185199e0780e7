"""Parents with a few children each: a child may speak only when its parent does, from its parent's own subspace.

Source: Muchane et al. 2025, arXiv:2506.01197, and its code's `moe_eqx.py`. What differs from there, and why:
- top-k of relu'd preactivations instead of a fixed threshold 1 / sqrt(d) for both levels, whose meaning hangs on the
  scale of x; both levels have biases and x is centred.
- `k` counts both levels, so that a flat dictionary of the same k is matched in L0.
- A child's vector in d dimensions has unit length, so that its code says how much it writes; there, the
  up-projection was never renormalised and code and vector could trade length.
- AuxK on both levels instead of two L1 terms.
- No bi-orthogonality term: as written there it subtracts the diagonal from whole columns (`ED - jnp.diag(ED)`), it is
  inert (gradients of order 1 / m^3), and it cannot see absorption: the absorbed pair e_p = f_p - f_c, d_c ~ f_p + f_c
  has e_p . d_c = 0.
"""

from typing import Annotated, Literal, Self, final

import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from hsae.config import Part
from hsae.errors import UserError
from hsae.sae import kernels
from hsae.sae.base import SAE, random_directions, remove_radial
from hsae.sae.families import Increments, beside, increments, place
from hsae.sae.kernels import Sparse
from hsae.sae.losses import unexplained
from hsae.sae.teacher import Placement, Teacher, calibrated
from hsae.seeding import stream


class Settings(Part):
    """Tops of full rank, and under each the same number of children in a subspace of few dimensions."""

    name: Literal["hierarchical"]
    latents: PositiveInt | None
    """How many, both levels together; null takes `expansion` times the width of an activation."""
    expansion: PositiveInt
    children: PositiveInt
    """Under each top."""
    subspace: PositiveInt
    """Dimensions that the children of one top share."""
    k: Annotated[int, Field(ge=2, multiple_of=2)]
    """Latents that may fire at once, both levels together: k / 2 tops with one child each."""
    gate: Literal["hard", "scaled"]
    """hard: a child's code is its own where its parent fires; scaled: it is multiplied by its parent's code."""
    top_weight: Annotated[float, Field(ge=0)]
    """Weight of the loss that makes the tops reconstruct alone, so that children add and do not replace."""
    lr: PositiveFloat | None
    """Adam's learning rate; null is 2e-4 / sqrt(latents / 2^14) (Gao et al.)."""
    clip: PositiveFloat
    """Largest norm of the whole gradient."""
    aux: Annotated[float, Field(ge=0)]
    """Weight of the loss that brings dead latents back."""
    dead_after: PositiveInt | None
    """Tokens of silence after which a latent is dead; null is 10 M, or a tenth of the training if that is less."""

    @model_validator(mode="after")
    def _families_fit(self) -> Self:
        family = self.children + 1
        if self.latents is not None and self.latents % family:
            near = max(self.latents // family, 1) * family
            raise ValueError(
                f"latents={self.latents} is no whole number of families of 1 top and {self.children} children: "
                f"set latents={near}, or another children"
            )
        if self.latents is not None and self.k // 2 > self.latents // family:
            raise ValueError(
                f"k={self.k} means {self.k // 2} tops at once where there are {self.latents // family}: set k lower"
            )
        return self

    def width(self, d: int) -> int:
        """Latents over activations of width d, in whole families."""
        return self.latents or max(self.expansion * d // (self.children + 1), 1) * (self.children + 1)


@final
class Hierarchical(SAE):
    """x_hat = b_dec + sum over firing tops j of (z_j d_j + c_j v_j): v_j is the vector of j's loudest child, c_j its code.

    z = relu(top_{k/2}((x - b_dec) top_enc + b_enc));  c_j = 1[z_j > 0] relu(max_i low_enc_ji . down_j (x - b_dec) + b_enc)

    Latents are numbered tops first, then the children of top 0, of top 1, ...; W_enc and W_dec are made of the
    factors, so that `code = gate((x - b_dec) W_enc + b_enc)` holds for them as for any other.
    """

    def __init__(self, settings: Settings, *, d: int, seed: int):
        latents = settings.width(d)
        tops = latents // (settings.children + 1)
        under = torch.arange(tops).repeat_interleave(settings.children)
        parents = torch.cat([torch.full((tops,), -1), under])
        super().__init__(d=d, parents=parents, k=settings.k, aux=settings.aux)
        self.tops, self.children, self.subspace = tops, settings.children, settings.subspace
        self.scaled = settings.gate == "scaled"
        self.top_weight = settings.top_weight
        generator = stream(seed, "sae weights")
        vectors = random_directions(self.tops, d, generator=generator)
        spaces = random_directions(self.tops, self.subspace, d, generator=generator)
        atoms = random_directions(self.tops, self.children, self.subspace, generator=generator)
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
        """2 d tops (1 + subspace) to look at all tops and subspaces, k / 2 families' children, 2 d k to decode."""
        families = self.k // 2 * 2 * self.subspace * self.children
        return 2 * self.d * (self.tops * (1 + self.subspace) + self.k) + families

    def encode_sparse(self, x: Float[Tensor, "batch d"]) -> Sparse:
        """The k / 2 loudest tops of each row, then the loudest child of each of them."""
        tops = kernels.top_affine(x, self.b_dec, self.top_enc, self.b_enc[: self.tops], k=self.k // 2)
        loudest = self._children(x, tops.indices).max(dim=2)
        gate = tops.values if self.scaled else (tops.values > 0).to(x.dtype)
        atoms = self.tops + tops.indices * self.children + loudest.indices
        values = torch.cat([tops.values, loudest.values.relu() * gate], dim=1)
        return Sparse(torch.cat([tops.indices, atoms], dim=1), values)

    def _children(
        self, x: Float[Tensor, "batch d"], tops: Int[Tensor, "batch place"]
    ) -> Float[Tensor, "batch place child"]:
        """Preactivations of the children of the tops that each row names.

        Every subspace is looked at in one product and the named ones are picked from it: gathering each row's own
        projections moves batch * k/2 * subspace * d numbers and is memory-bound (2,048 rows, 16 of 256 tops of 4
        dimensions, d = 192: 3 ms against 60 ms).
        """
        down = self.down.flatten(0, 1).T
        with torch.no_grad():
            everywhere = (x - self.b_dec) @ down
        axes = torch.arange(self.subspace, device=x.device)
        places = (tops[:, :, None] * self.subspace + axes).flatten(1)
        inside = kernels.affine_at(everywhere, places, x, self.b_dec, down).unflatten(1, (-1, 1, self.subspace))
        # an embedding's backward adds up in a fixed order, that of indexing does not (atomic additions)
        filters = nn.functional.embedding(tops, self.low_enc.flatten(1)).unflatten(2, (self.children, self.subspace))
        biases = nn.functional.embedding(tops, self.b_enc[self.tops :].unflatten(0, (self.tops, self.children)))
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
        """The tops' vectors; the factors of the children's too, which leaves those as they are and keeps the step
        size of their learning from fading as factors grow."""
        self.top_dec.copy_(nn.functional.normalize(self.top_dec, dim=1) * self.row_norm)
        self.low_dec.copy_(nn.functional.normalize(self.low_dec, dim=2))
        self.up *= self.subspace**0.5 / self.up.flatten(1).norm(dim=1)[:, None, None]

    def _fold_weights(self, scale: float) -> None:
        self.top_enc *= scale
        self.down *= scale
        self.top_dec /= scale


def build(settings: Settings, *, d: int, teacher: Teacher | None, seed: int) -> Hierarchical:
    """A blank dictionary, or one whose first families are the teacher's."""
    if settings.subspace > d:
        raise UserError(f"a subspace of {settings.subspace} dimensions in activations of {d}: set sae.subspace<={d}")
    sae = Hierarchical(settings, d=d, seed=seed)
    if teacher is not None:
        _teach(sae, teacher, seed=seed)
    return sae


@torch.no_grad()
def _teach(sae: Hierarchical, teacher: Teacher, *, seed: int) -> None:
    """Concepts with children as tops with their whole pattern, their leaves as increments in the top's subspace."""
    families = place(teacher.parents.tolist(), tops=sae.tops, children=sae.children)
    read, write = teacher.read[families.tops], teacher.write[families.tops]
    sae.top_dec[: len(families.tops)] = nn.functional.normalize(write, dim=1)
    sae.top_enc[:, : len(families.tops)] = calibrated(read, write).T
    sae.b_dec.copy_(teacher.center)
    generator = stream(seed, "axes beside the taught")
    latents, concepts = list(range(len(families.tops))), list(families.tops)
    energy = held = write.square().sum().item()
    alike = 0
    for slot, (top, children) in enumerate(zip(families.tops, families.children, strict=True)):
        family = increments(teacher, top, children, dimensions=sae.subspace)
        alike += len(children) - len(family.concepts)
        if family.concepts:
            latents += _teach_children(sae, slot, family, teacher.write[top], generator)
            concepts += family.concepts
            energy, held = energy + family.energy, held + family.held
    left_out = dict(families.left_out) | ({"no difference from the parent": alike} if alike else {})
    names = tuple(teacher.names[concept] for concept in concepts)
    sae.placement = Placement(torch.tensor(latents, dtype=torch.long), names, held / energy, left_out)


def _teach_children(
    sae: Hierarchical, slot: int, family: Increments, parent: Float[Tensor, " d"], generator: torch.Generator
) -> range:
    """Give the first children of a slot a family's increments; returns their latents."""
    taught = len(family.concepts)
    lengths = family.reading.norm(dim=1)
    sae.up[slot] = beside(family.axes, sae.subspace, generator)
    sae.down[slot] = beside(family.reading / lengths[:, None], sae.subspace, generator)
    spare = (0, sae.subspace - len(lengths))
    sae.low_dec[slot, :taught] = nn.functional.pad(nn.functional.normalize(family.inside, dim=1), spare)
    sae.low_enc[slot, :taught] = nn.functional.pad(family.inside * family.gain[:, None] * lengths, spare)
    first = slot * sae.children
    # a child reads what it adds to its parent: on the parent's own pattern it is silent
    sae.b_enc[sae.tops + first : sae.tops + first + taught] = -(sae.low_enc[slot, :taught] @ sae.down[slot]) @ parent
    return range(sae.tops + first, sae.tops + first + taught)
