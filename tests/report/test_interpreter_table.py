"""The table of interpreters: every accuracy beside all of its controls, and a dash where one was not made."""

from hsae.report.interpreters import COLUMNS, Interpretation, table
from hsae.report.markup import Markup


def rate(value):
    return {"value": value, "low": value - 0.02, "high": value + 0.02}


def control(value, *, refused=None):
    by = "nearest_mean" if refused else "lda"
    return {**rate(value), "gain": rate(0.9 - value), "confidence": rate(0.5), "by": by, "refused": refused}


def shown(**controls):
    scores = {
        "accuracy": rate(0.9),
        "chance": 0.01,
        "ece": 0.1,
        "coverage": rate(0.88),
        "set_size": rate(3.0),
    }
    scores |= {"wanted_coverage": 0.9, "n": 400, "concepts": 100, "controls": controls}
    return table([Interpretation("lda", "templates", "resid_post.1", "random", 0, scores, Markup("here"))])


def test_each_control_stands_with_its_accuracy_and_what_is_gained_over_it():
    page = shown(permuted=control(0.03), untrained=control(0.71), embedding=control(0.62, refused="flat"))
    for said in (
        "0.710",
        "0.620",
        "gain 0.190 [0.170, 0.210]",
        "gain 0.280 [0.260, 0.300] (by nearest mean)",
    ):
        assert said in page
    assert page.count("(by nearest mean)") == 1


def test_what_fires_without_meaning_is_named_and_real_words_are_not():
    line = {"value": 0.92, "low": 0.9, "high": 0.94}
    kinds = {"noise": line, "pseudo_word": line | {"value": 0}, "shuffled_gloss": line | {"value": 0.77}}
    page = shown(firing={"threshold": 0.9, "test": {"value": 0.95}, "kinds": kinds})
    assert "noise 0.920" in page and "pseudo-words 0" in page and "0.77" not in page


def test_a_control_that_was_not_made_is_a_dash_and_never_a_number():
    page = shown()
    assert page.count("<td") == len(COLUMNS) and page.count("–") == 5
