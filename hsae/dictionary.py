"""What every dictionary can do, be it an SAE, the encyclopedia or PCA: the one face that evaluations see."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class Dictionary(Protocol):
    """x [batch d] -> code [batch latent] -> x_hat [batch d]; row v of `vectors` is what latent v writes."""

    @property
    def vectors(self) -> Float[Tensor, "latent d"]: ...

    @property
    def latents(self) -> int: ...

    @property
    def d(self) -> int: ...

    def encode(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch latent"]: ...

    def decode(self, code: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch d"]: ...
