import math

import pytest

from hsae.report.numbers import duration, estimate, fixed, large, number, plural


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.83214, "0.832"),
        (31.872, "31.9"),
        (1234.5, "1,234"),
        (0.000123, "0.000123"),
        (0, "0"),
        (-0.5, "−0.500"),
    ],
)
def test_three_digits_are_enough(value, shown):
    assert number(value) == shown


def test_a_tiny_number_keeps_its_exponent_and_a_missing_one_is_a_dash():
    assert number(1.5e-7) == "1.50e−7".replace("e−7", "e−07")
    assert number(None) == "–"
    assert number(math.inf) == "∞"


def test_an_interval_decides_how_many_digits_a_value_has():
    assert estimate(0.83214, 0.82, 0.84) == ("0.832", "[0.820, 0.840]")
    assert estimate(0.83214, 0.5, 1.1) == ("0.83", "[0.50, 1.10]")
    assert estimate(1200.3, 1100, 1300) == ("1,200", "[1,100, 1,300]")


def test_no_interval_is_invented():
    assert estimate(0.5, None, None) == ("0.500", "")


def test_nothing_is_minus_zero():
    assert fixed(-0.0001, 2) == "0.00"


def test_large_numbers_are_said_in_words():
    assert [large(n) for n in (999, 9_999, 300_000, 3_150_000)] == ["999", "9,999", "300 k", "3.15 M"]


def test_times_are_said_in_the_units_that_matter():
    assert [duration(s) for s in (0.34, 12.5, 185, 7_500)] == ["0.34 s", "12 s", "3 min 5 s", "2 h 5 min"]


def test_one_is_no_plural():
    assert (plural(1, "seed"), plural(2, "seed"), plural(2, "child", "children")) == (
        "1 seed",
        "2 seeds",
        "2 children",
    )
