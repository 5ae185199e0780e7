"""Part of a taxonomy: so many concepts and no more, nothing without what stands above it."""

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest

from hsae.concepts.taxonomy import Taxonomy
from hsae.errors import UserError


def first(taxonomy: Taxonomy, n: int, *, order: Sequence[int], source: str) -> Taxonomy:
    """Exactly `n` concepts, taken in `order` (all rows), each together with its ancestors.

    One whose ancestors do not fit any more is passed over. Raises `UserError` where `source` has fewer.
    """
    if n > len(taxonomy):
        raise UserError(
            f"concepts.n={n}: {source} has {len(taxonomy)} concepts.\n"
            f"Type concepts.n={len(taxonomy)} or less, or concepts.n=null for all."
        )
    chosen: set[str] = set()
    for row in order:
        family = _missing(taxonomy, taxonomy.concepts[row].id, chosen)
        # one pass reaches n: the ancestors of what is passed over could by themselves fill what is left
        if len(chosen) + len(family) <= n:
            chosen |= family
        if len(chosen) == n:
            break
    return taxonomy.keep(chosen)


def in_turns(groups: Iterable[Sequence[int]]) -> list[int]:
    """The first of every group, then the second of every group that has one, and so on."""
    return [row for row in chain.from_iterable(zip_longest(*groups)) if row is not None]


def _missing(taxonomy: Taxonomy, id: str, chosen: set[str]) -> set[str]:
    """The concept and its ancestors, over all parents, as far as they are not chosen yet."""
    family: set[str] = set()
    todo = [id]
    while todo:
        if (id := todo.pop()) not in chosen and id not in family:
            family.add(id)
            todo.extend(taxonomy[id].parents)
    return family
