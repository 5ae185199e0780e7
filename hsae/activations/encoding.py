"""Activations as they are kept: 16-bit floats, or 8-bit integers with one scale per row."""

from typing import Literal, NamedTuple, final, get_args

import torch
from jaxtyping import Float, Float32, Num
from torch import Tensor

Dtype = Literal["float16", "bfloat16", "int8"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)

_STEPS = 127  # of int8 on each side of 0; -128 is left out, so that x and -x are kept alike


@final
class Rows(NamedTuple):
    """Activations of one site in the form in which they are kept."""

    values: Num[Tensor, "row d"]
    """float16, bfloat16 or int8."""
    scale: Float32[Tensor, " row"] | None = None
    """Of int8 alone: what a step of 1 stands for in each row."""


def encode(x: Float[Tensor, "row d"], dtype: Dtype) -> Rows:
    """The rows rounded to `dtype`, on their own device.

    int8: scale = max|x| / 127 and values = round(x / scale), so that no value is off by more than
    max|x| / 254. What the dtype cannot hold is not looked for here, but by `broken`.
    """
    if dtype != "int8":
        return Rows(x.to(getattr(torch, dtype)))
    scale = x.abs().amax(1).float() / _STEPS
    safe = torch.where(scale > 0, scale, 1.0)  # a row of zeros, or of numbers next to nothing
    steps = (x.float() / safe[:, None]).round_().clamp_(-_STEPS, _STEPS)
    return Rows(steps.to(torch.int8), scale)


def decode(rows: Rows) -> Float32[Tensor, "row d"]:
    """The activations that the rows stand for."""
    values = rows.values.float()
    return values if rows.scale is None else values.mul_(rows.scale[:, None])


def broken(rows: Rows) -> int | None:
    """The first row that holds a number that is not finite: activations that were none, or too large for the
    dtype (float16 ends at 65504)."""
    kept = rows.values if rows.scale is None else rows.scale[:, None]
    if not kept.numel():
        return None
    low, high = kept.aminmax()  # one pass that copies nothing; a NaN anywhere makes both NaN
    if torch.isfinite(low) and torch.isfinite(high):
        return None
    return int((~torch.isfinite(kept)).any(1).nonzero()[0])
