"""What stands above what: parents before children, and no circles in what people have written down."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple


class Hierarchy(NamedTuple):
    """The parents of every id that has some, the main one first, and how many edges closed a circle."""

    parents: dict[str, tuple[str, ...]]
    circles: int


def parents_first(parents: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, int]]:
    """Every id with its depth along the main parents: by the longest way up to a root, then by id.

    Raises `ValueError` where the parents run in a circle.
    """
    children: dict[str, list[str]] = {id: [] for id in parents}
    for id, above in parents.items():
        for parent in above:
            children[parent].append(id)
    waits = {id: len(above) for id, above in parents.items()}
    depth: dict[str, int] = {}
    level = sorted(id for id, above in parents.items() if not above)
    while level:
        free = []
        for id in level:
            depth[id] = depth[parents[id][0]] + 1 if parents[id] else 0
            yield id, depth[id]
            for child in children[id]:
                waits[child] -= 1
                if not waits[child]:
                    free.append(child)
        level = sorted(free)
    if len(depth) < len(parents):
        raise ValueError(f"{len(parents) - len(depth)} concepts stand on circles or below them")


def without_circles(edges: Iterable[tuple[str, str]], *, most: int | None = None) -> Hierarchy:
    """Takes the edges (child, parent) in turn, and leaves out each that closes a circle with those taken.

    At most `most` parents a child; an edge given twice counts once.
    """
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    circles = 0
    for child, parent in edges:
        have = above.get(child, ())
        if parent in have or (most is not None and len(have) >= most):
            continue
        if _stands_above(child, parent, above, below):
            circles += 1
            continue
        above.setdefault(child, []).append(parent)
        below.setdefault(parent, []).append(child)
    return Hierarchy({id: tuple(parents) for id, parents in above.items()}, circles)


def _stands_above(
    upper: str, lower: str, above: Mapping[str, Sequence[str]], below: Mapping[str, Sequence[str]]
) -> bool:
    """Whether `upper` is `lower` or reached from it on the way up.

    Searches up from the one and down from the other by turns, and ends with the first of the two that comes
    to its end: a word has few ancestors or few descendants, seldom many of both.
    """
    if upper == lower:
        return True
    up, down = _walk(lower, above), _walk(upper, below)
    return any(higher == upper or deeper == lower for higher, deeper in zip(up, down, strict=False))


def _walk(start: str, edges: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What is reached from the start, without it, each once."""
    found, todo = {start}, [start]
    while todo:
        for id in edges.get(todo.pop(), ()):
            if id not in found:
                found.add(id)
                todo.append(id)
                yield id
