"""A pack holds what it says in the bytes that it says, and its rounding is judged on rows it has not seen."""

import h5py
import numpy as np
import pytest
import torch

from hsae import build
from hsae.concepts import Concept, Taxonomy
from hsae.concepts.chosen import chosen_taxonomy
from hsae.encyclopedia import Encyclopedia
from hsae.encyclopedia.block import Block
from hsae.encyclopedia.contexts_table import COLUMNS, ContextTable
from hsae.encyclopedia.queries import packed
from hsae.encyclopedia.queries.prototypes import CARD, IDS, TENSORS, load
from hsae.encyclopedia.writer import write_index

FILES = [CARD, IDS, TENSORS, packed.NAMES, packed.PARENTS]
EACH = 6


def planted(folder, taxonomy, d, *, apart):
    """An encyclopedia of Gaussian contexts around known means: four to fit by, one to tune, one to test."""
    rng, n = np.random.default_rng(0), len(taxonomy)
    concept = np.repeat(np.arange(n), EACH)
    x = (apart * rng.normal(size=(n, d)))[concept] + rng.normal(size=(n * EACH, d)) + 2
    columns = {name: np.zeros(n * EACH, kind) for name, kind in COLUMNS.items()}
    columns |= {"concept": concept, "role": np.tile([0, 0, 0, 0, 1, 2], n), "uid": np.arange(n * EACH)}
    table = ContextTable(columns, {"template": ["t"], "source": ["s"]}, [""] * (n * EACH))
    with h5py.File(folder / "shard-00000.h5", "w") as file:
        x = x.astype(np.float32)
        Block.of(np.arange(n), table, {("resid_post.1", "span"): x}, sample=8).write(file)
    index = {"model": "m", "sites": {"resid_post.1": d}, "poolings": ["span"], "roles": [], "sample": 8}
    write_index(folder, taxonomy, index | {"block": n, "shards": ["shard-00000.h5"], "stages": []})
    return Encyclopedia(folder), x[5::EACH]


def many(n):
    return Taxonomy(Concept(id=f"toy:word{row}.n.01", name=f"word{row}") for row in range(n))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return planted(tmp_path_factory.mktemp("planted"), many(300), 32, apart=0.8)


def pack(book, folder, dtype="float16", shrinkage=0.1):
    exact = packed.packed(book, "resid_post.1", pooling=None, dtype="float32", shrinkage=shrinkage)
    made = exact.rounded(dtype)
    made.save(folder)
    packed.write_words(made, book.taxonomy, folder)
    return exact, made


@pytest.mark.parametrize("shrinkage", [0.1, None])
def test_what_rounding_costs_is_counted_row_by_row_on_the_role_test(world, tmp_path, shrinkage):
    book, test = world
    exact, _ = pack(book, tmp_path, shrinkage=shrinkage)
    found = packed.costs(book, exact, pooling=None, seed=0)
    assert list(found) == ["float32", "float16", "int8"]
    x = torch.from_numpy(book.rows("resid_post.1", role="test").x)
    np.testing.assert_allclose(x.numpy(), test, atol=0.01)
    right = {
        dtype: [int(exact.rounded(dtype).score(x[row : row + 1]).argmax()) == row for row in range(len(x))]
        for dtype in found
    }
    for dtype, cost in found.items():
        assert cost.rows == cost.accuracy.n == 300
        assert cost.accuracy.value == pytest.approx(np.mean(right[dtype]))
        assert cost.lost.value == pytest.approx(np.mean(right["float32"]) - np.mean(right[dtype]))
        assert cost.lost.low <= cost.lost.value <= cost.lost.high
        assert abs(cost.lost.value) <= 0.02
    assert 0.3 < found["float32"].accuracy.value < 0.97, "where rounding could show"
    assert found["float32"].lost[:3] == (0, 0, 0)


def test_without_held_out_rows_nothing_is_said_of_the_cost(world, tmp_path, monkeypatch):
    book, _ = world
    exact, _ = pack(book, tmp_path)
    none = book.rows("resid_post.1", role="test")
    monkeypatch.setattr(Encyclopedia, "rows", lambda *_, **__: type(none)(*(part[:0] for part in none)))
    assert packed.costs(book, exact, pooling=None, seed=0) == {}


@pytest.mark.parametrize(("dtype", "most"), [("float16", 1350), ("int8", 675)])
def test_a_concept_with_its_words_costs_so_many_bytes_at_width_640(tmp_path, dtype, most):
    taxonomy = chosen_taxonomy(build.compose(["job=bootstrap", "concepts=builtin", "concepts.n=400"]))
    book, _ = planted(tmp_path, taxonomy, 640, apart=1.0)
    _, made = pack(book, tmp_path, dtype)
    size = packed.sizes(tmp_path, made, FILES)
    assert size["each"] + size["shared"] / 50_000 <= most, size
    assert size["all"] * 400 == pytest.approx(sum((tmp_path / name).stat().st_size for name in FILES), abs=40)
    assert size["shared"] < 4 * 640 * 641 / 2 + 4 * 640 + 1000


def test_ids_names_and_parents_come_back_and_a_missing_parent_is_stood_for_by_its_own(tmp_path):
    of = lambda name, *parents: Concept(id=f"t:{name}", name=name, parents=tuple(f"t:{p}" for p in parents))
    taxonomy = Taxonomy(
        [
            of("thing"),
            of("living", "thing"),
            of("pet", "thing"),
            of("animal", "living"),
            of("dog", "animal", "pet"),
        ]
    )
    book, _ = planted(tmp_path, taxonomy, 8, apart=1.0)
    mean = book.mean("resid_post.1")
    mean[3] = torch.nan  # nobody knows what an animal is
    book.mean = lambda *_, **__: mean
    _, made = pack(book, tmp_path)
    found = packed.read_words(load(tmp_path), tmp_path)
    assert [concept.id for concept in found] == ["t:thing", "t:living", "t:pet", "t:dog"]
    assert [concept.parents for concept in found] == [(), ("t:thing",), ("t:thing",), ("t:living", "t:pet")]
    assert [concept.depth for concept in found] == [0, 1, 1, 2]
    assert [concept.name for concept in found] == ["thing", "living", "pet", "dog"]


def test_plain_vectors_come_back_within_their_rounding(world, tmp_path):
    book, _ = world
    for dtype, most in (("float32", 1e-6), ("float16", 1e-3), ("int8", 2e-2)):
        _, made = pack(book, tmp_path, dtype, shrinkage=None)
        found = load(tmp_path)
        vectors = book.vectors("resid_post.1")
        off = (found.rows * found.norm[:, None] - vectors).norm(dim=1) / vectors.norm(dim=1)
        assert off.max() < most
