"""The keys of every interpreter that learns by gradients; its own `Settings` adds to them."""

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from hsae.config import Part


class Learning(Part):
    """AdamW on mini-batches, until the loss on the role `tune` no longer falls."""

    lr: PositiveFloat
    weight_decay: Annotated[float, Field(ge=0)]
    """Of matrices; biases, norms and embeddings of places do not decay."""
    warmup: Annotated[float, Field(ge=0, lt=1)]
    """Share of the steps in which the learning rate rises from 0; then it falls along a cosine."""
    epochs: PositiveInt
    patience: PositiveInt
    """Epochs without a lower loss on tune after which it stops; the best epoch's weights are kept."""
    batch: PositiveInt
    clip: PositiveFloat
    """Largest norm of the whole gradient."""


class Layered(Learning):
    """The same for one with hidden layers."""

    hidden: PositiveInt
    """Width of each hidden layer."""
    depth: PositiveInt
    """Hidden layers."""
    dropout: Annotated[float, Field(ge=0, lt=1)]


class Attending(Learning):
    """The same for a transformer."""

    d_model: PositiveInt
    """Width of its stream."""
    heads: PositiveInt
    depth: PositiveInt
    """Its layers."""
    feedforward: PositiveInt
    """Width inside its MLPs."""
    dropout: Annotated[float, Field(ge=0, lt=1)]
