"""Concepts whose held-out contexts are taken for different ones at different sites (query by committee, Seung
et al. 1992)."""

from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import Float

from hsae.config import Part
from hsae.errors import UserError
from hsae.policies.view import View, unknown_first


class Settings(Part):
    """Nothing to choose."""

    name: Literal["disagreement"]


def score(view: View, settings: Settings, *, seed: int) -> Float[np.ndarray, " concept"]:  # noqa: ARG001
    """Share of pairs of sites that disagree. Raises `UserError` for an encyclopedia of one site."""
    if len(view.book.sites) < 2:
        raise UserError(
            f"policy=disagreement asks several sites, and the encyclopedia has {view.site} alone.\n"
            "Type layers=thirds, or another policy."
        )
    guesses = [view.at(site).guesses() for site in view.book.sites]
    apart = np.mean([one != other for one, other in combinations(guesses, 2)], axis=0)
    return unknown_first(view.by_concept(apart))
