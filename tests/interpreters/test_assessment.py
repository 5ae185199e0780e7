"""Scores come with intervals that are not surer than the rows allow."""

import numpy as np
import pytest

from hsae.interpreters.judging.assessment import interval
from hsae.stats import wilson

OWNER = np.arange(120) // 8


@pytest.mark.parametrize("share", [0, 1])
def test_all_right_is_not_certainty(share: int):
    found = interval(np.full(120, share == 1), OWNER, seed=0)
    assert found["value"] == share and (found["low"], found["high"]) == wilson(15 * share, 15)
    assert found["high"] - found["low"] > 0.1


def test_what_is_no_rate_has_the_interval_of_its_bootstrap():
    assert interval(np.ones(120), OWNER, seed=0) == {"value": 1, "low": 1, "high": 1}


def test_intervals_over_concepts_and_templates_cover_what_other_templates_would_give():
    """Templates are easy or hard for all concepts; over concepts alone two intervals of three hold."""
    draw, concept, template = np.random.default_rng(0), np.repeat(np.arange(80), 8), np.tile(np.arange(8), 80)
    held = {"both": 0, "concepts": 0}
    for world in range(60):
        odds = draw.normal(size=80)[concept] + 0.7 * draw.normal(size=8)[template]
        right = draw.random(640) < 1 / (1 + np.exp(-odds))
        for name, known in (("both", template), ("concepts", None)):
            found = interval(right, concept, known, seed=world)
            held[name] += found["low"] <= 0.5 <= found["high"]
    assert held["both"] / 60 > 0.85 > 0.75 > held["concepts"] / 60
    one = np.zeros(640, int)
    assert interval(right, concept, one, seed=0) == interval(right, concept, seed=0)
