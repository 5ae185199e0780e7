"""What an SAE may know at birth: concepts, how each is read and written, and what stands above what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor


@final
@dataclass(frozen=True)
class Teacher:
    """Concepts as vectors. An activation of concept c is, on average, center + write[c]; none has unit
    length.

    write  the pattern that the concept adds to an activation
    read   a filter: read[c] . (x - center) tells how much of c is in x. It is linear in the pattern
           (read = write P for one positive definite P), so that the filter of a difference is the difference
           of the filters: a child's increment is formed before anything is normalised.
    parents  row of the concept above, -1 at the roots
    center  where patterns start; None where only their directions are known and not their length, so that
            they start wherever the dictionary does

    A filter is a covector and a pattern a vector: taking one for the other is right only in whitened space
    (Haufe et al. 2014, doi:10.1016/j.neuroimage.2013.10.067).
    """

    read: Float[Tensor, "concept d"]
    write: Float[Tensor, "concept d"]
    parents: Int[Tensor, " concept"]
    names: tuple[str, ...]
    center: Float[Tensor, " d"] | None

    def __post_init__(self):
        backwards = ((self.read * self.write).sum(1) <= 0).nonzero().squeeze(1).tolist()
        if backwards:
            raise ValueError(
                f"{len(backwards)} of {len(self.names)} concepts do not read what they write "
                f"(read . write <= 0), the first is {self.names[backwards[0]]}"
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def d(self) -> int:
        """Width of an activation."""
        return self.write.shape[1]

    def scaled(self, scale: float) -> "Teacher":
        """The same teacher for activations that are multiplied by `scale`."""
        center = None if self.center is None else self.center * scale
        return Teacher(self.read, self.write * scale, self.parents, self.names, center)


@final
@dataclass(frozen=True)
class Placement:
    """Which latent was taught which concept, and what became of the rest.

    `kept` is the share of the taught patterns' energy that the latents' vectors hold: below 1 where more
    children stand under one parent than its subspace has dimensions. `left_out` counts the others by reason.
    `codes` is what each latent says of its own concept, None where the lengths of patterns are not known.
    """

    latents: Int[Tensor, " taught"]
    names: tuple[str, ...] = ()
    kept: float = 1.0
    left_out: Mapping[str, int] = field(default_factory=dict)
    codes: Float[Tensor, " taught"] | None = None


BLANK = Placement(torch.zeros(0, dtype=torch.long))


def calibrated(read: Float[Tensor, "row d"], write: Float[Tensor, "row d"]) -> Float[Tensor, "row d"]:
    """Filters scaled so that a pattern reads as its own length, filter . write = |write|.

    A unit decoder vector d = write / |write| then writes back what was read: E[a | concept] = d . E[x - b |
    concept].
    """
    return read * (write.norm(dim=1) / (read * write).sum(1))[:, None]
