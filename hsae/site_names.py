"""Names of sites as text: what can be typed, and what it means in a model of so many layers.

embed  final_norm  logits         before and behind all layers
resid_post.3  mlp_act.-1          a role in a layer, negative ones from the end
resid_post.0-11:2  mlp_out.4..-1  a role in a range of layers, both ends in it
out:h.3.mlp  in:h.3.mlp           what a module returns or reads, by its path in the model
"""

import re
from difflib import get_close_matches
from typing import Any, Literal, get_args

Role = Literal["resid_pre", "attn_out", "resid_mid", "mlp_in", "mlp_act", "mlp_out", "resid_post"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Places in each layer of an LM, in the order of the forward pass."""

ENDS = ("embed", "final_norm", "logits")
"""The places before and behind all layers."""

MODULE = re.compile(r"(in|out):(\w+(?:\.\w+)*)")
"""A module by its path: its input or its output."""

_LAYERS = re.compile(r"(-?\d+)(?:(?:\.\.|-)(-?\d+)(?::([1-9]\d*))?)?")


def spread(said: int | str, layers: int) -> range:
    """The layers that an index (3, -1) or a range (`0-11:2`, `4..-1`) means in a model of so many layers.

    A layer that the model does not have stays outside of 0..layers-1.
    """
    match = _LAYERS.fullmatch(str(said))
    assert match is not None, said
    first, step = int(match[1]), int(match[3] or 1)
    first, last = (end + layers if end < 0 else end for end in (first, int(match[2] or first)))
    return range(first, last + 1, step)


def named(site: str, layers: int) -> list[str]:
    """The sites that a name stands for: `resid_post.-2..-1` in a model of 6 layers for 4 and 5."""
    role, _, number = site.partition(".")
    return [f"{role}.{layer}" for layer in spread(number, layers)] if role in ROLES else [site]


def check_layer(said: Any) -> int | str:
    """An index or a range, as it was typed. Raises ValueError for what is neither, or can hold no layer."""
    match = _LAYERS.fullmatch(str(said))
    if isinstance(said, bool) or match is None:
        raise ValueError(f"{said!r} names no layers; type an index (3, -1) or a range (0-11:2, 4..-1)")
    if match[2] is None:
        return int(match[1])
    if (int(match[1]) < 0) == (int(match[2]) < 0) and int(match[1]) > int(match[2]):
        raise ValueError(f"{said!r} is empty: a range goes up, from its first layer to its last")
    return said


def check_site(name: str) -> str:
    """A name that some model may have a site of. Raises ValueError for one that none can have."""
    role, dot, number = name.partition(".")
    if name in ENDS or MODULE.fullmatch(name):
        return name
    if role not in ROLES or not dot or not _LAYERS.fullmatch(number):
        known = f"sites are {', '.join(ENDS)}, {'.N, '.join(ROLES)}.N, and out:PATH or in:PATH of a module"
        meant = _meant(role, number)
        raise ValueError(
            f"there is no site {name!r}; " + (f"did you mean {meant}? ({known})" if meant else known)
        )
    check_layer(number)
    return name


def _meant(role: str, rest: str) -> str | None:
    """The role that is nearest to the one typed, else the module that a path without `out:` names."""
    if near := get_close_matches(role, (*ROLES, *ENDS), n=1):
        layer = f".{rest if _LAYERS.fullmatch(rest) else 'N'}"
        return near[0] if near[0] in ENDS else near[0] + layer
    path = f"out:{role}.{rest}"
    return path if MODULE.fullmatch(path) else None
