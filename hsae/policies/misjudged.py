"""Concepts whose held-out contexts are taken for others: one minus the probability of the concept.

The other policies ask whether the posterior is sure; this one, since labels are known, whether it is right.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float

from hsae.config import Part
from hsae.policies.view import View, unknown_first


class Settings(Part):
    """Nothing to choose."""

    name: Literal["misjudged"]


def score(view: View, settings: Settings, *, seed: int) -> Float[np.ndarray, " concept"]:  # noqa: ARG001
    return unknown_first(1 - view.judged.right)
