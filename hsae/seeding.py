"""One seed per run, one random stream per purpose: no two draws may share numbers by accident."""

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def _number(text: str) -> int:
    """63 bits of a hash: stable across processes, machines and Python versions, unlike `hash`."""
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> 1


def stream(seed: int, purpose: str) -> "torch.Generator":
    """A torch generator on the CPU for one purpose of one run."""
    import torch

    return torch.Generator().manual_seed(_number(f"{seed}/{purpose}"))


def numpy_stream(seed: int, purpose: str) -> "np.random.Generator":
    """The same for numpy."""
    import numpy as np

    return np.random.default_rng(_number(f"{seed}/{purpose}"))


def unit_interval(key: str, *, salt: str) -> float:
    """A number in [0, 1) that depends on the key and the salt alone."""
    return _number(f"{salt}/{key}") / 2**63


def split_of(key: str, *, salt: str, shares: Mapping[str, float]) -> str:
    """The split that a key falls into, for ever: `shares` are fractions that add up to 1, in a fixed order.

    Splits follow the unit that leaks (a document, a lemma, a template), so the key names that unit.
    """
    point, edge = unit_interval(key, salt=salt), 0.0
    for name, share in shares.items():
        edge += share
        if point < edge:
            return name
    return list(shares)[-1]
