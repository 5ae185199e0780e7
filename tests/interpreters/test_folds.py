"""Every row is judged once, by what was fitted without its template."""

import numpy as np
import pytest
import torch
from worlds_interpreters import C, make, roles

from hsae.errors import UserError
from hsae.interpreters.base import Rows
from hsae.interpreters.judging.folds import dealt, folds_of, judge, summary
from hsae.seeding import numpy_stream


def everything() -> Rows:
    return Rows(*(torch.cat(column) for column in zip(*roles(), strict=True)))


def test_no_template_stands_on_two_sides_and_every_row_is_judged_once():
    rows = everything()
    folds = list(folds_of(rows, dealt(rows.template.numpy(), folds=5, seed=0), seed=0))
    template = rows.template.numpy()
    for fold in folds:
        parts = [set(template[places].tolist()) for places in (fold.fit, fold.tune, fold.test)]
        assert all(parts) and not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    judged = np.concatenate([places for fold in folds for places in (fold.test, fold.left_out)])
    assert sorted(judged) == list(range(len(template)))


def test_folds_are_as_large_as_templates_allow():
    sizes = numpy_stream(0, "sizes").integers(1, 50, size=40)
    fold = dealt(np.repeat(np.arange(40), sizes), folds=4, seed=0)
    assert np.ptp(np.bincount(fold)) < 10


def test_the_seed_deals():
    rows = everything().template.numpy()
    one, again, other = (dealt(rows, folds=5, seed=seed).tolist() for seed in (0, 0, 1))
    assert one == again != other


def test_rows_of_a_concept_that_the_rest_does_not_have_are_left_out():
    rows = everything()
    only = (rows.concept != 3) | (rows.template == 0)
    rows = rows.chosen(only)
    folds = list(folds_of(rows, dealt(rows.template.numpy(), folds=5, seed=0), seed=0))
    left_out = np.concatenate([fold.left_out for fold in folds])
    assert set(left_out) == set(np.flatnonzero(rows.concept.numpy() == 3))


def test_too_few_templates_are_refused_with_what_to_type():
    with pytest.raises(UserError, match="job.folds=2"):
        dealt(np.array([0, 1, 1]), folds=3, seed=0)
    rows = everything()
    two = rows.chosen(rows.template < 2)
    with pytest.raises(UserError, match="too few to fit and to tune"):
        list(folds_of(two, dealt(two.template.numpy(), folds=2, seed=0), seed=0))


def test_a_better_interpreter_is_told_from_a_worse_one_and_not_from_itself():
    rows = everything()
    folds = list(folds_of(rows, dealt(rows.template.numpy(), folds=4, seed=0), seed=0))
    right = {name: np.zeros(len(rows.concept), bool) for name in ("lda", "nearest_mean")}
    for fold in folds:
        for name, values in right.items():
            values[fold.test] = judge(make(name), rows, fold, device="cpu")
    right["again"] = right["lda"].copy()
    concept, template = rows.concept.numpy(), rows.template.numpy()
    found = summary(right, concept, template, candidates=C, seed=0)
    accuracy = found["accuracy"]["lda"]
    macro = np.mean([right["lda"][concept == c].mean() for c in range(C)])
    assert accuracy["value"] == pytest.approx(macro) and accuracy["low"] > 3 * found["chance"]
    assert found["against"]["nearest_mean"]["low"] > 0 and found["against"]["nearest_mean"]["p_holm"] < 0.05
    assert found["against"]["again"]["value"] == 0 and found["against"]["again"]["p_holm"] == 1


def test_the_tested_templates_never_reach_the_fit():
    rows = everything()
    folds = list(folds_of(rows, dealt(rows.template.numpy(), folds=4, seed=0), seed=0))
    spoiled = rows.x.clone()
    spoiled[folds[0].test] = torch.nan
    interpreter = make("nearest_mean")
    judge(interpreter, rows._replace(x=spoiled), folds[0], device="cpu")
    assert all(value.isfinite().all() for value in interpreter.state_dict().values())
