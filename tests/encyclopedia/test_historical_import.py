"""A file of HatCat becomes an encyclopedia: its rows to the last bit, its faults named, nothing made up."""

import json

import h5py
import numpy as np
import pytest
import torch
from worlds_hatcat import MODEL, stage0, stage1_class, stage1_script, temporal, vectors

from hsae.contexts.context import role_of
from hsae.contexts.historical import TEMPLATES
from hsae.encyclopedia import Encyclopedia
from hsae.encyclopedia.historical.importing import import_file, site_of, taxonomy_of
from hsae.encyclopedia.historical.layout import HistoricalFile
from hsae.errors import UserError

D = 24
NAMES = ["dog", "cat", "river", "tree", "house", "democracy", "running"]


def imported(path, folder, **options):
    folder.mkdir()
    list(import_file(HistoricalFile(path), folder, **{"depth": None, "block": 3} | options))
    return Encyclopedia(folder)


def test_the_vectors_of_stage_0_come_over_to_the_last_bit(tmp_path):
    of_layer = {-1: vectors(7, D), -3: vectors(7, D, seed=1), -12: vectors(7, D, seed=2)}
    book = imported(stage0(tmp_path / "old.h5", NAMES, of_layer), tmp_path / "new", depth=18)
    assert book.sites == ["resid_post.6", "resid_post.15", "final_norm"]
    assert [concept.name for concept in book.taxonomy] == NAMES
    for site, layer in (("final_norm", -1), ("resid_post.15", -3), ("resid_post.6", -12)):
        assert np.array_equal(book.mean(site).numpy(), of_layer[layer].astype(np.float32))
        assert np.array_equal(book.rows(site).x, of_layer[layer].astype(np.float32))


def test_what_the_file_does_not_say_is_unknown(tmp_path):
    path = stage0(tmp_path / "old.h5", NAMES, {-1: vectors(7, D)})
    book = imported(path, tmp_path / "new")
    assert book.variance("final_norm").isnan().all() and book.relative_error("final_norm").isnan().all()
    assert book.count().tolist() == [1] * 7 and book.count(role="test").sum() == 0
    assert book.mean("final_norm", role="test").isnan().all()
    assert "revision unknown" in book.model and MODEL in book.model
    assert book.poolings == ["mean_with_bos"] and "texts" in book.stages[0]["unknown"]
    assert set(book.block(0).table.text) == {""} and book.templates == ("unknown",)
    json.loads((tmp_path / "new" / "encyclopedia.json").read_text())


def test_a_layer_has_a_sites_name_only_where_the_depth_tells_which(tmp_path):
    hidden = ["embed", *(f"resid_post.{n}" for n in range(3)), "final_norm"]  # of a model of 4 layers
    for index, site in enumerate(hidden):
        assert site_of(index, 4) == site_of(index - 5, 4) == site
    assert site_of(-1, None) == "final_norm" and site_of(-3, None) == "layer_-3"
    assert site_of(9, 4) == "layer_9"
    both = stage0(tmp_path / "old.h5", NAMES, {-1: vectors(7, D), 4: vectors(7, D)})
    assert imported(both, tmp_path / "new", depth=4).sites == ["layer_-1", "layer_4"]


def test_the_samples_of_the_stage_1_script_keep_their_spread_and_their_template(tmp_path):
    samples = vectors(7 * 10, D).reshape(7, 10, D)
    book = imported(stage1_script(tmp_path / "old.h5", NAMES, samples), tmp_path / "new")
    for role in ("fit", "tune", "test"):
        of = [place for place in range(10) if role_of(TEMPLATES[place]) == role]
        mine = torch.from_numpy(samples[:, of].astype(np.float32))
        assert book.count(role=role).tolist() == [len(of)] * 7
        torch.testing.assert_close(book.mean("final_norm", role=role), mine.mean(1))
        torch.testing.assert_close(book.variance("final_norm", role=role), mine.var(1))
    rows = book.rows("final_norm", role="all")
    assert np.array_equal(rows.x, samples.reshape(-1, D).astype(np.float32))
    assert rows.template.tolist() == list(range(10)) * 7
    assert rows.concept.tolist() == np.repeat(range(7), 10).tolist()


def test_samples_that_do_not_lie_concept_after_concept_find_their_own(tmp_path):
    samples = vectors(7 * 4, D).reshape(7, 4, D)
    path = stage1_script(tmp_path / "old.h5", NAMES, samples)
    shuffle = np.random.default_rng(5).permutation(28)
    with h5py.File(path, "r+") as file:
        for name in ("activations", "labels"):
            file[f"layer_-1/{name}"][...] = file[f"layer_-1/{name}"][()][shuffle]
    book = imported(path, tmp_path / "new", block=2)
    mean = torch.from_numpy(samples.astype(np.float32)).mean(1)
    torch.testing.assert_close(book.mean("final_norm", role="all"), mean)


def test_rows_of_what_a_concept_is_not_stay_out_and_are_counted(tmp_path):
    samples = vectors(7 * 4, D).reshape(7, 4, D)
    path = stage1_script(tmp_path / "old.h5", NAMES, samples, polarity=[1, 1, -1, -1])
    book = imported(path, tmp_path / "new")
    assert book.stages[0]["left_out"] == {"of what the concept is not (polarity)": 14}
    torch.testing.assert_close(
        book.mean("final_norm"), torch.from_numpy(samples[:, :2].astype(np.float32)).mean(1)
    )
    assert book.count(role="tune").sum() == 0, "one prompt cannot be split into roles"


def test_a_sequence_becomes_the_mean_of_its_own_steps(tmp_path):
    rows, lengths = np.zeros((7, 3, 20, D), np.float16), np.random.default_rng(1).integers(1, 21, (7, 3))
    for concept, sequence in np.ndindex(7, 3):
        rows[concept, sequence, : lengths[concept, sequence]] = vectors(
            lengths[concept, sequence], D, seed=concept * 3 + sequence
        )
    lengths_said = lengths.copy()
    lengths_said[2, 1] = 25
    path = temporal(tmp_path / "old.h5", NAMES, rows, lengths_said, rows, lengths)
    book = imported(path, tmp_path / "new")
    slow = np.stack(
        [
            np.mean(
                [
                    rows[c, s, : lengths[c, s]].astype(np.float64).mean(0)
                    for s in range(3)
                    if (c, s) != (2, 1)
                ],
                0,
            )
            for c in range(7)
        ]
    )
    torch.testing.assert_close(book.mean("final_norm").double(), torch.from_numpy(slow), rtol=1e-5, atol=1e-5)
    assert book.count().tolist() == [3, 3, 2, 3, 3, 3, 3] and book.poolings == ["mean_generated"]
    assert book.stages[0]["left_out"] == {
        "of what the concept is not (negative sequences)": 21,
        "of sequences whose length is impossible": 1,
    }


def test_faulty_rows_give_no_vector_and_are_counted_by_their_fault(tmp_path):
    rows = {-1: vectors(7, D), -3: vectors(7, D, seed=1)}
    rows[-1][1] = 0
    rows[-3][2, 5] = np.inf
    rows[-1][4, 0] = np.nan
    book = imported(stage0(tmp_path / "old.h5", NAMES, rows), tmp_path / "new")
    for site in book.sites:
        lacking = book.mean(site).isnan().any(1)
        assert lacking.nonzero().flatten().tolist() == [1, 2, 4]
    left_out = book.stages[0]["left_out"]
    assert left_out == {"beyond float16, which ends at 65,504 (infinite or no number)": 2, "of zeros": 1}


def test_names_that_stand_twice_and_placeholders_are_told(tmp_path):
    names = ["cell", "dog", "cell", "cell#2", "concept_000103", "cell", " "]
    assert [concept.id for concept in taxonomy_of(tuple(names))] == [
        f"hatcat:{name}" for name in ("cell", "dog", "cell#2", "cell#2#2", "concept_000103", "cell#3", " ")
    ]
    book = imported(stage0(tmp_path / "old.h5", names, {-1: vectors(7, D)}), tmp_path / "new")
    said = "\n".join(book.stages[0]["faults"])
    for words in (
        "2 concepts have the name of another, such as 'cell'",
        "1 names are placeholders",
        "no name",
    ):
        assert words in said


def test_what_the_file_says_wrongly_of_itself_is_told(tmp_path):
    path = stage0(tmp_path / "old.h5", NAMES, {-1: vectors(7, D)})
    assert HistoricalFile(path).faults == []
    stage1_class(path, {0: vectors(1, D)[0], 3: vectors(1, D, seed=4)[0]})
    with h5py.File(path, "r+") as file:
        file.attrs["n_concepts"] = 1000
        file.attrs["activation_dim"] = 640
        del file.attrs["timestamp"]
    said = "\n".join(HistoricalFile(path).faults)
    for words in (
        "n_concepts says 1000, the file holds 7",
        f"activation_dim says 640, the file holds {D}",
        "does not say timestamp",
        "layer_-1 says stage 1, the file says 0",
        "layer_-1 says 5 samples a concept; 2 of 7 have a variance",
    ):
        assert words in said
    samples = stage1_script(tmp_path / "s.h5", NAMES, vectors(14, D).reshape(7, 2, D))
    with h5py.File(samples, "r+") as file:
        file["layer_-1"].attrs["total_samples"] = 99
        file["layer_-1"].attrs["samples_per_concept"] = 5
        file["layer_-1/labels"][0] = -4
    said = "\n".join(HistoricalFile(samples).faults)
    assert "says 99 samples, and holds 14" in said and "says 5 samples a concept, and holds 14" in said
    assert imported(samples, tmp_path / "n").stages[0]["left_out"] == {"of a label that is no concept": 1}


def test_what_is_no_file_of_hatcat_is_refused_by_name(tmp_path):
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(UserError, match="cannot be read as HDF5"):
        HistoricalFile(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(UserError, match="holds x"):
        HistoricalFile(tmp_path / "other.h5")
    path = stage0(tmp_path / "old.h5", NAMES, {-1: vectors(7, D)})
    with h5py.File(path, "r+") as file:
        del file["layer_-1/activations"]
        file["layer_-1/activations"] = vectors(6, D)
    with pytest.raises(UserError, match="whose row is whose cannot be told"):
        HistoricalFile(path)
    with h5py.File(path, "r+") as file:
        del file["layer_-1/activations"]
    with pytest.raises(UserError, match="three layouts"):
        HistoricalFile(path)
