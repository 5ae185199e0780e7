"""Concepts that are not surely found among those they are most easily taken for: the lower bound of the
leave-template-out retrieval margin (see `hsae.encyclopedia.refinement.margins`)."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from hsae.config import Part
from hsae.policies.view import View


class Settings(Part):
    """Nothing to choose."""

    name: Literal["retrieval_margin"]


def score(view: View, settings: Settings, *, seed: int) -> Float[np.ndarray, " concept"]:  # noqa: ARG001
    lower = view.margins.lower
    return np.where(np.isfinite(lower), -lower, np.inf)
