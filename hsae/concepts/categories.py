"""A few categories that a reader knows, out of a taxonomy of any depth: WordNet's roots are too wide for a
legend.
"""

from collections.abc import Sequence

MOST = 8
"""Categories that count: as many as a legend has colours."""

ABOVE = -1
"""Of a concept that stands above all categories."""

FEWEST = 3
"""Concepts that a branch must have to be a category at all."""


def categories(parents: Sequence[int]) -> list[int]:
    """Row of each concept's category, itself a concept; ABOVE where it has none. Parents come before
    children.

    Starting from the roots, the largest category is split into its children again and again. Of all these
    cuts the one is kept under which two concepts drawn at random most often have different colours, the
    first one a colour at all: the sum of s (1 - s) over the shares s of the MOST largest categories.
    """
    children: list[list[int]] = [[] for _ in parents]
    for row, parent in enumerate(parents):
        if parent >= 0:
            children[parent].append(row)
    size = _sizes(parents)
    cut = [row for row, parent in enumerate(parents) if parent < 0]
    best, told = cut, _tells_apart(cut, size, len(parents))
    for _ in range(4 * MOST):
        widest = max((row for row in cut if children[row]), key=lambda row: size[row], default=None)
        if widest is None:
            break
        cut = [row for row in cut if row != widest] + children[widest]
        if (now := _tells_apart(cut, size, len(parents))) > told:
            best, told = cut, now
    return _nearest(parents, set(best))


def _sizes(parents: Sequence[int]) -> list[int]:
    """Concepts at and below each."""
    size = [1] * len(parents)
    for row in reversed(range(len(parents))):
        if parents[row] >= 0:
            size[parents[row]] += size[row]
    return size


def _tells_apart(cut: Sequence[int], size: Sequence[int], total: int) -> float:
    shares = sorted((size[row] / total for row in cut if size[row] >= FEWEST), reverse=True)
    return sum((share * (1 - share) for share in shares[:MOST]), start=0.0)


def _nearest(parents: Sequence[int], chosen: set[int]) -> list[int]:
    found = [ABOVE] * len(parents)
    for row in range(len(parents)):
        found[row] = row if row in chosen else found[parents[row]] if parents[row] >= 0 else ABOVE
    return found
