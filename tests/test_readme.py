"""Every command of the README runs as it is written."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
LINES = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]
HSAE = [line for line in LINES if line.startswith("hsae ")]
MAKE = [line for line in LINES if line.startswith("make ")]


def test_every_command_is_one_that_this_file_knows_to_run():
    assert len(HSAE) > 5 and sorted(HSAE + MAKE) == sorted(LINES)


@pytest.mark.timeout(300)
def test_they_run_one_after_another_as_a_person_would_type_them(tmp_path):
    # the package's own command, from a folder that has nothing to do with the checkout
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    for line in HSAE:
        words = [sys.executable, "-m", "hsae", *shlex.split(line)[1:]]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, env=env)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("line", MAKE)
def test_ci_runs_what_would_run_itself_here(line):
    """`make test` is this very run, and `make run` takes minutes: CI types both."""
    assert line in (ROOT / ".ci/run").read_text().splitlines()


@pytest.mark.parametrize("line", re.findall(r"`(make [a-z-]+)`", (ROOT / "README.md").read_text()))
def test_a_make_target_in_the_prose_exists(line):
    subprocess.run(["make", "--dry-run", *line.split()[1:]], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text()))
def test_a_link_points_at_something(link):
    assert link.startswith("http") or (ROOT / link).exists()
