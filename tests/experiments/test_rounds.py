"""Ratios of two speeds are taken round by round, so that a slow minute does not decide them."""

import pytest

from experiments.benchmarks.rounds import median, rates, ratio


class Clock:
    """A time that only moves when somebody works."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def work(self, seconds, tokens):
        def run():
            self.now += seconds() if callable(seconds) else seconds
            return tokens

        return run


def test_rates_are_tokens_per_second_of_each_round():
    clock = Clock()
    found = rates({"fast": clock.work(1, 100), "slow": clock.work(4, 100)}, rounds=3, clock=clock)
    assert found == {"fast": [100, 100, 100], "slow": [25, 25, 25]}


def test_the_first_round_is_not_counted_and_every_other_one_runs_backwards():
    order = []
    note = lambda name: lambda: order.append(name) or 1
    found = rates({"a": note("a"), "b": note("b")}, rounds=2)
    assert "".join(order) == "abbaab"
    assert len(found["a"]) == 2


def test_what_is_under_way_is_waited_for_before_and_after():
    clock = Clock()
    slow = lambda: setattr(clock, "now", clock.now + 1)
    assert rates({"a": clock.work(1, 10)}, rounds=1, settle=slow, clock=clock) == {"a": [5]}


def test_a_machine_that_slows_down_leaves_the_ratio_alone():
    ours, theirs = [100, 10, 50, 200, 1], [50, 5, 25, 100, 0.5]
    assert ratio(ours, theirs) == (2, 2, 2, 5)


@pytest.mark.parametrize(("rounds", "low", "high"), [(1, 1, 1), (5, 1, 5), (6, 1, 6), (9, 2, 8), (15, 4, 12)])
def test_the_interval_is_of_order_statistics_that_cover_the_median(rounds, low, high):
    found = ratio(list(range(1, rounds + 1)), [1] * rounds)
    assert (found.low, found.high) == (low, high)  # as in any table of confidence limits of the median


def test_an_interval_at_95_percent_misses_the_median_of_a_skewed_law_about_as_often_as_it_says():
    import numpy as np

    draws = np.random.default_rng(0).lognormal(size=(2000, 9))
    found = [ratio(list(row), [1] * 9) for row in draws]
    missed = np.mean([not each.low <= 1 <= each.high for each in found])
    assert 0.02 < missed < 0.06


def test_the_median_of_an_even_number_lies_between_the_two_in_the_middle():
    assert median([1, 9, 3, 4]) == 3.5
    assert median([5]) == 5
