"""A sweep is checked before it starts, survives its failures, and ends in one table."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import toyhouse
from toyhouse import inside, outside


@pytest.fixture(scope="module")
def conf(tmp_path_factory) -> Iterator[Path]:
    with toyhouse.opened(toyhouse.furnish(tmp_path_factory.mktemp("sweeps") / "conf")) as folder:
        yield folder


def states(text: str) -> list[str]:
    """The column `state` of the closing table."""
    return re.findall(r"^\S*(?:seed|job)\S*=.*? +(made|there|failed|planned) ", text, re.MULTILINE)


def test_a_sweep_runs_every_combination_and_ends_in_one_table(conf: Path, tmp_path: Path):
    done = inside("job=grow", "seed=0,1", "job.rows=2,3", "-m", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("outputs/grow/rows*"))) == 4
    assert states(done.stdout) == ["made"] * 4
    assert "4 of 4 jobs ended well" in done.stdout
    again = inside("-m", "job=grow", "seed=0,1,2", "job.rows=2,3", cwd=tmp_path)
    assert sorted(states(again.stdout)) == ["made"] * 2 + ["there"] * 4


def test_a_failed_job_leaves_the_others_running_and_makes_the_exit_code_1(conf: Path, tmp_path: Path):
    done = inside("job=grow", "job.end=well,mistake,bug", "job.rows=2,3", "-m", "force=true", cwd=tmp_path)
    assert done.returncode == 1
    assert states(done.stdout) == ["made", "made", "failed", "failed", "failed", "failed"]
    assert "2 of 6 jobs ended well" in done.stdout
    assert done.stderr.count("the corpus is empty") == 2
    assert done.stderr.count("ZeroDivisionError: a fault of ours") == 2


def test_no_job_starts_where_one_cannot_run_and_all_that_cannot_are_named(conf: Path, tmp_path: Path):
    done = inside("job=grow", "seed=1,-2", "job.rows=2,0", "-m", cwd=tmp_path)
    assert done.returncode == 2
    assert "this sweep cannot run, so none of it was started:" in done.stderr
    wrong = "\n".join(
        [
            "  job=grow seed=1 job.rows=0",
            "    job.rows: should be greater than 0, got 0",
            "  job=grow seed=-2 job.rows=2",
            "    seed: should be greater than or equal to 0, got -2",
            "  job=grow seed=-2 job.rows=0",
            "    job.rows: should be greater than 0, got 0",
            "    seed: should be greater than or equal to 0, got -2",
        ]
    )
    assert wrong in done.stderr
    assert not (tmp_path / "outputs" / "grow").exists()


@pytest.mark.parametrize(
    ("words", "code", "cure"),
    [
        (("job=grow", "job.rwos=1,2"), 2, "job.rwos: no such key; did you mean job.rows?"),
        (("job=grow,pikc",), 2, "job=pikc: no such option; did you mean pick?"),
        (("job=pick", "seed=1,2"), 1, "pick reads outputs/grow/rows3-seed2-"),
        (("steps=['job=grow job.rows=0']", "seed=1,2"), 2, "job.rows: should be greater than 0"),
    ],
)
def test_a_typo_a_missing_input_or_a_wrong_step_stops_a_sweep_before_it_starts(
    conf: Path, tmp_path: Path, words: tuple, code: int, cure: str
):
    done = inside(*words, "-m", cwd=tmp_path)
    assert done.returncode == code  # the same that a job alone ends with
    assert cure in done.stderr
    assert "Traceback" not in done.stderr


def test_a_named_grid_needs_no_flag_and_the_command_line_narrows_it(conf: Path, tmp_path: Path):
    (conf / "sweep" / "toy.yaml").write_text(
        "# @package _global_\nhydra:\n  mode: MULTIRUN\n"
        "  sweeper:\n    params:\n      seed: 0,1\n      job.rows: 2,3\n"
    )
    done = inside("job=grow", "sweep=toy", "seed=5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(states(done.stdout)) == 2
    assert {path.name[:11] for path in tmp_path.glob("outputs/grow/rows*")} == {"rows2-seed5", "rows3-seed5"}


def test_a_sweep_can_run_its_jobs_in_processes_of_their_own(conf: Path, tmp_path: Path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason='pip install "hsae[parallel]"')
    inside("job=grow", cwd=tmp_path)
    words = ["job=grow", "seed=0,1", "job.end=bug", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "-m"]
    done = outside(*words, cwd=tmp_path, conf=conf)
    assert done.returncode == 1
    assert sorted(states(done.stdout)) == ["failed", "there"]
    assert "ZeroDivisionError: a fault of ours" in done.stderr


def test_ctrl_c_ends_the_whole_sweep(conf: Path, tmp_path: Path):
    done = inside("job=grow", "seed=0,1", "job.end=interrupt", "-m", cwd=tmp_path)
    assert done.returncode == 130
    assert len(list(tmp_path.glob("outputs/grow/.*.partial"))) == 1


def test_a_dry_run_of_a_sweep_plans_every_job_and_makes_none(conf: Path, tmp_path: Path):
    done = inside("job=grow", "seed=0,1", "dry_run=true", "-m", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("dry run: nothing was started") == 2
    assert not (tmp_path / "outputs" / "grow").exists()
