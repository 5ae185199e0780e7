"""Tokens per second of models of known shapes beside what the machine's arithmetic allows."""

import time
from collections.abc import Iterator
from functools import cache

import torch

from experiments.benchmarks.harvest.capture import captured, settle
from experiments.benchmarks.harvest.worlds import World
from experiments.benchmarks.rounds import median, rates, ratio
from experiments.benchmarks.rows import Row


@cache
def peak(device: str, dtype: torch.dtype) -> float:
    """FLOPs per second of the fastest of several large products of square matrices."""
    width = 8192 if device.startswith("cuda") else 2048
    a, b = (torch.randn(width, width, device=device, dtype=dtype) for _ in range(2))
    a @ b
    best = 0.0
    for _ in range(10):
        settle()
        start = time.perf_counter()
        a @ b
        settle()
        best = max(best, 2 * width**3 / (time.perf_counter() - start))
    return best


def measure(world: World, rounds: int, *, device: str) -> Iterator[Row]:
    """All layers captured: FLOPs per second in the matrices that the tokens pass, over the peak."""
    sites = world.layers(world.lm.layers)
    found = rates({"all": captured(world, sites)}, rounds=rounds, settle=settle)["all"]
    a_token = 2 * world.facts.passed(sites[-1])
    most = peak(device, world.lm.model.dtype)
    yield Row(
        "limit",
        world.name,
        f"{len(sites)} layers captured: {median(found):,.0f} tokens/s = "
        f"{median(found) * a_token / 1e12:,.3g} TFLOP/s",
        f"peak {most / 1e12:,.3g} TFLOP/s = {most / a_token:,.0f} tokens/s of {a_token / 1e6:,.0f} MFLOP",
        ratio(found, [most / a_token] * len(found)),
    )
