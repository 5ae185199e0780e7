"""Means and covariance of concepts whose contexts were dealt anew: what estimation finds where nothing is."""

from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from hsae.encyclopedia.encyclopedia import Encyclopedia
from hsae.encyclopedia.statistics import Moments
from hsae.errors import UserError
from hsae.seeding import numpy_stream


@final
class Estimate(NamedTuple):
    """As `Encyclopedia.mean` and `Encyclopedia.covariance` give them."""

    mean: Float[Tensor, "concept d"]
    within: Float64[Tensor, "d d"]


def permuted(book: Encyclopedia, site: str, *, seed: int) -> Estimate:
    """Estimated again from the raw rows of the role `fit`, their concepts permuted: every concept keeps its
    number of rows. Raises `UserError` where the encyclopedia keeps too few rows for a covariance."""
    rows = book.rows(site, role="fit")
    concept = numpy_stream(seed, "permuted concepts").permutation(rows.concept)
    moments = Moments.of(rows.x.astype(np.float64), concept, groups=len(book.taxonomy))
    freedom = int(np.maximum(moments.count - 1, 0).sum())
    if freedom == 0:
        raise UserError(
            f"the encyclopedia {book.folder} keeps no two raw rows of a concept to fit by.\n"
            "Bootstrap it with encyclopedia.sample of 2 or more."
        )
    away = torch.from_numpy(rows.x.astype(np.float64) - moments.mean[concept])
    mean = torch.from_numpy(moments.mean).float()
    mean[torch.from_numpy(moments.count == 0)] = float("nan")
    return Estimate(mean, away.T @ away / freedom)
