"""What is installed is what is in the checkout, with its configuration, and nothing of one machine's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from toyhouse import REPOSITORY


def kept(folder: str) -> set[str]:
    """Files under a folder of the checkout that belong to it."""
    files = (path for path in (REPOSITORY / folder).rglob("*") if path.is_file())
    return {
        path.relative_to(REPOSITORY).as_posix()
        for path in files
        if "__pycache__" not in path.parts
        and not path.relative_to(REPOSITORY).as_posix().startswith("conf/local/")
    }


def test_the_wheel_carries_the_package_and_conf_inside_it():
    # a name in .gitignore (`build/`) can silently leave a package of ours out
    shipped = {
        Path(file.distribution_path).as_posix()
        for file in WheelBuilder(str(REPOSITORY)).recurse_included_files()
    }
    assert shipped == kept("hsae") | {f"hsae/{name}" for name in kept("conf")}


def test_the_sdist_carries_what_the_wheel_is_built_from():
    shipped = {
        Path(file.distribution_path).as_posix()
        for file in SdistBuilder(str(REPOSITORY)).recurse_included_files()
    }
    assert kept("hsae") | kept("conf") <= shipped
    assert not [name for name in shipped if name.startswith(("outputs", "conf/local", ".venv"))]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """The wheel, installed where there is no checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    subprocess.run([sys.executable, *build], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    assert wheel.stat().st_size < 14e6
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder / "site"), str(wheel)]
    subprocess.run([sys.executable, *install], check=True, capture_output=True)
    return folder / "site"


@pytest.mark.parametrize(
    "words",
    ["experiment=quickstart dry_run=true", "job=extract layers=last corpus.tokens=2000"],
)
def test_installed_elsewhere_it_runs_from_an_unrelated_folder(elsewhere, tmp_path, words):
    env = {**os.environ, "PYTHONPATH": str(elsewhere)}
    run = lambda *command: subprocess.run(
        [sys.executable, *command], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert str(elsewhere) in run("-c", "import hsae; print(hsae.__file__)").stdout
    done = run("-m", "hsae", *words.split())
    assert done.returncode == 0, done.stderr
