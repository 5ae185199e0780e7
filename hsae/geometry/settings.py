"""What every source of concept vectors can be asked for."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from hsae.config import Part

Share = Annotated[float, Field(ge=0, le=1)]


class Claims(Part):
    """What is claimed of the vectors' geometry, and from where on it holds: said before they are seen."""

    alpha: Annotated[float, Field(gt=0, lt=1)]
    """Chance of even one false claim among the four."""
    permutations: PositiveInt
    """Times that everything is estimated again with the concepts' vectors shuffled."""
    nearer: Share
    """A child is nearer its own family than this share of others; chance is 0.5."""
    beyond_words: Share
    """By so much more than the embeddings of the words' own tokens say."""
    whole: Annotated[float, Field(gt=0)]
    """A child holds this share of its family's pattern; theory says 1."""
    orthogonal: Share
    """|cos| of what a child adds with its family's pattern stays below this; theory says 0."""


class Teaching(Part):
    """Which vectors teach, and how they are estimated."""

    source: Literal["encyclopedia", "unembedding"]
    """Means over contexts at the chosen site, or the rows of the unembedding at `final_norm`."""
    control: Literal["none", "shuffled", "rotated"]
    """What is taken away from the vectors, to see what help remains without it."""
    shrinkage: Annotated[float, Field(gt=0, le=1)]
    """Share of the covariance that is replaced by its mean variance in every direction."""
    claims: Claims
