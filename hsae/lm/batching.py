"""Which texts go through the model together: those of like length, so that little of the pass is padding."""

from collections.abc import Iterator, Sequence

import numpy as np


def by_length(lengths: Sequence[int], *, tokens: int) -> Iterator[list[int]]:
    """Indices in batches whose rectangle (texts x longest) holds at most `tokens`, the longest texts first.

    A text longer than that goes alone. The same lengths always give the same batches.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    start = 0
    while start < len(order):
        stop = start + max(1, tokens // max(1, lengths[order[start]]))
        yield order[start:stop]
        start = stop


def by_cost(lengths: Sequence[int], *, tokens: int) -> Iterator[list[int]]:
    """As `by_length`, in the batches that cost least together: the sum of their rectangles and, for what each
    pass costs however small it is, a thirty-second of `tokens`.

    Where lengths differ much (a bare word, the same behind its gloss) half of what `by_length` reads is
    padding. The cheapest cut into runs of falling length, by dynamic programming over the lengths that occur.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    falling = np.array([lengths[index] for index in order], np.int64)
    edges = np.append(np.flatnonzero(np.diff(falling, prepend=-1)), len(falling))
    width = np.maximum(falling[edges[:-1]], 1)
    together = np.maximum(tokens // width, 1)
    least, cut = np.zeros(len(edges)), np.zeros(len(edges), np.int64)
    for end in range(1, len(edges)):
        rows = edges[end] - edges[:end]
        cost = least[:end] + rows * width[:end] - (-rows // together[:end]) * (tokens / 32)
        cut[end] = cost.argmin()
        least[end] = cost[cut[end]]
    runs, end = [], len(edges) - 1
    while end > 0:
        runs.append((int(edges[cut[end]]), int(edges[end]), int(together[cut[end]])))
        end = int(cut[end])
    for first, behind, most in reversed(runs):
        for start in range(first, behind, most):
            yield order[start : min(start + most, behind)]
