"""Parents come first, and a circle is broken at its last edge and nowhere else."""

import random

import pytest

from hsae.concepts.hierarchy import parents_first, without_circles


def slowly(edges):
    """The obvious twin: an edge goes where its child is already among all that stands above its parent."""
    above, circles = {}, 0
    for child, parent in edges:
        higher, todo = {parent}, [parent]
        while todo:
            fresh = set(above.get(todo.pop(), ())) - higher
            higher |= fresh
            todo += fresh
        if child in higher:
            circles += 1
        elif parent not in above.setdefault(child, []):
            above[child].append(parent)
    return {child: tuple(parents) for child, parents in above.items() if parents}, circles


def tangle(seed, *, nodes=12, edges=40):
    draw = random.Random(seed)
    return [(str(draw.randrange(nodes)), str(draw.randrange(nodes))) for _ in range(edges)]


@pytest.mark.parametrize("seed", range(30))
def test_edges_that_close_a_circle_are_left_out_and_counted_and_no_others(seed):
    assert without_circles(tangle(seed)) == slowly(tangle(seed))


@pytest.mark.parametrize("seed", range(5))
def test_a_limit_keeps_the_first_parents_that_close_no_circle(seed):
    parents, _ = without_circles(tangle(seed), most=1)
    assert all(len(above) == 1 for above in parents.values())
    ids = {id for edge in tangle(seed) for id in edge}
    assert {id for id, _ in parents_first({id: parents.get(id, ()) for id in ids})} == ids


def test_of_a_circle_the_last_edge_goes():
    parents, circles = without_circles([("dog", "pet"), ("pet", "friend"), ("friend", "dog"), ("cat", "cat")])
    assert parents == {"dog": ("pet",), "pet": ("friend",)} and circles == 2


def test_parents_stand_before_children_and_depth_goes_by_the_first_parent():
    above = {"c": ["b", "a"], "b": ["a"], "a": [], "d": ["a", "c"], "z": []}
    assert list(parents_first(above)) == [("a", 0), ("z", 0), ("b", 1), ("c", 2), ("d", 1)]


def test_a_circle_that_was_not_broken_is_noticed():
    with pytest.raises(ValueError, match="2 concepts stand on circles"):
        list(parents_first({"a": ["b"], "b": ["a"], "c": []}))
