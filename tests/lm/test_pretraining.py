"""A small LM is trained from nothing, and a run that was killed goes on as if it had not been."""

import copy
import math

import numpy as np
import pytest
import torch

from hsae.lm.pretraining import (
    Optimiser,
    fit,
    held_out_loss,
    load_checkpoint,
    new_model,
    save_checkpoint,
    tokenise,
    train_tokenizer,
    windows,
)

TEXTS = [
    f"{a} {b} is a kind of {c}."
    for a in ("a", "one")
    for b in ("dog", "cat", "owl")
    for c in ("animal", "pet")
] * 8
SHAPE = {"d": 16, "layers": 1, "heads": 2, "mlp": 32, "context": 8}


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, vocabulary=300, context=8)


def make(tokenizer, *, steps=6):
    model = new_model(vocabulary=len(tokenizer), **SHAPE, seed=0)
    return model, Optimiser(model, lr=1e-2, steps=steps)


def train(tokenizer, model, optimiser, *, start=0, until=None):
    tokens = tokenise(tokenizer, TEXTS)
    batches = windows(tokens, context=8, batch=4, seed=0, skip=start)
    for step in fit(model, batches, optimiser, start=start, clip=1.0):
        if step.number == until:
            break
    return step


def test_every_text_starts_with_bos_and_comes_back_whole(tokenizer):
    ids = tokenizer("a dog, naïve 🐕")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == "a dog, naïve 🐕"


def test_a_word_has_the_same_tokens_first_and_inside(tokenizer):
    first, inside = tokenizer("dog")["input_ids"], tokenizer("a dog")["input_ids"]
    assert first[1:] == inside[2:]


def test_a_shuffled_epoch_keeps_every_document_whole(tokenizer):
    tokens = tokenise(tokenizer, TEXTS)
    mixed = tokens.shuffled(seed=0, purpose="test")
    assert sorted(mixed.tolist()) == sorted(tokens.ids.tolist())
    bos = np.flatnonzero(mixed == tokenizer.bos_token_id)
    whole = {tuple(tokens.ids[a:b]) for a, b in zip(tokens.starts[:-1], tokens.starts[1:], strict=True)}
    assert {tuple(part) for part in np.split(mixed, bos[1:])} == whole
    assert not np.array_equal(mixed, tokens.shuffled(seed=1, purpose="test"))


def test_skipping_batches_is_reading_past_them(tokenizer):
    tokens = tokenise(tokenizer, TEXTS)
    per_epoch = (len(tokens.ids) - 1) // 8 // 4
    stream = windows(tokens, context=8, batch=4, seed=3, skip=0)
    read = [next(stream) for _ in range(per_epoch + 2)]
    later = windows(tokens, context=8, batch=4, seed=3, skip=per_epoch + 1)
    assert torch.equal(next(later), read[per_epoch + 1])


def test_it_learns_and_the_held_out_loss_starts_at_ignorance(tokenizer):
    model, optimiser = make(tokenizer, steps=40)
    tokens = tokenise(tokenizer, TEXTS)
    before = held_out_loss(model, tokens, context=8, batch=4, limit=400)
    train(tokenizer, model, optimiser)
    after = held_out_loss(model, tokens, context=8, batch=4, limit=400)
    assert abs(before - math.log(len(tokenizer))) < 0.5
    assert after < before - 1


def test_killed_and_resumed_equals_uninterrupted(tokenizer, tmp_path):
    whole, optimiser = make(tokenizer)
    train(tokenizer, whole, optimiser)
    first, optimiser = make(tokenizer)
    train(tokenizer, first, optimiser, until=3)
    save_checkpoint(tmp_path, first, optimiser, step=3)
    second, optimiser = make(tokenizer)
    assert load_checkpoint(tmp_path, second, optimiser) == 3
    train(tokenizer, second, optimiser, start=3)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_in_bfloat16_it_learns_as_much_and_its_weights_stay_float32(tokenizer):
    tokens, found = tokenise(tokenizer, TEXTS), {}
    for dtype in (torch.float32, torch.bfloat16):
        model, optimiser = make(tokenizer, steps=12)
        for step in fit(
            model,
            windows(tokens, context=8, batch=4, seed=0, skip=0),
            optimiser,
            start=0,
            clip=1.0,
            dtype=dtype,
        ):
            assert step.loss.dtype == torch.float32
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        found[dtype] = held_out_loss(model, tokens, context=8, batch=4, limit=400)
    assert found[torch.bfloat16] != found[torch.float32]
    assert abs(found[torch.bfloat16] - found[torch.float32]) < 0.1


def test_weight_decay_keeps_weights_smaller(tokenizer):
    norms = []
    for weight_decay in (0.0, 1.0):
        model = new_model(vocabulary=len(tokenizer), **SHAPE, seed=0)
        train(tokenizer, model, Optimiser(model, lr=1e-2, weight_decay=weight_decay, steps=20))
        norms.append([float(p.detach().norm()) for p in model.parameters()])
    assert all(decayed < free for free, decayed in zip(*norms, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_what_a_gpu_began_a_cpu_finishes(tokenizer, tmp_path):
    tokens = tokenise(tokenizer, TEXTS)
    whole, optimiser = make(tokenizer)
    train(tokenizer, whole, optimiser)
    first = new_model(vocabulary=len(tokenizer), **SHAPE, seed=0, device="cuda")
    begun = Optimiser(first, lr=1e-2, steps=6)
    assert train(tokenizer, first, begun, until=3).loss.is_cuda
    save_checkpoint(tmp_path, first, begun, step=3)
    second, optimiser = make(tokenizer)
    assert load_checkpoint(tmp_path, second, optimiser) == 3
    train(tokenizer, second, optimiser, start=3)
    losses = [held_out_loss(model, tokens, context=8, batch=4, limit=400) for model in (whole, second)]
    assert abs(losses[0] - losses[1]) < 0.02


def test_the_learning_rate_rises_then_falls_to_zero(tokenizer):
    model, optimiser = make(tokenizer, steps=100)
    seen = []
    for number in range(100):
        optimiser.step(number)
        seen.append(optimiser.parts[0].param_groups[0]["lr"])
    assert seen[0] < seen[5] < seen[9] and seen[-1] < 0.02 * max(seen)


def test_the_same_seed_gives_the_same_model_and_another_seed_another(tokenizer):
    model = new_model(vocabulary=len(tokenizer), **SHAPE, seed=0)
    twin = copy.deepcopy(model.state_dict())
    again = new_model(vocabulary=len(tokenizer), **SHAPE, seed=0).state_dict()
    other = new_model(vocabulary=len(tokenizer), **SHAPE, seed=1).state_dict()
    key = "model.layers.0.mlp.up_proj.weight"
    assert torch.equal(twin[key], again[key]) and not torch.equal(twin[key], other[key])
