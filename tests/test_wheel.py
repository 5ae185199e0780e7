"""What is installed is what is in the checkout, with its configuration, and nothing of one machine's own."""

from pathlib import Path

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
