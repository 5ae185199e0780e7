"""Two ways to do the same work, timed in turns: what the machine does meanwhile slows both, and their ratio
stays."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, final

Contender = Callable[[], int]
"""Does some work and says how many tokens (or rows) it was."""


@final
class Ratio(NamedTuple):
    """The median of the rounds' ratios, and the order statistics that hold the true median."""

    value: float
    low: float
    high: float
    rounds: int


def rates(
    contenders: Mapping[str, Contender],
    *,
    rounds: int,
    settle: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Tokens per second of each contender in each round.

    Every round runs all of them, every second round in the opposite order; a round before the first fills
    caches and buffers and is not counted. `settle` waits for what is still under way, on a GPU.
    """
    order = list(contenders)
    found: dict[str, list[float]] = {name: [] for name in order}
    for number in range(-1, rounds):
        for name in order if number % 2 else reversed(order):
            settle()
            start = clock()
            done = contenders[name]()
            settle()
            if number >= 0:
                found[name].append(done / (clock() - start))
    return found


def ratio(ours: Sequence[float], theirs: Sequence[float], *, level: float = 0.95) -> Ratio:
    """Median over rounds of ours / theirs, with the narrowest symmetric pair of order statistics that covers
    the true median at `level`, or all rounds where they are too few for that."""
    each = sorted(mine / other for mine, other in zip(ours, theirs, strict=True))
    n = len(each)
    rank, beyond = 0, 1 / 2**n  # beyond: the chance that at most `rank` rounds fall below the true median
    while rank < (n - 1) // 2 and beyond <= (1 - level) / 2:
        rank += 1
        beyond += math.comb(n, rank) / 2**n
    return Ratio(median(each), each[max(0, rank - 1)], each[n - max(1, rank)], n)


def median(values: Sequence[float]) -> float:
    """The middle one, or the mean of the two in the middle."""
    each, n = sorted(values), len(values)
    return (each[(n - 1) // 2] + each[n // 2]) / 2
