"""What only families promise."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cosine_similarity, normalize
from worlds_sae import CHILDREN, FAMILIES, D, make, world

from hsae import build
from hsae.errors import ConfigError, UserError
from hsae.sae.families import beside, increments, place
from hsae.sae.losses import unexplained
from hsae.sae.teacher import Teacher
from hsae.seeding import stream

WORLD = world()
X = WORLD.activations(256, seed=0)
NOBODY = torch.zeros(48, dtype=torch.bool)


def jittered(*overrides: str):
    """No bias is zero and no factor is at its start, so that nothing cancels."""
    sae, _ = make("hierarchical", *overrides)
    with torch.no_grad():
        for name, weight in sae.named_parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=stream(0, name))
    return sae


def obvious(sae, x, *, scaled: bool):
    """The code by a loop over rows and tops, from W_enc and parents alone."""
    pre = (x - sae.b_dec) @ sae.W_enc + sae.b_enc
    code = torch.zeros_like(pre)
    for row in range(len(x)):
        for top in pre[row, : sae.tops].topk(sae.k // 2).indices:
            below = (sae.parents == top).nonzero().squeeze(1)
            child = below[pre[row, below].argmax()]
            heard = pre[row, top].relu()
            code[row, top] = heard
            code[row, child] = pre[row, child].relu() * (heard if scaled else (heard > 0).float())
    return code


@pytest.mark.parametrize("gate", ["hard", "scaled"])
def test_the_code_is_that_of_the_obvious_loop(gate):
    sae = jittered(f"sae.gate={gate}")
    torch.testing.assert_close(sae.encode(X), obvious(sae, X, scaled=gate == "scaled"))


@pytest.mark.parametrize("gate", ["hard", "scaled"])
def test_it_learns_like_the_obvious_loop(gate):
    sae = jittered(f"sae.gate={gate}")
    fast, _ = sae.losses(X, dead=NOBODY)
    code = obvious(sae, X, scaled=gate == "scaled")
    alone = code * (sae.parents < 0)
    slow = unexplained(X, code @ sae.W_dec + sae.b_dec) + 0.1 * unexplained(X, alone @ sae.W_dec + sae.b_dec)
    weights = dict(sae.named_parameters())
    quick = torch.autograd.grad(fast["fvu"] + fast["top"], list(weights.values()))
    for name, one, other in zip(
        weights, quick, torch.autograd.grad(slow, list(weights.values())), strict=True
    ):
        torch.testing.assert_close(one, other, msg=name)


def test_half_of_k_are_tops_and_each_has_at_most_one_child():
    fires = jittered().encode(X) > 0
    sae = jittered()
    assert fires[:, : sae.tops].sum(1).max() == 2
    for top in range(sae.tops):
        assert fires[:, sae.parents == top].sum(1).max() <= 1


def test_tops_alone_reconstruct_more_when_they_are_asked_to():
    losses, _ = jittered("sae.top_weight=0.5").losses(X, dead=NOBODY)
    plain, _ = jittered("sae.top_weight=0.1").losses(X, dead=NOBODY)
    torch.testing.assert_close(losses["top"], 5 * plain["top"])


def test_renormalising_changes_no_child_s_vector():
    sae = jittered()
    with torch.no_grad():
        sae.top_dec.copy_(normalize(sae.top_dec, dim=1))
    before = sae.vectors.detach().clone()
    sae.renormalise()
    torch.testing.assert_close(sae.vectors, before)
    torch.testing.assert_close(sae.low_dec.norm(dim=2), torch.ones(12, 3))


def test_a_taught_hierarchy_reconstructs_the_world_before_learning():
    sae, _ = make("hierarchical", teacher=WORLD.teacher())
    assert sae.losses(X, dead=NOBODY).losses["fvu"] < 0.1
    assert sae.placement.latents[:FAMILIES].tolist() == list(range(FAMILIES))
    for latent, name in zip(sae.placement.latents[FAMILIES:], sae.placement.names[FAMILIES:], strict=True):
        parent = WORLD.parents[int(name.split()[1])]
        assert sae.placement.names[int(sae.parents[latent])] == f"concept {parent}"


def test_a_taught_child_is_silent_on_its_parent_s_own_pattern():
    sae, _ = make("hierarchical", teacher=WORLD.teacher())
    code = sae.encode(WORLD.center + WORLD.patterns[:FAMILIES])
    assert code[:, :FAMILIES].diag().gt(2.9).all()
    assert code[:, sae.placement.latents[FAMILIES:]].max() < 1e-4


def test_more_children_than_dimensions_keep_what_fits_and_say_how_much():
    """Increments that share a direction: two dimensions hold most of all three, and none of them whole."""
    teacher = WORLD.teacher()
    write = teacher.write.clone()
    own = (write - write[teacher.parents])[FAMILIES:]
    shared = own.unflatten(0, (FAMILIES, CHILDREN)).sum(1).repeat_interleave(CHILDREN, 0)
    write[FAMILIES:] += shared + 0.2 * own.roll(1, 0)
    sae, _ = make("hierarchical", "sae.subspace=2", teacher=replace(teacher, read=write, write=write))
    assert 0.9 < sae.placement.kept < 0.999 and not sae.placement.left_out
    for latent, name in zip(sae.placement.latents[FAMILIES:], sae.placement.names[FAMILIES:], strict=True):
        concept = int(name.split()[1])
        increment = write[concept] - write[teacher.parents[concept]]
        assert 0.8 < cosine_similarity(sae.vectors[latent], increment, dim=0) < 0.9999


def test_a_child_that_its_subspace_cannot_hold_is_left_out_and_counted():
    teacher = WORLD.teacher()
    write = teacher.write.clone()
    weak = torch.arange(FAMILIES) * CHILDREN + FAMILIES
    write[weak] -= 0.5 * (write[weak] - write[teacher.parents[weak]])
    sae, _ = make("hierarchical", "sae.subspace=2", teacher=replace(teacher, read=write, write=write))
    assert not {f"concept {row}" for row in weak.tolist()} & set(sae.placement.names)
    assert sae.placement.left_out == {"hardly in its parent's subspace": FAMILIES}
    assert sae.placement.kept == pytest.approx((9 + 4 + 4) / (9 + 4 + 4 + 1), rel=1e-4)
    assert all(weight.isfinite().all() for weight in sae.parameters())


def test_a_taught_child_s_filter_is_that_of_its_increment():
    teacher = WORLD.teacher()
    sae, _ = make("hierarchical", teacher=teacher)
    for latent, name in zip(sae.placement.latents[FAMILIES:], sae.placement.names[FAMILIES:], strict=True):
        concept = int(name.split()[1])
        filter_ = teacher.read[concept] - teacher.read[teacher.parents[concept]]
        assert cosine_similarity(sae.W_enc[:, latent], filter_, dim=0) > 1 - 1e-4


def test_a_filter_in_few_dimensions_still_reads_its_increment_there_as_its_length():
    sae, _ = make("hierarchical", "sae.subspace=2", teacher=WORLD.teacher())
    children = sae.placement.latents[FAMILIES:]
    reads = (sae.W_enc[:, children].T * sae.vectors[children]).sum(1)
    torch.testing.assert_close(reads, torch.ones(len(children)), rtol=1e-3, atol=1e-3)


def test_a_dead_child_tries_only_where_its_parent_fires():
    sae = jittered()
    code = sae.encode(X)
    child = sae.tops + 5 * sae.per_top
    dead = torch.arange(48) == child
    for rows, tries in ((code[:, 5] == 0, False), (code[:, 5] > 0, True)):
        sae.zero_grad()
        sae.losses(X[rows], dead=dead).losses["aux"].backward()
        assert bool(sae.low_enc.grad is not None and sae.low_enc.grad.any()) is tries


def test_a_teacher_without_a_center_teaches_directions_only():
    free, _ = make("hierarchical", teacher=replace(WORLD.teacher(), center=None))
    assert not free.b_enc.any() and not free.b_dec.any()
    free.centre(WORLD.center)
    assert not free.b_enc.any() and torch.equal(free.b_dec, WORLD.center)


def test_an_equal_child_is_left_out_by_name_of_the_reason():
    teacher = WORLD.teacher()
    write = teacher.write.clone()
    write[FAMILIES] = write[0]
    sae, _ = make(
        "hierarchical", teacher=Teacher(write, write, teacher.parents, teacher.names, teacher.center)
    )
    assert sae.placement.left_out == {"no difference from the parent": 1}
    assert f"concept {FAMILIES}" not in sae.placement.names


def test_a_concept_that_does_not_read_what_it_writes_is_refused():
    with pytest.raises(ValueError, match="concept 0"):
        Teacher(-WORLD.patterns, WORLD.patterns, WORLD.parents, WORLD.teacher().names, None)


def test_places_go_to_large_families_first_and_everyone_else_is_counted():
    #          0   1   2  3  4  5  6  7   8 is alone, 3 is inside the tree
    parents = [-1, -1, 0, 1, 1, 1, 3, 3, -1]
    families = place(parents, tops=4, children=1)
    assert families.tops == [1, 3, 0, 8] and families.children == [[4], [6], [2], []]
    assert families.left_out == {"more children than a slot has": 2}
    families = place(parents, tops=1, children=9)
    assert families.tops == [1] and families.children == [[4, 5]]
    assert families.left_out == {
        "no slot for a concept with children": 2,
        "no slot for the parent": 3,
        "no slot for a concept alone": 1,
    }


def test_a_top_without_children_has_no_increments():
    assert increments(WORLD.teacher(), 0, [], dimensions=2).concepts == []


def test_axes_are_filled_up_at_right_angles():
    axes = normalize(torch.randn(2, D, generator=stream(0, "axes")), dim=1)
    filled = beside(axes, 4, stream(0, "more"))
    assert torch.equal(filled[:2], axes)
    products = filled @ filled.T
    torch.testing.assert_close(products[2:], torch.eye(4)[2:], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["sae.latents=50"], "latents=48"),
        (["sae.k=3"], "multiple of 2"),
        (["sae.gate=soft"], "sae.gate"),
    ],
)
def test_families_that_cannot_be_are_refused_before_anything_is_built(overrides, said):
    with pytest.raises(ConfigError, match=said):
        build.compose(["sae=hierarchical", "sae.children=3", *overrides])


@pytest.mark.parametrize(("override", "said"), [("sae.subspace=40", "sae.subspace"), ("sae.k=26", "sae.k")])
def test_families_that_do_not_fit_the_activations_are_refused(override, said):
    with pytest.raises(UserError, match=said):
        make("hierarchical", override)
