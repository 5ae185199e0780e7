"""What HatCat's layout can hold of an encyclopedia goes out, and comes back, to the last bit."""

import h5py
import numpy as np
import pytest
from worlds import toy_contexts, toy_taxonomy
from worlds_hatcat import MODEL, stage0, stage1_script, vectors

from hsae.encyclopedia import Encyclopedia
from hsae.encyclopedia.historical.exporting import export, layer_of
from hsae.encyclopedia.historical.importing import import_file, site_of
from hsae.encyclopedia.historical.layout import HistoricalFile
from hsae.encyclopedia.writer import Reading, Stage, write
from hsae.errors import UserError

D, NAMES = 24, ["dog", "cat", "river", "cat", "house"]


def imported(path, folder, depth=18):
    folder.mkdir()
    list(import_file(HistoricalFile(path), folder, depth=depth, block=2))
    return Encyclopedia(folder)


def exported(book, path, form="vectors", depth=18):
    list(export(book, path, form=form, pooling=None, depth=depth))
    return h5py.File(path)


def same(first, second):
    return np.array_equal(first[()].view(np.uint16), second[()].view(np.uint16))


def test_vectors_of_stage_0_make_the_round_trip_to_the_last_bit(tmp_path):
    of_layer = {layer: vectors(5, D, seed=-layer) for layer in (-12, -3, -1)}
    old = stage0(tmp_path / "old.h5", NAMES, of_layer)
    with h5py.File(old) as was, exported(imported(old, tmp_path / "book"), tmp_path / "new.h5") as file:
        assert set(file) == set(was) and np.array_equal(file["concepts"][()], was["concepts"][()])
        for layer in of_layer:
            assert same(was[f"layer_{layer}/activations"], file[f"layer_{layer}/activations"])
            assert file[f"layer_{layer}/activations"].compression == "gzip"
            assert np.isnan(file[f"layer_{layer}/variance"][()]).all()
        for name in ("n_concepts", "activation_dim", "model", "stage", "samples_per_concept"):
            assert file.attrs[name] == was.attrs[name]
    again = HistoricalFile(tmp_path / "new.h5")
    assert again.faults == HistoricalFile(old).faults and again.model == MODEL


def test_samples_of_stage_1_make_the_round_trip_to_the_last_bit(tmp_path):
    samples = vectors(5 * 10, D).reshape(5, 10, D)
    old = stage1_script(tmp_path / "old.h5", NAMES, samples)
    book = imported(old, tmp_path / "book")
    with h5py.File(old) as was, exported(book, tmp_path / "new.h5", "samples") as file:
        for name in ("activations", "labels", "variance"):
            assert np.array_equal(was[f"layer_-1/{name}"][()], file[f"layer_-1/{name}"][()]), name
        assert file["layer_-1"].attrs["total_samples"] == 50 and file.attrs["samples_per_concept"] == 10
    with exported(book, tmp_path / "means.h5") as file:
        mean = samples.astype(np.float64).mean(1)
        np.testing.assert_allclose(file["layer_-1/activations"][()], mean, rtol=2e-3, atol=2e-3)
        assert file.attrs["stage"] == 1 and file["layer_-1/count"][()].tolist() == [10] * 5


def test_an_encyclopedia_of_ours_goes_out_and_comes_back(tmp_path, lm):
    folder, taxonomy = tmp_path / "ours", toy_taxonomy(10)
    folder.mkdir()
    reading = Reading(["resid_post.0", "mlp_out.2", "final_norm"], ("span",), sample=8, batch_tokens=200)
    list(write(lm, taxonomy, toy_contexts(taxonomy), folder, reading=reading, stage=Stage("t", 1)))
    ours = Encyclopedia(folder)
    with exported(ours, tmp_path / "new.h5", depth=lm.layers) as file:
        assert {name for name in file if name.startswith("layer")} == {"layer_-1", "layer_-3"}
        variance = ours.variance("resid_post.0", role="all").mean(1).numpy() * 4 / 5
        np.testing.assert_allclose(file["layer_-3/variance"][()], variance, rtol=2e-3)
    back = imported(tmp_path / "new.h5", tmp_path / "back", depth=lm.layers)
    for site in ("resid_post.0", "final_norm"):
        half = ours.mean(site, role="all").half()
        assert np.array_equal(back.mean(site).half().numpy(), half.numpy())


def test_a_concept_without_a_vector_goes_out_as_no_number(tmp_path):
    rows = vectors(5, D)
    rows[2] = 0
    book = imported(stage0(tmp_path / "old.h5", NAMES, {-1: rows}), tmp_path / "book")
    with exported(book, tmp_path / "new.h5") as file:
        assert np.isnan(file["layer_-1/activations"][2]).all()
        assert np.array_equal(np.delete(file["layer_-1/activations"][()], 2, 0), np.delete(rows, 2, 0))


def test_every_hidden_state_has_one_place_and_comes_back_from_it():
    for depth in (1, 4, 18):
        for index in range(-depth, 0):
            assert layer_of(site_of(index, depth), depth) == f"layer_{index}"
    assert layer_of("resid_post.3", 4) is None, "HatCat sees the last layer after the final norm alone"
    assert layer_of("resid_post.3", None) == "layer_4" and layer_of("mlp_out.1", 4) is None
    assert layer_of("layer_-3", None) == "layer_-3" and layer_of("embed", 4) == "layer_0"


def test_what_float16_cannot_hold_is_refused_and_nothing_is_left(tmp_path):
    book = imported(stage0(tmp_path / "old.h5", NAMES, {-1: vectors(5, D)}), tmp_path / "book")
    mean = book.mean("final_norm", role="all")
    mean[1, 1] = 70_000
    book.mean = lambda *_, **__: mean
    with pytest.raises(UserError, match=r"up to 7e\+04, and HatCat's float16 ends at 65,504"):
        exported(book, tmp_path / "new.h5")
    assert not (tmp_path / "new.h5").exists()
    book.sites = ["mlp_out.1"]
    with pytest.raises(UserError, match=r"has mlp_out.1"):
        exported(book, tmp_path / "new.h5")
