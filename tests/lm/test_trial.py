"""What is promised of capture and edits is tried on the model itself; one that breaks it is caught."""

import pytest
import torch
from worlds import FAMILIES, random_lm_folder

from hsae.lm import load
from hsae.lm.trial import trials

ROWS = [[5, 6, 7, 8, 9, 10], [11, 12, 13], [14, 15]]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_keeps_what_is_promised(families, family):
    done = trials(families[family], ROWS)
    assert len(done) == 4
    assert all(trial.kept for trial in done), done


def test_a_model_in_half_precision_too(tmp_path):
    assert all(trial.kept for trial in trials(load(random_lm_folder(tmp_path), dtype="bfloat16"), ROWS))


def test_a_model_whose_positions_are_wrong_is_caught(tmp_path):
    lm = load(random_lm_folder(tmp_path, "gpt2"))
    lm._takes = lm._takes - {"position_ids"}
    kept = {trial.promise: trial.kept for trial in trials(lm, ROWS)}
    assert not kept["a text reads the same padded on the left"]
    assert kept["a text reads the same padded on the right"]


def test_a_site_at_the_wrong_module_is_caught(tmp_path):
    lm = load(random_lm_folder(tmp_path))
    lm.network._places["resid_pre.1"] = lm.network._places["mlp_in.1"]
    first = trials(lm, ROWS)[0]
    assert (first.kept, first.found) == (False, "2 of 3 layers")


def test_an_edit_that_leaves_a_trace_is_caught(tmp_path):
    lm = load(random_lm_folder(tmp_path))

    def wear(*_):
        lm.model.model.norm.weight.add_(1e-3)

    handle = lm.model.model.layers[0].register_forward_hook(wear)
    edit = trials(lm, ROWS)[-1]
    handle.remove()
    assert not edit.kept and edit.found == "logits differs"
    assert torch.isfinite(lm.model.model.norm.weight).all()
