"""What every source of concept vectors can be asked for."""

from typing import Annotated, Literal

from pydantic import Field

from hsae.config import Part


class Teaching(Part):
    """Which vectors teach, and how they are estimated."""

    source: Literal["encyclopedia", "unembedding"]
    """Means over contexts at the chosen site, or the rows of the unembedding at `final_norm`."""
    control: Literal["none", "shuffled", "rotated"]
    """What is taken away from the vectors, to see what help remains without it."""
    shrinkage: Annotated[float, Field(gt=0, le=1)]
    """Share of the covariance that is replaced by its mean variance in every direction."""
