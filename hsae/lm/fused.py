"""torch's own Transformer layers fuse a whole layer into one kernel in evaluation mode, past all submodules.

Hooks inside a layer would not fire, and those on an encoder stop it with padding. While this is off, the same
layer runs step by step, whichever sites are asked for; its result differs from the fused one by rounding.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import torch
from torch import nn

_lock = Lock()
_users = 0
_before = True


def has_fused(model: nn.Module) -> bool:
    """Whether a model holds any of torch's layers that may fuse."""
    fusing = nn.MultiheadAttention | nn.TransformerEncoder | nn.TransformerEncoderLayer
    return any(isinstance(part, fusing) for part in model.modules())


@contextmanager
def unfused() -> Iterator[None]:
    """Inside the `with`, torch's Transformer layers run step by step."""
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _users, _before
    with _lock:  # the switch is torch's and global; threads may be inside at once
        if _users == 0:
            _before = torch.backends.mha.get_fastpath_enabled()
            torch.backends.mha.set_fastpath_enabled(False)
        _users += 1


def _leave() -> None:
    global _users
    with _lock:
        _users -= 1
        if _users == 0:
            torch.backends.mha.set_fastpath_enabled(_before)
