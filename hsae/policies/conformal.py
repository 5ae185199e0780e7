"""Concepts whose held-out contexts could be many: the size of their conformal sets."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from hsae.config import Part
from hsae.policies.view import View, unknown_first


class Settings(Part):
    """Nothing to choose."""

    name: Literal["conformal"]


def score(view: View, settings: Settings, *, seed: int) -> Float[np.ndarray, " concept"]:  # noqa: ARG001
    return unknown_first(view.judged.set_size)
