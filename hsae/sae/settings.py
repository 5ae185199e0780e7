"""The keys that every sparse autoencoder has; a variant's `Settings` adds its own."""

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from hsae.config import Part


class Common(Part):
    """How many latents, how many at once, and how they are learned."""

    latents: PositiveInt | None
    """How many, on all levels together; null takes `expansion` times the width of an activation."""
    expansion: PositiveInt
    k: PositiveInt
    """Latents that may fire at once, on all levels together."""
    lr: PositiveFloat | None
    """Adam's learning rate; null is 2e-4 / sqrt(latents / 2^14) (Gao et al. 2024)."""
    clip: PositiveFloat
    """Largest norm of the whole gradient."""
    aux: Annotated[float, Field(ge=0)]
    """Weight of the loss that brings dead latents back; 0 lets them lie."""
    dead_after: PositiveInt | None
    """Tokens of silence after which a latent is dead; null is a tenth of the training, at most 10 M."""

    taught: Annotated[float, Field(gt=0, le=1)]
    """Share of the latents (of the tops) that a teacher may fill; the rest learns what it does not know."""

    def width(self, d: int) -> int:
        """Latents over activations of width d."""
        return self.latents or self.expansion * d
