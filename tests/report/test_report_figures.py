"""Numbers behind the figures, in worlds small enough to know them."""

import numpy as np
import pytest

from hsae.concepts.categories import ABOVE, categories
from hsae.report.markup import data, tag
from hsae.report.plot import Axis, spread
from hsae.report.projection import kinship, neighbours, plane
from hsae.report.verdicts import Scale


def families(count: int, children: int, *, spread: float, d: int = 16) -> tuple[np.ndarray, list[int]]:
    """Parents first, then their children around them."""
    rng = np.random.default_rng(0)
    above = rng.normal(size=(count, d))
    below = np.repeat(above, children, axis=0) + spread * rng.normal(size=(count * children, d))
    return np.concatenate([above, below]), [-1] * count + [
        row for row in range(count) for _ in range(children)
    ]


def own_words(n: int) -> list[frozenset[str]]:
    return [frozenset({str(row)}) for row in range(n)]


def test_close_families_are_neighbours_and_scattered_ones_are_so_by_chance():
    for far, low, high in ((0.05, 0.7, 1.0), (1000.0, 0.0, 0.15)):
        vectors, parents = families(10, 6, spread=far)
        words = own_words(len(vectors))
        kin = kinship(neighbours(vectors, words), parents, words, seed=0)
        assert kin is not None
        assert low <= kin.share <= high
        assert kin.low <= kin.share <= kin.high
        assert kin.chance == pytest.approx(5 / 69)
        assert (kin.concepts, kin.parents) == (60, 10)


def test_two_senses_of_a_word_are_no_neighbours():
    vectors = np.array([[1.0, 0], [1.0, 0.01], [0.5, 1], [-1, 0.3]])
    words = [frozenset({"bank", "shore"}), frozenset({"bank"}), frozenset({"money"}), frozenset({"dog"})]
    assert neighbours(vectors, own_words(4), k=1)[0, 0] == 1
    assert neighbours(vectors, words, k=1)[0, 0] == 2


def test_without_siblings_there_is_no_share():
    vectors = np.eye(4)
    assert kinship(neighbours(vectors, own_words(4)), [-1, 0, 1, 2], own_words(4), seed=0) is None


def test_the_plane_keeps_families_together_and_is_the_same_each_time():
    vectors, parents = families(4, 10, spread=0.05)
    places = plane(vectors, seed=0)
    np.testing.assert_array_equal(places, plane(vectors, seed=0))
    away = np.linalg.norm(places[:, None] - places[None], axis=-1) + 1e9 * np.eye(len(places))
    nearest = away[4:, 4:].argmin(1)
    assert np.mean(np.array(parents[4:])[nearest] == parents[4:]) > 0.9


def test_a_handful_of_concepts_has_a_plane_too():
    assert plane(np.eye(3), seed=0).shape == (3, 2)
    assert plane(np.ones((1, 3)), seed=0).shape == (1, 2)


def test_categories_are_branches_that_tell_concepts_apart():
    # 0 > 1 > (2, 3), and below 2 and 3 ten concepts each: neither the root nor its only child tells anything
    parents = [-1, 0, 1, 1, *[2] * 10, *[3] * 10]
    assert categories(parents) == [ABOVE, ABOVE, 2, 3, *[2] * 10, *[3] * 10]


def test_unrelated_roots_are_categories_as_they_are():
    parents = [-1, -1, *[0] * 5, *[1] * 5]
    assert categories(parents) == [0, 1, *[0] * 5, *[1] * 5]


def test_ticks_are_round_and_inside():
    axis = Axis.over([-0.25, 0.87])
    assert axis.ticks == pytest.approx((-0.2, 0.0, 0.2, 0.4, 0.6, 0.8))
    assert axis.place(-0.25) == 0
    assert axis.place(0.87) == 100


def test_an_axis_over_one_value_has_room():
    assert Axis.over([3.0]).place(3.0) == 50


def test_labels_move_apart_in_their_order():
    moved = spread([10.0, 10.0, 50.0], gap=4)
    assert moved[2] == 50
    assert abs(moved[0] - moved[1]) == pytest.approx(4, abs=0.01)


def test_a_distant_null_does_not_squeeze_the_axis():
    verdict = {"value": 0.1, "low": 0.05, "high": 0.15, "threshold": 0.02, "null": -1.1}
    assert Scale.of([verdict]).axis.low == 0.02
    assert Scale.of([verdict | {"null": 0.0}]).axis.low == 0.0


def test_text_is_never_markup():
    assert tag("td", "a < b", title='"') == '<td title="&quot;">a &lt; b</td>'
    assert "</script>" not in data("x", {"gloss": "</script><b>"})[:-9]
