"""Which device `auto` is, and which dtype; how much memory is free."""

import os
from pathlib import Path
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


def ram() -> int:
    """Bytes of memory that may still be taken: what the system has available, or what its control group
    leaves, if that is less."""
    told = Path("/proc/meminfo")
    if told.is_file():
        said = dict(line.split(":", 1) for line in told.read_text().splitlines())
        free = 1024 * int(said["MemAvailable"].split()[0])
    else:
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    if limit.is_file() and used.is_file() and (most := limit.read_text().strip()).isdecimal():
        free = min(free, int(most) - int(used.read_text()))
    return free


def gpu_memory(device: str) -> int | None:
    """Bytes that are free on a GPU; None for a device without memory of its own."""
    import torch

    return torch.cuda.mem_get_info(device)[0] if device.startswith("cuda") else None
