"""Training is an iterator of steps, and every step can be gone back to."""

import pytest
import torch
from worlds_sae import VARIANTS, D, make, world

from hsae.errors import UserError
from hsae.fit import (
    Recipe,
    Training,
    default_dead_after,
    default_lr,
    geometric_median,
    held_out,
    norm_scale,
)
from hsae.metrics import explained_variance, l0

WORLD = world()
RECIPE = Recipe(steps=12, lr=3e-3, warmup=0.25, decay=0.5, clip=1.0, dead_after=300)


def batches(start: int = 0):
    while True:
        yield WORLD.activations(64, seed=start)
        start += 1


def begun(variant: str, recipe: Recipe = RECIPE, **choices) -> Training:
    return Training(make(variant, **choices)[0], recipe, scale=1.5)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("teacher", [None, WORLD.teacher()], ids=["blank", "taught"])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(variant, teacher, tmp_path):
    whole = begun(variant, teacher=teacher)
    all_steps = list(whole.steps(batches()))
    first = begun(variant, teacher=teacher)
    for step in first.steps(batches()):
        if step.n == 7:
            first.save(tmp_path / "checkpoint")
            break
    second = begun(variant, seed=99)  # whatever it starts from, the checkpoint decides
    second.load(tmp_path / "checkpoint")
    assert (second.step, second.tokens, second.scale) == (7, 7 * 64, 1.5)
    rest = list(second.steps(batches(start=7)))
    assert [step.n for step in rest] == [8, 9, 10, 11, 12]
    for mine, theirs in zip(rest, all_steps[7:], strict=True):
        assert mine.losses == theirs.losses and (mine.lr, mine.gradient) == (theirs.lr, theirs.gradient)
    weights = zip(whole.sae.state_dict().items(), second.sae.state_dict().values(), strict=True)
    for (name, one), other in weights:
        assert torch.equal(one, other), name
    assert torch.equal(whole.silent, second.silent)


def test_equal_states_are_equal_bytes(tmp_path):
    for name in ("one", "two"):
        training = begun("topk")
        list(training.steps(batches()))
        training.save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("damage", ["cut", "of another variant", "of another width"])
def test_a_checkpoint_that_is_not_this_one_s_is_refused(damage, tmp_path):
    path = tmp_path / "checkpoint"
    training = begun("hierarchical" if damage == "of another variant" else "topk")
    next(training.steps(batches()))
    training.save(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    width = ["sae.latents=40"] if damage == "of another width" else []
    fresh = Training(make("topk", *width)[0], RECIPE, scale=1.0)
    with pytest.raises(UserError, match="Delete it"):
        fresh.load(path)


def test_it_stops_when_its_steps_are_done_and_reads_no_further():
    read = []

    def counted():
        for x in batches():
            read.append(len(x))
            yield x

    assert len(list(begun("topk").steps(counted()))) == 12 == len(read)
    assert begun("topk").steps(counted()) is not None and len(read) == 12


def test_the_rate_rises_to_one_and_falls_to_almost_nothing():
    rates = [RECIPE.rate(step) for step in range(12)]
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1])
    assert rates[3:7] == [1, 1, 1, 1]
    assert rates[6:] == pytest.approx([1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    flat = Recipe(steps=3, lr=1.0, warmup=0.0, decay=0.0, clip=1.0, dead_after=1)
    assert [flat.rate(step) for step in range(3)] == [1, 1, 1]


def test_a_step_is_as_long_as_its_rate():
    """Adam's first step moves every number by the learning rate, here a third of it."""
    training = begun("topk")
    before = training.sae.b_dec.detach().clone()
    step = next(training.steps(batches()))
    assert step.lr == pytest.approx(RECIPE.lr / 3)
    assert (training.sae.b_dec - before).abs().max().item() == pytest.approx(step.lr, rel=1e-3)


def test_defaults_follow_width_and_length():
    assert default_lr(2**14) == pytest.approx(2e-4) and default_lr(2**12) == pytest.approx(4e-4)
    assert default_dead_after(10**6) == 10**5 and default_dead_after(10**9) == 10**7


def test_the_gradient_is_clipped_as_a_whole():
    """Adam forgets a common factor, so clipping shows in its moments and not in its steps."""
    runs = {}
    for clip in (1e-4, 1e4):
        recipe = Recipe(steps=4, lr=1e-2, warmup=0.0, decay=0.0, clip=clip, dead_after=10**6)
        training = begun("topk", recipe)
        steps = list(
            training.steps(x * (1 if n < 3 else 30) for n, x in zip(range(4), batches(), strict=False))
        )
        runs[clip] = steps[-1].gradient, training.adam.state[training.sae.b_dec]["exp_avg"].norm().item()
    assert runs[1e-4][0] > 1e-4 and runs[1e-4][1] < 1e-4 < runs[1e4][1]


def test_dead_is_counted_in_tokens_whatever_the_batch():
    for rows in (50, 150):
        recipe = Recipe(steps=600 // rows, lr=1e-9, warmup=0.0, decay=0.0, clip=1.0, dead_after=300)
        training = begun("topk", recipe)
        with torch.no_grad():
            training.sae.b_enc[3] = -1e6
        stream = (WORLD.activations(rows, seed=n) for n in range(99))
        deaths = [(step.tokens, bool(training.dead[3])) for step in training.steps(stream)]
        assert all(dead == (tokens >= 300) for tokens, dead in deaths)
        assert not training.dead.all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_loss_that_is_no_number_names_the_step_and_leaves_the_weights(variant):
    training = begun(variant)
    poisoned = (x if n < 4 else x * float("nan") for n, x in enumerate(batches()))
    seen = []
    with pytest.raises(UserError, match=r"(?s)activations of step 5 of 12, after 256 tokens.*job=extract"):
        for _ in training.steps(poisoned):
            seen.append({name: weight.clone() for name, weight in training.sae.state_dict().items()})
    assert len(seen) == 4 == training.step
    assert all(torch.equal(weight, seen[-1][name]) for name, weight in training.sae.state_dict().items())


def test_weights_that_ran_away_are_told_from_activations_that_are_none():
    training = begun("topk")
    with torch.no_grad():
        training.sae.W_dec[0] = float("inf")
        training.sae.b_enc[0] = 100
    with pytest.raises(UserError, match=r"(?s)diverged at step 1 .*sae.lr"):
        next(training.steps(batches()))


def test_the_scale_brings_the_mean_length_to_root_d():
    x = WORLD.activations(100, seed=0)
    assert (norm_scale(x) * x).norm(dim=1).mean().item() == pytest.approx(D**0.5)


@pytest.mark.parametrize("x", [torch.ones(9, 4), torch.tensor([[1.0, float("nan")], [0.0, 1.0]])])
def test_activations_without_anything_to_learn_are_refused(x):
    with pytest.raises(UserError):
        norm_scale(x)


def test_the_geometric_median_minimises_distances_and_ignores_an_outlier():
    x = torch.cat([WORLD.activations(99, seed=0), 1e6 * torch.ones(1, D)])
    median = geometric_median(x)
    total = lambda point: (x.double() - point).norm(dim=1).sum()
    for direction in torch.eye(D):
        assert total(median) <= total(median + 0.05 * direction) + 1e-6
    assert (median - x[:99].mean(0)).norm() < 1 < x.mean(0).norm()


@pytest.mark.parametrize("variant", VARIANTS)
def test_held_out_numbers_are_pooled_over_batches(variant):
    training = begun(variant)
    list(training.steps(batches()))
    x = WORLD.activations(300, seed=77)
    held = held_out(training.sae, x.split(70), scale=training.scale)
    with torch.no_grad():
        code = training.sae.encode(x * training.scale)
        x_hat = training.sae.decode(code)
    assert held.rows == 300 and held.l0 == pytest.approx(l0(code))
    assert held.explained_variance == pytest.approx(explained_variance(x * training.scale, x_hat), abs=1e-6)
    assert torch.equal(held.fired, (code > 0).sum(0))
