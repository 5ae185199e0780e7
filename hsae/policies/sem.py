"""Concepts whose mean is least certain: its standard error over how far it lies from the average concept."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from hsae.config import Part
from hsae.policies.view import View


class Settings(Part):
    """Nothing to choose."""

    name: Literal["sem"]


def score(view: View, settings: Settings, *, seed: int) -> Float[np.ndarray, " concept"]:  # noqa: ARG001
    return view.error
