"""The real command line over toy jobs: no language model, no torch, half a second a run."""

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

import hsae.contexts
import hsae.jobs
from hsae.__main__ import guarded

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent

STAGE = "contexts: [toy]\nrounds: 0\neach: 1\nshare: 1.0\nbudget: null\n"

EXPERIMENT = """# @package _global_
defaults:
  - override /job: pipeline
name: toy
steps:
  - job=grow seed=0,1
  - job=pick seed=1
  - job=gather
"""


def furnish(folder: Path) -> Path:
    """A copy of conf/ in which the axes that need data are `none` and the toy jobs are on offer."""
    shutil.copytree(REPOSITORY / "conf", folder, ignore=shutil.ignore_patterns("local"))
    text = (folder / "config.yaml").read_text()
    for group in ("concepts", "corpus", "sae", "teacher"):
        text = re.sub(rf"- {group}: .*", f"- {group}: none", text)
        _write(folder / group / "none.yaml", "name: none\n")
    text = re.sub(r"- contexts: .*", "- contexts: [toy]", text)
    text = re.sub(r"- evaluations: .*", "- evaluations: []", text)
    _write(folder / "config.yaml", text)
    _write(folder / "contexts" / "toy.yaml", "toy: {count: 3}\n")
    _write(folder / "stage" / "templates.yaml", "name: templates\nnumber: 1\nafter: null\n" + STAGE)
    _write(folder / "job" / "grow.yaml", "name: grow\nrows: 3\npause: 0\nend: well\n")
    _write(folder / "job" / "pick.yaml", "name: pick\nrow: 1\n")
    _write(folder / "job" / "gather.yaml", "name: gather\nof: []\n")
    _write(folder / "experiment" / "toy.yaml", EXPERIMENT)
    return folder


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


@contextmanager
def opened(conf: Path) -> Iterator[Path]:
    """This process among the toy jobs and over their configuration."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HSAE_CONF", str(conf))
        for package, folder in ((hsae.jobs, "jobs"), (hsae.contexts, "contexts")):
            package.__path__.append(str(HERE / "toy" / folder))
        yield conf
        for package in (hsae.jobs, hsae.contexts):
            package.__path__.pop()


@dataclass
class Ended:
    """What a command line came to."""

    returncode: int
    stdout: str
    stderr: str


def inside(*words: str, cwd: Path) -> Ended:
    """The command line in this process, inside `opened`: several times as fast as a process of its own."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["hsae", *words])
        code = guarded(words)
    return Ended(code, out.getvalue(), err.getvalue())


def surroundings(conf: Path | None = None, **environment: str) -> dict[str, str]:
    """The environment of a command line of this checkout: over the toy house in `conf`, else the real one."""
    paths = [str(HERE / "toy" / "site")] if conf else []
    said = {"PYTHONPATH": os.pathsep.join([*paths, str(REPOSITORY)]), "OMP_NUM_THREADS": "1", **environment}
    kept = {name: value for name, value in os.environ.items() if name != "HSAE_CONF"}
    return {**kept, **said, **({"HSAE_CONF": str(conf)} if conf else {})}


def outside(
    *words: str, cwd: Path, conf: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "hsae", *words],
        cwd=cwd,
        env=surroundings(conf, **environment),
        capture_output=True,
        text=True,
        timeout=60,
    )
