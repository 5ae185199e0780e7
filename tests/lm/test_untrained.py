"""The untrained model: the same architecture and tokenizer, random weights that hang on the seed alone."""

import pytest
import torch
from worlds import LAYERS, random_lm_folder

from hsae import build
from hsae.lm import chosen_lm, files
from hsae.lm.loading import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(random_lm_folder(tmp_path_factory.mktemp("model")))


def weights(lm):
    return lm.model.state_dict()


def test_it_has_the_shape_and_the_tokenizer_of_the_model_and_none_of_its_weights(folder):
    trained, untrained = load(folder), load(folder, untrained=0)
    assert {name: w.shape for name, w in weights(untrained).items()} == {
        name: w.shape for name, w in weights(trained).items()
    }
    matrices = [name for name, weight in weights(trained).items() if weight.ndim > 1]
    assert not any(torch.equal(weights(trained)[name], weights(untrained)[name]) for name in matrices)
    text = ["The dog ran."]
    assert torch.equal(trained.tokenize(text).ids, untrained.tokenize(text).ids)
    assert not untrained.model.training


def test_its_weights_hang_on_the_seed_alone_and_nobody_else_s_random_numbers_are_touched(folder):
    before = torch.get_rng_state()
    first, other = load(folder, untrained=0), load(folder, untrained=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    again = load(folder, untrained=0)
    assert all(torch.equal(w, weights(again)[name]) for name, w in weights(first).items())
    assert not torch.equal(first.embedding, other.embedding)
    halves = load(folder, untrained=0, dtype="bfloat16")
    assert torch.equal(halves.embedding, first.embedding.bfloat16())


def test_it_is_another_model_to_whoever_asks_for_its_fingerprint(folder):
    names = {load(folder).fingerprint, load(folder, untrained=0).fingerprint, files.fingerprint(folder, None)}
    assert names == {files.fingerprint(folder, None), files.fingerprint(folder, None, untrained=0)}


def test_it_needs_no_weights_on_the_disk(tmp_path):
    place = random_lm_folder(tmp_path)
    (place / "model.safetensors").unlink()
    assert load(str(place), untrained=0).layers == LAYERS


@pytest.mark.parametrize("job", ["extract", "bootstrap", "train_sae", "evaluate"])
def test_a_result_of_it_has_an_address_of_its_own(job):
    composed = lambda *more: build.compose([f"job={job}", "model=tiny", "sae=topk", *more])
    address = lambda *more: build.address(composed(*more))
    trained, untrained = address(), address("model.untrained=true")
    assert trained.fingerprint != untrained.fingerprint
    assert "untrained" in untrained.slug and "untrained" not in trained.slug
    assert untrained.fingerprint != address("model.untrained=true", "seed=1").fingerprint


def test_every_job_gets_it_through_the_same_door(folder):
    config = build.compose([f"model.path={folder}", "model.untrained=true", "seed=3", "hardware=cpu"])
    lm = chosen_lm(config)
    assert torch.equal(lm.embedding, load(folder, untrained=3).embedding)
    assert lm.fingerprint == files.chosen_fingerprint(config)
