"""What the page says of concepts never seen and of folds: every number beside its interval and its chance."""

import re

from hsae.report import crossvalidation, retrieval


def score(value: float, **more):
    groups = {"low": value - 0.02, "high": None, "n": 3}
    return {
        "value": value,
        "low": value - 0.01,
        "high": value + 0.01,
        "n": 8,
        "chance": 0.1,
        "groups": groups,
    } | more


def point(shots: int, value: float, kind: str = "predictive", low: float | None = 0.2):
    said = {"value": value, "low": low, "high": None if low is None else value + 0.05, "n": 8, "chance": 0.05}
    return {"score": kind, "shots": shots, "accuracy": said, "seen": said, "permuted": said}


def found():
    scores = {name: score(0.5) for name in retrieval.SCORES}
    split = {"depth": 2, "concepts": 100, "seen": 80, "judged": 15, "border": 5, "held_out_share": 0.2}
    split |= {"groups": 30, "groups_held_out": 6, "largest_group": 12, "median_group": 2.0}
    gloss = {"rows": 60, "quoting": 7, "concepts": 15, "among_all": scores, "among_held_out": scores}
    gloss |= {"harmonic": score(0.3, seen=0.9, unseen=0.18), "taken_for_seen": score(0.4)}
    gloss |= {"permuted": {"mrr": [0.1], "mean": 0.1, "p": 0.05, "times": 20}}
    gloss |= {"baselines": {"overlap": {name: score(0.7) for name in retrieval.SCORES}}}
    curves = {"activation": [point(1, 0.4), point(4, 0.6), point(1, 0.3, "cosine"), point(4, 0.5, "cosine")]}
    curves |= {"characters": [point(1, 0.9, "cosine", low=None), point(4, 1.0, "cosine", low=None)]}
    shots = {"concepts": 15, "left_out": 2, "draws": 5, "curves": curves}
    return {"sites": ["resid_post.1"], "split": split, "gloss": gloss, "shots": shots}


def test_the_split_its_border_and_the_null_are_told():
    said = re.sub(r"<[^>]+>", " ", retrieval.told(found(), id="shots-0"))
    for words in ("80 were seen", "15 are asked for", "5 between them", "7 that quote the gloss", "p = 0.05"):
        assert words in said
    assert "context&#x27;s own words" in said and "0.7" in said


def test_a_curve_has_a_line_a_name_and_a_stroke_where_an_interval_is_known():
    drawn = retrieval.told(found(), id="shots-0")
    assert drawn.count("<polyline") - drawn.count('class="grid"') == 3 + 4
    assert drawn.count('class="end') == 3
    assert 'id="shots-0"' in drawn and 'data-points="shots-0"' in drawn


def test_without_glosses_only_registration_is_told():
    said = retrieval.told(found() | {"gloss": None}, id="shots-0")
    assert "Found by their glosses" not in said and "Registered by a few contexts" in said


def test_folds_stand_beside_what_they_cannot_promise():
    interval = {"value": 0.5, "low": 0.4, "high": None}
    fold = {"fold": "scene", "rows": 9, "left_out": 1, "accuracy": {"lda": 0.5, "mlp": 0.25}}
    told = crossvalidation.told(
        {
            "by": "source",
            "interpreter": "lda",
            "n": 9,
            "concepts": 3,
            "units": 2,
            "chance": 0.1,
            "accuracy": {"lda": interval, "mlp": interval},
            "folds": [fold],
            "against": {"mlp": {**interval, "p": 0.01, "p_holm": 0.02}},
        }
    )
    for words in ("0.02", "scene", "0.25", "1 row of concepts", "only the scores on the role test"):
        assert words in told
