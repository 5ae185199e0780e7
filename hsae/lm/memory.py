"""Freed memory is kept for the next batch instead of being handed back to the system.

glibc returns what lies free at the top of its heap, and every large tensor that is mapped on its own; the
next batch then faults in each page anew, which costs as much as copying into it. Measured with all sites of
the tiny model captured on one core: 0.92 of the bare forward pass by default, 0.98 when memory is kept.
"""

import ctypes
import sys

_TRIM, _MAP = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h


def hold_memory() -> None:
    """From now on, tensors of the CPU come from memory that this process keeps; without glibc, nothing
    changes."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MAP, 1 << 30)
        mallopt(_TRIM, (1 << 31) - 1)
