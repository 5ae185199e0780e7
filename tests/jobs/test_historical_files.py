"""job=import_historical and job=export as a person meets them: HatCat's files in, and out again."""

import json

import h5py
import numpy as np
import pytest
from worlds_hatcat import stage0, stage1_script

import hsae
from hsae import build
from hsae.errors import ConfigError, MissingInput, UserError
from hsae.execute import execute

D, NAMES = 16, [*(f"word{row}" for row in range(58)), "word3", "concept_000103"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A file of stage 1 with concepts that stand apart, and how jobs are run on it."""
    folder = tmp_path_factory.mktemp("old")
    rng = np.random.default_rng(0)
    samples = 3 + rng.normal(size=(60, 1, D)) + 0.4 * rng.normal(size=(60, 20, D))
    samples[4, 7] = 0
    old = stage1_script(folder / "old.h5", NAMES, samples.astype(np.float16))
    said = [f"encyclopedia.path={old}", f"outputs={folder / 'outputs'}", "hardware=cpu", "evaluations=[]"]

    def run(job, *overrides):
        return execute(build.compose([f"job={job}", *said, *overrides]))

    return run, old


def test_an_import_names_the_faults_of_its_file(world, capsys):
    run, _ = world
    outcome = run("import_historical", "force=true")
    shown = capsys.readouterr().out
    for words in (
        "1 concepts have the name of another",
        "1 names are placeholders",
        "1 rows left out: of zeros",
    ):
        assert words in shown
    assert "unknown: texts" in shown and "revision" in shown
    found = {"concepts": 60, "without_a_row": 0, "contexts": 1199, "layout": "samples", "faults": 3}
    assert outcome.metrics == found
    assert hsae.load(outcome.folder).stages[0]["file"] == "old.h5"


def test_jobs_that_read_an_encyclopedia_read_the_import_under_the_same_key(world):
    run, _ = world
    run("import_historical")
    found = run("converge")
    assert found.metrics["concepts"] == 60 and found.metrics["median_error"] > 0
    scores = run("interpret", "interpreter=lda", "job.controls=[permuted,noise]").metrics
    assert scores["accuracy"] > 0.9 > 0.1 > scores["permuted"]


def test_verify_holds_an_import_to_its_checksums_alone(world, capsys):
    run, _ = world
    run("import_historical")
    assert run("verify", "job.of=encyclopedia").metrics["concepts"] == 0
    assert "texts of an imported encyclopedia are not known" in capsys.readouterr().out


def test_layers_are_named_as_sites_where_the_model_is_the_files_own(world, tmp_path):
    run, _ = world
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"num_hidden_layers": 18, "hidden_size": D}))
    rows = np.random.default_rng(1).normal(size=(60, D)).astype(np.float16)
    path = stage0(tmp_path / "new.h5", NAMES, {-3: rows, -1: rows})
    with h5py.File(path, "r+") as file:
        file.attrs["model"] = str(model)
    sites = lambda *more: hsae.load(run("import_historical", f"encyclopedia.path={path}", *more).folder).sites
    assert sites() == ["layer_-3", "final_norm"]
    assert sites(f"model.path={model}", "layers.which=last") == ["resid_post.15", "final_norm"]


def test_what_goes_out_is_what_came_in(world, tmp_path):
    run, old = world
    run("import_historical")
    to = tmp_path / "deep" / "new.h5"
    found = run("export", f"job.path={to}", "job.form=samples").metrics
    assert found["concepts"] == 60 and found["bytes"] == to.stat().st_size
    with h5py.File(old) as was, h5py.File(to) as file:
        good = np.delete(was["layer_-1/activations"][()], 4 * 20 + 7, 0)
        assert np.array_equal(file["layer_-1/activations"][()], good)
    with pytest.raises(UserError, match="is there already"):
        run("export", f"job.path={to}")
    assert run("export", f"job.path={to}", "force=true").metrics["sites"] == 1


def test_what_is_missing_says_what_to_type(world, tmp_path):
    run, _ = world
    with pytest.raises(ConfigError, match=r"job\.path="):
        run("export")
    with pytest.raises(UserError, match="no such file"):
        run("converge", f"encyclopedia.path={tmp_path}/none.h5")
    with pytest.raises(ConfigError, match=r"encyclopedia\.path="):
        run("import_historical", "encyclopedia.path=null")
    with pytest.raises(MissingInput, match="job=import_historical"):
        run("export", f"job.path={tmp_path}/x.h5", f"outputs={tmp_path}")
