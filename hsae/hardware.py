"""Which device `auto` is, and which dtype."""

from typing import TYPE_CHECKING

from hsae.errors import UserError

if TYPE_CHECKING:
    import torch


def device(asked: str) -> str:
    """`auto` is the best there is: cuda, mps, cpu. Raises UserError for one that is not there."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked == "auto":
        return next(kind for kind, found in there.items() if found)
    if not there.get(asked.partition(":")[0], True):
        raise UserError(
            f"hardware.device={asked} was asked for, and torch finds no such device.\nType: hardware=cpu"
        )
    return asked


def dtype(asked: str, device: str) -> "torch.dtype":
    """`auto` is bfloat16 on a GPU that computes in it, float32 elsewhere: on a CPU, half precision is
    slower."""
    import torch

    if asked != "auto":
        return getattr(torch, asked)
    return torch.bfloat16 if device.startswith("cuda") and torch.cuda.is_bf16_supported() else torch.float32
