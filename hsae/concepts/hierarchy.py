"""What stands above what: parents before children, and no circles in what people have written down."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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

    At most `most` parents a child. Ids keep places in which every parent stands before its children; an edge
    that contradicts them moves only what lies between its ends (Pearce and Kelly 2006), so that a million
    edges take seconds where searching all that stands above each would take hours.
    """
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    place: dict[str, int] = {}
    circles = 0
    for child, parent in edges:
        place.setdefault(parent, len(place))
        place.setdefault(child, len(place))
        if parent in above.get(child, ()) or (most is not None and len(above.get(child, ())) >= most):
            continue
        if place[parent] >= place[child] and not _move(child, parent, above, below, place):
            circles += 1
            continue
        above.setdefault(child, []).append(parent)
        below.setdefault(parent, []).append(child)
    return Hierarchy({id: tuple(parents) for id, parents in above.items()}, circles)


def _move(
    child: str,
    parent: str,
    above: Mapping[str, Sequence[str]],
    below: Mapping[str, Sequence[str]],
    place: dict[str, int],
) -> bool:
    """Gives the parent and what is above it the earlier places; False where it is below the child."""
    first, last = place[child], place[parent]
    later = _reach(child, below, lambda id: place[id] <= last)
    if parent in later:
        return False
    earlier = _reach(parent, above, lambda id: place[id] >= first)
    moved = [*sorted(earlier, key=place.__getitem__), *sorted(later, key=place.__getitem__)]
    for id, free in zip(moved, sorted(place[id] for id in moved), strict=True):
        place[id] = free
    return True


def _reach(start: str, edges: Mapping[str, Sequence[str]], within: Callable[[str], bool]) -> set[str]:
    found, todo = {start}, [start]
    while todo:
        for id in edges.get(todo.pop(), ()):
            if id not in found and within(id):
                found.add(id)
                todo.append(id)
    return found
