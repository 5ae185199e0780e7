"""Concepts whose held-out contexts are not surely anything: one minus the likeliest concept's probability."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from hsae.config import Part
from hsae.policies.view import View, unknown_first


class Settings(Part):
    """Nothing to choose."""

    name: Literal["least_confidence"]


def score(view: View, settings: Settings, *, seed: int) -> Float[np.ndarray, " concept"]:  # noqa: ARG001
    return unknown_first(1 - view.judged.top)
