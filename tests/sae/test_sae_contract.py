"""What every SAE promises, whatever it is: each YAML in conf/sae is held to all of it."""

import json

import pytest
import torch
from torch.nn.functional import cosine_similarity
from worlds_sae import D, make, world

from hsae.dictionary import Dictionary
from hsae.errors import UserError
from hsae.fit import Recipe, Training, geometric_median, held_out, norm_scale
from hsae.sae import SAE, Teacher, files
from hsae.seeding import stream

WORLD = world()
X = WORLD.activations(512, seed=0)
NOBODY = torch.zeros(48, dtype=torch.bool)


def trained(sae: SAE, steps: int, *, lr: float = 3e-3, seed: int = 1) -> Training:
    scale = norm_scale(X)
    training = Training(
        sae,
        Recipe(steps=steps, lr=lr, warmup=0.05, decay=0.2, clip=1.0, dead_after=4096),
        scale=scale,
    )
    sae.centre(geometric_median(X) * scale)
    for _ in training.steps(WORLD.activations(256, seed=seed * 10_000 + n) for n in range(steps)):
        pass
    return training


def recovery(sae: SAE) -> float:
    """Mean over the families' parents and increments of the best cosine that any latent reaches."""
    increments = torch.where(
        (WORLD.parents < 0)[:, None], WORLD.patterns, WORLD.patterns - WORLD.patterns[WORLD.parents]
    )
    truth = torch.cat([WORLD.patterns, increments])
    return cosine_similarity(truth[:, None], sae.vectors[None], dim=2).amax(1).mean().item()


def test_it_is_a_dictionary_and_states_its_size(variant):
    sae, _ = make(variant)
    assert isinstance(sae, Dictionary)
    assert (sae.d, sae.latents, sae.vectors.shape) == (D, 48, (48, D))
    assert sae.weights == sum(weight.numel() for weight in sae.parameters()) > 0
    assert 2 * D * sae.k < sae.flops_per_token() < 4 * D * 48 * 4
    assert sae.parents.shape == (48,) and sae.parents.max() < 48


def test_codes_are_never_negative_and_never_denser_than_promised(variant):
    sae, _ = make(variant)
    code = sae.encode(X)
    assert code.min() >= 0 and code.max() > 0
    assert (code > 0).sum(1).max() <= sae.k == 4


def test_the_code_is_its_entries_and_both_decode_alike(variant):
    sae, _ = make(variant)
    sparse, code = sae.encode_sparse(X), sae.encode(X)
    assert torch.equal(sparse.dense(48), code)
    assert torch.equal(sparse.fired(48), (code > 0).sum(0))
    torch.testing.assert_close(sae.decode_sparse(sparse), sae.decode(code))
    torch.testing.assert_close(sae(X), code @ sae.W_dec + sae.b_dec)


def test_a_code_is_its_preactivation_wherever_it_fires(variant):
    """z = activation((x - b_dec) W_enc + b_enc), whatever the weights are made of."""
    sae, _ = make(variant)
    with torch.no_grad():
        sae.b_enc.uniform_(-0.5, 0.5, generator=stream(0, "biases"))
        sae.b_dec.uniform_(-0.5, 0.5, generator=stream(1, "biases"))
    code = sae.encode(X)
    pre = (X - sae.b_dec) @ sae.W_enc + sae.b_enc
    torch.testing.assert_close(code[code > 0], pre[code > 0])


def test_a_child_fires_only_where_its_parent_does(variant):
    sae, _ = make(variant)
    with torch.no_grad():
        sae.b_enc.uniform_(-4, 4, generator=stream(0, "biases"))
    fires = sae.encode(X) > 0
    children = sae.parents >= 0
    assert not (fires[:, children] & ~fires[:, sae.parents[children]]).any()
    assert not children.any() or fires[:, children].any()


def test_decoder_vectors_have_unit_length_before_and_after_learning(variant):
    sae, _ = make(variant)
    torch.testing.assert_close(sae.vectors.norm(dim=1), torch.ones(48))
    trained(sae, 3)
    torch.testing.assert_close(sae.vectors.norm(dim=1), torch.ones(48))


def test_a_gradient_turns_decoder_vectors_and_does_not_stretch_them(variant):
    sae, _ = make(variant)
    losses, _ = sae.losses(X, dead=NOBODY)
    torch.stack([*losses.values()]).sum().backward()
    free = next(weight for name, weight in sae.named_parameters() if name in ("W_dec", "top_dec"))
    along = lambda: (free.grad * free.detach()).sum(1).abs().max()
    assert along() > 1e-4
    sae.project_gradients()
    assert along() < 1e-7 and free.grad.any()


def test_every_weight_learns(variant):
    sae, _ = make(variant)
    losses, _ = sae.losses(X, dead=NOBODY)
    torch.stack([*losses.values()]).sum().backward()
    for name, weight in sae.named_parameters():
        assert weight.grad is not None and weight.grad.any(), name


def test_the_same_seed_is_the_same_sae_and_another_is_another(variant):
    first, again, other = (make(variant, seed=seed)[0] for seed in (0, 0, 1))
    assert torch.equal(first.vectors, again.vectors) and not torch.equal(first.vectors, other.vectors)


def test_it_finds_the_planted_vectors(variant):
    sae, _ = make(variant)
    start = recovery(sae)
    training = trained(sae, 200)
    held = held_out(sae, [WORLD.activations(1024, seed=7)], scale=training.scale)
    assert held.explained_variance > 0.75 and held.l0 <= 4
    assert start < 0.6 and recovery(sae) > start + 0.1


def test_folding_the_scale_leaves_codes_and_reconstructions_equal(variant):
    sae, _ = make(variant)
    training = trained(sae, 20)
    with torch.no_grad():
        code, x_hat = sae.encode(X * training.scale), sae(X * training.scale)
        sae.fold(training.scale)
        torch.testing.assert_close(sae.encode(X), code, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(sae(X), x_hat / training.scale, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(sae.vectors.norm(dim=1), torch.full((48,), 1 / training.scale))
    vectors = sae.vectors.clone()
    sae.renormalise()
    torch.testing.assert_close(sae.vectors, vectors)


def test_it_comes_back_from_disk_bit_for_bit(variant, tmp_path):
    sae, settings = make(variant, teacher=WORLD.teacher())
    sae.fold(trained(sae, 5).scale)
    files.save(sae, settings, tmp_path, site="resid_post.1")
    twin = files.load(tmp_path)
    assert torch.equal(twin.encode(X), sae.encode(X)) and torch.equal(twin(X), sae(X))
    assert all(
        torch.equal(a, b) for a, b in zip(twin.state_dict().values(), sae.state_dict().values(), strict=True)
    )
    assert twin.placement.names == sae.placement.names and twin.parents.equal(sae.parents)
    said = json.loads((tmp_path / "sae.json").read_text())
    assert (said["site"], said["d"], said["latents"], said["k"]) == ("resid_post.1", D, 48, 4)
    assert said["parents"] == sae.parents.tolist() and len(said["taught"]) == len(sae.placement.names)
    assert not any(weight.requires_grad for weight in twin.parameters())


@pytest.mark.parametrize("damage", ["cut", "foreign", "gone", "unreadable"])
def test_a_damaged_file_says_so(variant, damage, tmp_path):
    sae, settings = make(variant)
    files.save(sae, settings, tmp_path)
    weights, card = tmp_path / "sae.safetensors", tmp_path / "sae.json"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-9])
    elif damage == "foreign":
        files.save_tensors({"W": torch.ones(2)}, weights)
    elif damage == "gone":
        card.unlink()
    else:
        card.write_text("{")
    with pytest.raises(UserError):
        files.load(tmp_path)


def test_taught_latents_start_as_their_concepts(variant):
    """Flat: the whole pattern. Under a parent: what the concept adds to it."""
    sae, _ = make(variant, teacher=WORLD.teacher())
    placed = sae.placement
    assert (
        len(placed.names) == len(WORLD.patterns) and placed.kept == pytest.approx(1) and not placed.left_out
    )
    for latent, name in zip(placed.latents.tolist(), placed.names, strict=True):
        concept = int(name.split()[1])
        pattern = WORLD.patterns[concept]
        if sae.parents[latent] >= 0:
            pattern = pattern - WORLD.patterns[WORLD.parents[concept]]
        assert cosine_similarity(sae.vectors[latent], pattern, dim=0) > 1 - 1e-5
        code = sae.encode((WORLD.center + WORLD.patterns[concept])[None])[0]
        assert code[latent].item() == pytest.approx(pattern.norm().item(), rel=1e-4)


def test_a_taught_latent_reads_its_concept_whatever_the_bias_starts_from(variant):
    sae, _ = make(variant, teacher=WORLD.teacher())
    before = sae.encode(WORLD.center + WORLD.patterns)[:, sae.placement.latents]
    sae.centre(WORLD.center + 0.7)
    torch.testing.assert_close(
        sae.encode(WORLD.center + WORLD.patterns)[:, sae.placement.latents], before, rtol=1e-4, atol=1e-4
    )


def test_a_taught_latent_speaks_as_rarely_as_any_and_still_says_its_concept(variant):
    """4 of 48 latents fire in a row, so each in a twelfth of the rows."""
    sae, _ = make(variant, teacher=WORLD.teacher())
    concepts, taught = WORLD.center + WORLD.patterns, sae.placement.latents
    rows = torch.tensor([int(name.split()[1]) for name in sae.placement.names])
    own = lambda: ((concepts[rows] - sae.b_dec) * sae.W_enc[:, taught].T).sum(1) + sae.b_enc[taught]
    before = own()
    tokens = WORLD.center + 0.7 * torch.randn(600, D, generator=stream(0, "tokens that mean nothing"))
    sae.quieten(tokens)
    torch.testing.assert_close(own(), before, rtol=1e-4, atol=1e-4)
    answers = ((tokens - sae.b_dec) @ sae.W_enc + sae.b_enc)[:, taught]
    # the loudest answer that is not allowed lies on the threshold
    assert (answers > 1e-4).sum(0).max() <= 50 < (answers > -1).sum(0).min()
    filters = sae.W_enc[:, taught].detach().clone()
    sae.quieten(100 * tokens)
    torch.testing.assert_close(own(), before, rtol=1e-3, atol=1e-3)
    slope = (sae.W_enc[:, taught] * filters).sum(0) / filters.square().sum(0)
    assert slope.min() > 0.999 and slope.max() < 5.001, "a threshold took more than four fifths of a code"


def test_without_a_teacher_there_is_nothing_to_quieten(variant):
    sae, _ = make(variant)
    before = {name: weight.clone() for name, weight in sae.state_dict().items()}
    sae.quieten(X)
    assert all(torch.equal(weight, before[name]) for name, weight in sae.state_dict().items())


def test_a_teacher_fills_no_more_than_its_share(variant):
    sae, _ = make(variant, "sae.taught=0.25", teacher=WORLD.teacher())
    roots = sae.parents[sae.placement.latents] < 0
    assert roots.sum() == (12 if variant == "topk" else 3)
    assert sum(sae.placement.left_out.values()) + len(roots) == len(WORLD.patterns)


def test_a_teacher_of_other_units_teaches_the_same(variant):
    """Scaling the activations scales what a taught latent says of them, and nothing else."""
    plain, _ = make(variant, teacher=WORLD.teacher())
    scaled, _ = make(variant, teacher=WORLD.teacher().scaled(5.0))
    x = WORLD.center + WORLD.patterns
    torch.testing.assert_close(scaled.vectors, plain.vectors)
    code = plain.encode(x)[:, plain.placement.latents]
    torch.testing.assert_close(
        scaled.encode(5 * x)[:, plain.placement.latents], 5 * code, rtol=1e-4, atol=1e-4
    )


def test_a_teacher_saves_learning(variant):
    scale = norm_scale(X)
    blank, taught = make(variant)[0], make(variant, teacher=WORLD.teacher().scaled(scale))[0]
    for sae in (blank, taught):
        trained(sae, 60)
    held = [held_out(sae, [WORLD.activations(512, seed=7)], scale=scale) for sae in (blank, taught)]
    assert recovery(taught) > recovery(blank) + 0.1
    assert held[1].explained_variance > held[0].explained_variance + 0.05


def test_concepts_without_room_are_counted(variant):
    many = 400
    patterns = torch.randn(many, D, generator=torch.Generator().manual_seed(0))
    parents = torch.tensor([-1 if row < 40 else row % 40 for row in range(many)])
    names = tuple(map(str, range(many)))
    sae, _ = make(variant, teacher=Teacher(patterns, patterns, parents, names, torch.zeros(D)))
    placed = sae.placement
    assert 12 < len(placed.names) <= 48
    assert sum(placed.left_out.values()) + len(placed.names) == many


def silenced(variant: str, *overrides: str) -> tuple[SAE, torch.Tensor]:
    """Every second latent that needs no parent whispers among the loud, and never wins a place."""
    sae, _ = make(variant, *overrides)
    quiet = torch.arange(48) % 2 == 1
    with torch.no_grad():
        sae.b_enc[~quiet] += 5
        filters = dict(sae.named_parameters()).get("W_enc", getattr(sae, "top_enc", None))
        filters[:, quiet[: filters.shape[1]]] *= 0.01
    return sae, quiet & (sae.parents < 0)


def test_auxk_reaches_encoder_and_decoder_of_dead_latents_alone(variant):
    """A peer's fused encoder dropped the encoder's gradient: its dead latents could not be revived."""
    sae, dead = silenced(variant)
    assert dead.any() and not sae.encode_sparse(X).fired(48)[dead].any()
    losses, _ = sae.losses(X, dead=dead)
    losses["aux"].backward()
    assert sae.b_enc.grad is not None and sae.b_enc.grad[dead].any() and not sae.b_enc.grad[~dead].any()
    learned = {
        name: bool(weight.grad is not None and weight.grad.any()) for name, weight in sae.named_parameters()
    }
    assert learned.pop("b_dec") is False, "the error was taken from a reconstruction that holds b_dec already"
    assert all(learned[name] for name in ("W_enc", "W_dec", "top_enc", "top_dec") if name in learned)


def test_dead_latents_come_back_with_auxk_and_stay_dead_without(variant):
    alive = {}
    for aux in (0.0, 0.03125):
        sae, dead = silenced(variant, f"sae.aux={aux}")
        recipe = Recipe(steps=60, lr=5e-3, warmup=0.0, decay=0.0, clip=1.0, dead_after=512)
        training = Training(sae, recipe, scale=norm_scale(X))
        for _ in training.steps(WORLD.activations(128, seed=n) for n in range(60)):
            pass
        alive[aux] = int((~training.dead[dead]).sum())
    assert alive[0.0] == 0 < alive[0.03125], alive


def test_k_beyond_the_latents_is_refused(variant):
    with pytest.raises(UserError, match="sae.k"):
        make(variant, "sae.latents=null", "sae.expansion=1", "sae.k=40")
