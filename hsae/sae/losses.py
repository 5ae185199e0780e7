"""What a dictionary is trained to do, as functions of one batch."""

import torch
from jaxtyping import Float
from torch import Tensor


def unexplained(x: Float[Tensor, "batch d"], x_hat: Float[Tensor, "batch d"]) -> Float[Tensor, ""]:
    """sum |x - x_hat|^2 / sum |x - mean(x)|^2 over the batch: 0 is perfect, 1 is predicting the batch's mean.

    A loss, so it differentiates and belongs to one batch; `hsae.metrics` measures.
    """
    variance = (x - x.mean(0)).square().sum()
    return (x - x_hat).square().sum() / variance.clamp(min=torch.finfo(x.dtype).tiny)
