"""Which texts go through the model together: those of like length, so that little of the pass is padding."""

from collections.abc import Iterator, Sequence


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
