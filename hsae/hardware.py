"""Which device `auto` is."""

from hsae.errors import UserError


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
