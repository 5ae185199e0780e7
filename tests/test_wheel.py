"""The wheel carries all that a run needs, and nothing of this machine."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling", reason="the build backend is not installed: make setup")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_it_carries_configuration_model_concepts_page_and_types(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "hsae/py.typed",
        "hsae/conf/config.yaml",
        "hsae/conf/experiment/quickstart.yaml",
        "hsae/lm/tiny/model.safetensors",
        "hsae/lm/tiny/README.md",
    } <= names
    in_package = {str(p.relative_to(ROOT)) for p in (ROOT / "hsae").rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert in_package <= names
    conf = {f"hsae/{p.relative_to(ROOT)}" for p in (ROOT / "conf").rglob("*.yaml") if "local" not in p.parts}
    assert conf <= names
    assert not [name for name in names if "conf/local" in name or name.startswith(("tests/", "conf/"))]


def test_it_is_small(wheel):
    assert wheel.stat().st_size < 14e6


@pytest.mark.timeout(120)
def test_installed_elsewhere_it_runs_from_an_unrelated_folder(wheel, tmp_path):
    elsewhere, folder = tmp_path / "site", tmp_path / "work"
    folder.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(elsewhere), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    env = {**os.environ, "PYTHONPATH": str(elsewhere)}
    where = [sys.executable, "-c", "import hsae; print(hsae.__file__)"]
    assert str(elsewhere) in subprocess.run(where, cwd=folder, env=env, check=True, capture_output=True, text=True).stdout
    for words in (["experiment=quickstart", "dry_run=true"], ["job=extract", "layers=last", "corpus.tokens=2000"]):
        done = subprocess.run([sys.executable, "-m", "hsae", *words], cwd=folder, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert len(list((folder / "outputs/extract").glob("*/manifest.json"))) == 1
