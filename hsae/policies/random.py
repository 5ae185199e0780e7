"""Concepts in an order drawn anew in each round: what every other policy has to beat."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from hsae.config import Part
from hsae.policies.view import View
from hsae.seeding import unit_interval


class Settings(Part):
    """Nothing to choose."""

    name: Literal["random"]


def score(view: View, settings: Settings, *, seed: int) -> Float[np.ndarray, " concept"]:  # noqa: ARG001
    return np.array([unit_interval(id, salt=f"random policy {seed}") for id in view.ids])
