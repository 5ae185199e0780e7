"""Policies beside chance, stages and calibration, as the page tells them: planted differences are found, and
nothing is found where nothing is."""

import numpy as np
import pytest

from hsae.report.calibration import diagram, reliability
from hsae.report.race import Arm, laps, table
from hsae.report.refinement import _spending
from hsae.report.stages import Point, Stage, accuracy, gains, statuses

CONCEPTS, EACH = 60, 5


def arm(policy, seed, *, right, uid=None, tokens=1000):
    """Held-out rows of which the share `right` is answered well, anew for each seed and policy."""
    draw = np.random.default_rng([seed, len(policy)])
    concept = np.repeat(np.arange(CONCEPTS), EACH)
    uid = np.arange(len(concept), dtype=np.uint64) if uid is None else uid
    return Arm(policy, seed, tokens, uid, concept, draw.random(len(concept)) < right)


def arms(better, *, seeds=5):
    return [arm("random", s, right=0.5) for s in range(seeds)] + [
        arm("clever", s, right=better) for s in range(seeds)
    ]


def test_a_policy_that_is_better_beats_chance():
    (lap,) = laps(arms(0.8), seed=0)
    assert lap.said == "beats chance"
    assert (lap.seeds, lap.by_concept.n) == (5, CONCEPTS)
    assert lap.by_seed.low < 0.3 < lap.by_seed.high


def test_a_policy_that_is_worse_is_told_so():
    (lap,) = laps(arms(0.2), seed=0)
    assert lap.said == "loses to chance"


def test_a_policy_that_is_as_good_is_not_told_apart():
    (lap,) = laps(arms(0.5), seed=0)
    assert lap.said == "not told apart from chance"


def test_one_seed_alone_proves_nothing():
    (lap,) = laps(arms(0.9, seeds=1), seed=0)
    assert lap.said == "not told apart from chance"


def test_several_policies_are_each_held_to_more():
    few = laps(arms(0.7), seed=0)[0]
    many = laps([*arms(0.7), *(arm("third", s, right=0.5) for s in range(5))], seed=0)
    clever = next(lap for lap in many if lap.policy == "clever")
    assert clever.by_seed.high - clever.by_seed.low > few.by_seed.high - few.by_seed.low


def test_arms_that_were_asked_other_rows_are_not_compared():
    other = np.arange(CONCEPTS * EACH, dtype=np.uint64) + 1
    assert laps([arm("random", 0, right=0.5), arm("clever", 0, right=0.9, uid=other)], seed=0) == []


def test_a_policy_that_reads_more_has_not_beaten_chance():
    dear = [one._replace(tokens=1100) if one.policy == "clever" else one for one in arms(0.8)]
    assert laps(dear, seed=0)[0].said == "better, at more tokens"
    cheap = [one._replace(tokens=900) if one.policy == "clever" else one for one in arms(0.2)]
    assert laps(cheap, seed=0)[0].said == "worse, at fewer tokens"


def test_the_table_tells_what_a_token_brings():
    page = table(laps(arms(0.8), seed=0), start=0.4)
    assert "beats chance" in page
    assert "a million tokens of it bring" in page


def test_bins_of_rows_that_are_right_or_wrong_by_concept_cover_the_truth():
    """Five rows of each of 60 concepts, all right or all wrong at a chance of .6."""
    draw = np.random.default_rng(1)
    concept = np.repeat(np.arange(CONCEPTS), EACH)
    inside = [
        one.low <= 0.6 <= one.high
        for _ in range(200)
        for one in reliability(
            draw.random(CONCEPTS)[concept], (draw.random(CONCEPTS) < 0.6)[concept], concept
        )
    ]
    assert np.mean(inside) > 0.9  # with intervals over rows: 0.6


def test_confidence_that_is_true_lies_on_the_diagonal_and_boasting_below():
    draw = np.random.default_rng(0)
    sure = draw.random(5000)
    alone = np.arange(5000)
    honest = reliability(sure, draw.random(5000) < sure, alone)
    boasting = reliability(sure, draw.random(5000) < sure / 2, alone)
    assert sum(one.low <= one.sure <= one.high for one in honest) >= 8
    assert sum(one.high < one.sure for one in boasting) >= 8
    assert sum(one.n for one in honest) == 5000


def test_few_rows_make_few_bins():
    assert len(reliability(np.array([0.5]), np.array([True]), np.array([0]))) == 1
    assert "<svg" in diagram([("lda", reliability(np.linspace(0, 1, 50), np.arange(50) > 25, np.arange(50)))])


STAGES = [
    Stage("raw", 100, 1000, {}),
    Stage("generated", 500, 9000, {"converged": 30, "budget": 10, "active": 60}),
]
POINTS = [
    Point("lda", "raw", 0.4, 0.35, 0.45),
    Point("lda", "generated", 0.6, 0.55, 0.65),
    Point("mean", "generated", 0.5, 0.45, 0.55),
]


def test_stages_are_drawn_with_what_each_added():
    told = "lda: raw 0.400, generated 0.600 (+20.0 points). mean: generated 0.500."
    assert gains(POINTS, STAGES) == told
    drawn = accuracy(POINTS, STAGES)
    assert drawn.count("<polyline") >= 5
    assert "9,000 tokens" in drawn


@pytest.mark.parametrize("text", ["0.30", "[0.2", "–"])
def test_what_became_of_the_concepts_has_its_interval_and_its_dash(text):
    assert text in statuses(STAGES)


def test_who_read_in_more_rounds_is_no_rival():
    """Policies are compared where nothing else was chosen otherwise."""
    spent = lambda **chosen: _spending({"choices": {"rounds": {"rounds": 4, "each": 4}} | chosen})
    chance = spent(policy="random", seed=0)
    assert spent(policy="margin", seed=1) == chance
    assert spent(policy="margin", seed=0, rounds={"rounds": 8, "each": 4}) != chance
