"""What an encyclopedia says of a concept can be computed again from its texts; what cannot is named."""

import h5py
import numpy as np
import pytest
import torch
from worlds import toy_contexts, toy_taxonomy

from hsae.encyclopedia import Encyclopedia
from hsae.encyclopedia.recompute import _deviations, chosen, recompute, tolerance_of
from hsae.encyclopedia.writer import Reading, Stage, write

TAXONOMY = toy_taxonomy(10)
SITES, POOLINGS = ["resid_post.0", "mlp_out.2"], ("span", "mean")
EVERY = np.arange(10)


@pytest.fixture
def book(tmp_path, lm):
    """Two stages: the first has read the first two contexts of each concept, the second adds all five."""
    reading = Reading(SITES, POOLINGS, sample=2, batch_tokens=120)
    every = list(toy_contexts(TAXONOMY))
    earlier = None
    for number, contexts in enumerate(([c for i, c in enumerate(every) if i % 5 < 2], every)):
        folder = tmp_path / str(number)
        folder.mkdir()
        stage = Stage("toy", number)
        list(write(lm, TAXONOMY, contexts, folder, reading=reading, stage=stage, earlier=earlier, block=4))
        earlier = Encyclopedia(folder)
    return earlier


def again(lm, book, rows=EVERY, tolerance=1e-4):
    parts = list(recompute(lm, book, rows, tolerance=tolerance, batch_tokens=37))
    found = [difference for part in parts for difference in part.found]
    return found, parts


def altered(book, row, change):
    """The encyclopedia with a change to the shard of a concept; `change` gets the file and the row in it."""
    with h5py.File(book.shards[row // 4], "r+") as file:
        change(file, row % 4)
    return book


def test_an_encyclopedia_of_several_stages_comes_out_the_same(book, lm):
    found, parts = again(lm, book)
    assert found == []
    assert sum(part.concepts for part in parts) == 10 and sum(part.contexts for part in parts) == 50
    assert 0 < max(part.largest for part in parts) < 1e-5


@pytest.mark.parametrize("name", ["mean", "m2"])
def test_a_number_that_was_altered_is_found_at_its_place(book, lm, name):
    def change(file, row):
        data = file[f"sites/mlp_out.2/mean/fit/{name}"]
        data[row, 3] += 0.01 + abs(data[row, 3])

    found, _ = again(lm, altered(book, 6, change))
    assert {(each.concept, each.place) for each in found} == {
        (TAXONOMY.concepts[6].id, "mlp_out.2, mean, fit")
    }
    assert [each.what.split()[1] for each in found] == [name]


def test_a_count_that_is_not_that_of_the_texts_is_found(book, lm):
    def change(file, row):
        file["count"][row, 0] += 1

    found, _ = again(lm, altered(book, 2, change))
    assert {each.concept for each in found} == {TAXONOMY.concepts[2].id}
    assert "4 contexts are counted, and 3 are kept" in {each.what for each in found}


@pytest.mark.parametrize(
    ("column", "by"), [("start", 1), ("text/bytes", 1), ("concept", -1)], ids=["span", "text", "concept"]
)
def test_a_context_that_was_altered_is_found_without_reading_it(book, lm, column, by):
    rows = np.array([9])

    def change(file, row):
        data = file[f"contexts/{column}"]
        mine = np.flatnonzero(file["contexts/concept"][()] == row)
        ends = file["contexts/text/ends"][()]
        data[ends[mine[0]] - 1 if column == "text/bytes" else mine[0]] += by

    found, _ = again(lm, altered(book, 9, change), rows=EVERY if column == "concept" else rows)
    names = {each.concept for each in found}
    assert TAXONOMY.concepts[9].id in names and len(names) <= 2
    assert any("is not the one that was read" in each.what for each in found)


def test_a_shard_that_cannot_be_read_is_told_once_with_how_many_concepts_it_holds(book, lm):
    def change(file, row):  # noqa: ARG001  all of the shard
        file["contexts/text/bytes"][0] = 0xFF

    found, _ = again(lm, altered(book, 5, change))
    assert [(each.concept, each.place) for each in found] == [("", "shard-00001.h5")]
    assert "cannot be read" in found[0].what and "4 concepts" in found[0].what


def test_what_is_read_again_does_not_depend_on_anything_but_ids_and_seed(book):
    assert len(chosen(book, share=0.01, seed=0)) == 4 and len(chosen(book, share=1.0, seed=0)) == 10
    few, more = (set(chosen(book, share=share, seed=0).tolist()) for share in (0.5, 0.8))
    assert few < more
    assert len({tuple(chosen(book, share=0.4, seed=seed)) for seed in range(6)}) > 1


def test_vectors_that_are_off_by_a_share_put_the_statistics_off_by_no_more():
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 40):
        for scale in (0.01, 1, 30):
            x = scale * rng.normal(size=(n, 8)) + 3
            off = rng.normal(size=(n, 8))
            off *= (
                0.02 * np.linalg.norm(x, axis=1, keepdims=True) / np.linalg.norm(off, axis=1, keepdims=True)
            )
            told = [(rows.mean(0), np.square(rows - rows.mean(0)).sum(0)) for rows in (x + off, x)]
            assert max(_deviations(n, *told)) <= 0.02 * (1 + 1e-9)
            assert _deviations(n, told[0], told[0]) == (0, 0)


def test_half_precision_is_allowed_more():
    assert tolerance_of(torch.float32) < tolerance_of(torch.bfloat16)
