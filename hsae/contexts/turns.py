"""An order in which any beginning holds all roles, as far as there are contexts of them."""

from collections.abc import Iterable
from typing import Protocol, TypeVar, runtime_checkable

from hsae.contexts.context import Role

TURNS: tuple[Role, ...] = ("fit", "tune", "fit", "test")


@runtime_checkable
class HasRole(Protocol):
    """A template, a context: whatever has a role."""

    @property
    def role(self) -> Role: ...


T = TypeVar("T", bound=HasRole)


def in_turns(items: Iterable[T]) -> list[T]:
    """All of the items: the roles take turns while they last, and within a role the order stays.

    So four contexts of a concept suffice for all three roles.
    """
    waiting: dict[Role, list[T]] = {role: [] for role in TURNS}
    for item in items:
        waiting[item.role].append(item)
    for items_of_role in waiting.values():
        items_of_role.reverse()
    ordered: list[T] = []
    while any(waiting.values()):
        ordered += [waiting[role].pop() for role in TURNS if waiting[role]]
    return ordered
