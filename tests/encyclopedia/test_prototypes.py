"""Prototypes are linear discriminants in few bytes; what they lose to rounding is measured."""

import json

import pytest
import torch
from worlds_prototypes import CONCEPTS, D, world

from hsae.encyclopedia.queries.prototypes import CARD, IDS, TENSORS, Prototypes, load
from hsae.errors import ConfigError, UserError


def test_discriminants_are_the_gaussian_log_odds():
    toy = world()
    x = toy.rows(torch.arange(CONCEPTS), seed=1)
    found = toy.prototypes(dtype="float32", kind="discriminant").score(x)
    inverse = torch.linalg.inv(toy.within).float()
    log_density = lambda mean: -((x - mean) @ inverse * (x - mean)).sum(1) / 2
    slow = torch.stack([log_density(mean) - log_density(toy.mean.mean(0)) for mean in toy.mean], 1)
    torch.testing.assert_close(found, slow, rtol=1e-3, atol=0.05)


def test_cosines_are_cosines_in_whitened_space():
    toy = world()
    x = toy.rows(torch.arange(CONCEPTS), seed=1)
    values, vectors = torch.linalg.eigh(toy.within)
    root = (vectors @ torch.diag(values**-0.5) @ vectors.T).float()
    center = toy.mean.mean(0)
    z, w = (x - center) @ root, (toy.mean - center) @ root
    slow = torch.nn.functional.cosine_similarity(z[:, None], w[None], dim=2)
    torch.testing.assert_close(toy.prototypes(dtype="float32").score(x), slow, rtol=1e-4, atol=1e-4)


def test_without_a_covariance_they_are_plain_centred_means():
    toy = world()
    plain = Prototypes.of(toy.mean, None, ids=[str(row) for row in range(CONCEPTS)], shrinkage=0.0)
    centred = toy.mean - toy.mean.mean(0)
    slow = torch.nn.functional.cosine_similarity(centred[:, None], centred[None], dim=2)
    torch.testing.assert_close(plain.score(toy.mean), slow, rtol=1e-3, atol=1e-3)


def test_whitening_tells_apart_what_plain_cosines_do_not():
    toy = world(apart=0.35)
    concept = torch.arange(CONCEPTS).repeat(20)
    x = toy.rows(concept, seed=2)
    plain = Prototypes.of(toy.mean, None, ids=[str(row) for row in range(CONCEPTS)], shrinkage=0.0)
    right = lambda prototypes: (prototypes.score(x).argmax(1) == concept).float().mean()
    assert right(toy.prototypes()) > right(plain) + 0.05


def test_int8_retrieves_as_well_as_float16_within_a_hundredth():
    toy = world(apart=0.3)
    concept = torch.arange(CONCEPTS).repeat(30)
    x = toy.rows(concept, seed=3)
    right = {
        dtype: (toy.prototypes(dtype=dtype).score(x).argmax(1) == concept).float().mean().item()
        for dtype in ("float32", "float16", "int8")
    }
    assert 0.3 < right["float32"] < 0.95, (
        "neither at chance nor at the ceiling, where rounding could not show"
    )
    assert abs(right["float16"] - right["float32"]) < 0.002
    assert abs(right["int8"] - right["float32"]) < 0.01


@pytest.mark.parametrize(("dtype", "most"), [("float16", 1350), ("int8", 675)])
def test_a_concept_costs_so_many_bytes_at_width_640(tmp_path, dtype, most):
    d, sizes = 640, {}
    within = torch.eye(d, dtype=torch.float64)
    for concepts in (1000, 4000):
        folder = tmp_path / f"{concepts}"
        folder.mkdir()
        mean = torch.randn(concepts, d, generator=torch.Generator().manual_seed(0))
        ids = [f"wn30:some_{row * 7919 % 100_003}_noun.n.{row % 9:02d}" for row in range(concepts)]
        Prototypes.of(mean, within, ids=ids, shrinkage=0.0, dtype=dtype).save(folder)
        sizes[concepts] = sum(file.stat().st_size for file in folder.iterdir())
    each = (sizes[4000] - sizes[1000]) / 3000
    shared = sizes[1000] - 1000 * each
    assert each + shared / 50_000 <= most, f"{each:.0f} bytes each, {shared:.0f} shared by 50,000"


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8"])
@pytest.mark.parametrize("kind", ["cosine", "discriminant"])
def test_what_is_loaded_scores_as_what_was_saved(tmp_path, dtype, kind):
    toy = world()
    made = toy.prototypes(dtype=dtype, kind=kind, model="m", site="resid_post.1")
    made.save(tmp_path)
    found = load(tmp_path, model="m")
    x = toy.rows(torch.arange(9), seed=4)
    assert torch.equal(found.score(x), made.score(x))
    assert (found.ids, found.dtype, found.kind) == (made.ids, dtype, kind)
    assert (found.model, found.site) == ("m", "resid_post.1")


def test_saving_twice_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        world().prototypes().save(tmp_path / name)
    for file in (TENSORS, CARD, IDS):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_concepts_without_a_vector_are_left_out_and_counted(tmp_path):
    mean = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    mean[2] = torch.nan
    mean[4] = torch.nan
    found = Prototypes.of(mean, None, ids=list("abcdef"), shrinkage=0.0)
    assert found.ids == ("a", "b", "d", "f")
    assert found.left_out == {"without a mean": 2}
    found.save(tmp_path)
    assert json.loads((tmp_path / CARD).read_text())["left_out"] == {"without a mean": 2}


def test_a_concept_that_is_the_average_has_no_direction():
    mean = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    found = Prototypes.of(mean, None, ids=list("abc"), shrinkage=0.0)
    assert found.ids == ("a", "b") and found.left_out == {"at the center": 1}


def test_what_cannot_be_is_refused(tmp_path):
    toy = world()
    flat = torch.zeros(D, D, dtype=torch.float64)
    flat[0, 0] = 1
    ids = [str(row) for row in range(CONCEPTS)]
    with pytest.raises(UserError, match="Raise the shrinkage"):
        Prototypes.of(toy.mean, flat, ids=ids, shrinkage=0.0)
    assert len(Prototypes.of(toy.mean, flat, ids=ids, shrinkage=0.1)) == CONCEPTS
    with pytest.raises(ConfigError, match="share between 0 and 1"):
        Prototypes.of(toy.mean, flat, ids=ids, shrinkage=1.5)
    with pytest.raises(UserError, match="none of 193 concepts"):
        Prototypes.of(toy.mean * torch.nan, flat, ids=ids, shrinkage=0.1)
    with pytest.raises(UserError, match="no prototypes"):
        load(tmp_path)
    toy.prototypes(model="this").save(tmp_path)
    with pytest.raises(UserError, match="of the model this, not of that"):
        load(tmp_path, model="that")
