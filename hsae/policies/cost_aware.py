"""Concepts of which a token tells most: how much the squared error of the mean is expected to fall with one
more context, over what the context costs.

    e^2(n) - e^2(n + 1) = e^2(n) / (n + 1)
"""

from typing import Literal

import numpy as np
from jaxtyping import Float

from hsae.config import Part
from hsae.policies.view import View


class Settings(Part):
    """Nothing to choose."""

    name: Literal["cost_aware"]


def score(view: View, settings: Settings, *, seed: int) -> Float[np.ndarray, " concept"]:  # noqa: ARG001
    return view.error**2 / (view.count + 1) / view.tokens
