"""W&B without a network: the run waits under `<outputs>/wandb` for `wandb sync`."""

from typing import Literal

from hsae.loggers.wandb import Settings as Online
from hsae.loggers.wandb import opened

__all__ = ["Settings", "opened"]


class Settings(Online):
    name: Literal["wandb_offline"]  # type: ignore[assignment]
