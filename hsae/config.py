"""The whole configuration of one job, typed: every key exists, is read by something, and is checked before work starts."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of the configuration: frozen, and a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)
