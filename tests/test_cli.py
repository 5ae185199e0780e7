"""The command line: what it prints, how fast, and with which exit code, whatever is typed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import toyhouse
from toyhouse import inside, outside

from hsae import __main__ as command
from hsae.__main__ import overrides_first
from hsae.execute import Outcome


@pytest.fixture(scope="module")
def conf(tmp_path_factory) -> Iterator[Path]:
    with toyhouse.opened(toyhouse.furnish(tmp_path_factory.mktemp("house") / "conf")) as folder:
        yield folder


def imported(told: str) -> set[str]:
    """The modules that Python says it imported, of PYTHONPROFILEIMPORTTIME."""
    return {line.rpartition("|")[2].strip() for line in told.splitlines() if line.startswith("import time:")}


def roots(told: str) -> set[str]:
    return {name.partition(".")[0] for name in imported(told)}


def test_a_job_says_where_its_result_lies(conf: Path, tmp_path: Path):
    done = outside("job=grow", cwd=tmp_path, conf=conf)
    assert done.returncode == 0, done.stderr
    folder = re.search(r"outputs/grow/rows3-seed0-[0-9a-f]{12}", done.stdout)
    assert folder and (tmp_path / folder[0] / "manifest.json").is_file()
    assert done.stderr == ""
    again = outside("job=grow", cwd=tmp_path, conf=conf)
    assert "there already" in again.stdout
    # Hydra's own folders and files stay out of a user's working directory
    assert {path.name for path in tmp_path.iterdir()} == {"outputs"}
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == {"grow", ".locks"}


def test_help_names_the_choices_in_under_a_second_and_without_torch(tmp_path: Path):
    before = os.times()
    done = outside("--help", cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    after = os.times()
    # work rather than wall time: the tests of others may be running beside this one
    took = after.children_user - before.children_user + after.children_system - before.children_system
    assert done.returncode == 0, done.stderr.splitlines()[-5:]
    assert re.search(r"^sae: .*hierarchical.*topk", done.stdout, re.MULTILINE)
    assert "hsae experiment=quickstart" in done.stdout
    assert "hsae.build" in imported(done.stderr)
    assert not roots(done.stderr) & {"torch", "transformers", "wandb", "numpy", "plotly", "nltk"}
    assert took < 1


def test_a_whole_experiment_is_planned_without_torch(tmp_path: Path):
    done = outside("experiment=quickstart", "dry_run=true", cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0, done.stderr.splitlines()[-5:]
    assert done.stdout.count("to make") >= 20
    assert "missing" not in done.stdout
    assert "hsae.lm.files" in imported(done.stderr), "which a job imports"
    assert not roots(done.stderr) & {"torch", "transformers", "wandb", "plotly", "sklearn", "scipy"}


def test_cfg_prints_the_composed_configuration(tmp_path: Path):
    done = outside("job=train_sae", "sae.k=5", "--cfg", "job", "-p", "sae", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\nname: topk\n" in done.stdout
    assert "\nk: 5\n" in done.stdout


def test_shell_completion_knows_groups_and_options(tmp_path: Path):
    done = outside("-sc", "query=bash", cwd=tmp_path, COMP_LINE="hsae sae=hier", COMP_POINT="13")
    assert done.stdout.split() == ["sae=hierarchical"]
    done = outside("-sc", "query=bash", cwd=tmp_path, COMP_LINE="hsae job=tr", COMP_POINT="11")
    assert done.stdout.split() == ["job=train_sae"]


def test_a_dry_run_shows_the_configuration_the_plan_and_its_sizes_and_writes_nothing(
    conf: Path, tmp_path: Path
):
    done = inside("job=pick", "seed=3", "dry_run=true", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "├── seed 3" in done.stdout
    assert re.search(r"grow +rows3-seed3-\w+ +missing +rows 3  bytes 24", done.stdout)
    assert re.search(r"pick +row1-\w+ +to make +rows 1", done.stdout)
    assert "hsae job=grow seed=3" in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_dry_run_of_an_experiment_plans_all_its_steps(conf: Path, tmp_path: Path):
    done = inside("experiment=toy", "dry_run=true", cwd=tmp_path)
    plan = [line.split()[0] for line in done.stdout.splitlines() if "to make" in line]
    assert plan == ["grow", "grow", "pick", "gather"]


def test_all_mistakes_of_a_configuration_are_told_at_once_with_their_cures(conf: Path, tmp_path: Path):
    words = ["job=grow", "job.rows=many", "train.tokens=-4", "hardware.dtype=float8", "sede=3", "+job.rwos=3"]
    done = inside(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert "hsae: this configuration cannot run:" in done.stderr
    assert (
        "job.rows: should be a valid integer, unable to parse string as an integer, got 'many'" in done.stderr
    )
    assert "train.tokens: should be greater than 0, got -4" in done.stderr
    assert "hardware.dtype: should be 'auto'" in done.stderr and "did you mean float32?" in done.stderr
    assert "sede: no such key; did you mean seed?" in done.stderr
    assert "job.rwos: no such key; did you mean job.rows?" in done.stderr
    assert len(done.stderr.splitlines()) == 6
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (("job=grwo",), "job=grwo: no such option; did you mean grow?"),
        (("layer=last",), "layer: no such key; did you mean layers?"),
        (("job=grow", "tokens=5"), "tokens: no such key; did you mean train.tokens?"),
        (
            ("job=grow", "layers.sites=[resid_pots.1]"),
            "layers.sites.0: there is no site 'resid_pots.1'; did you mean resid_post.1? (sites are embed,",
        ),
        (("job=grow", "seed=1,2"), "seed=1,2: several values are a sweep: add -m"),
        (("job=grow", "seed=[1"), "seed=[1: cannot be read"),
        (("job=grow", "hardware=gpu"), "hardware=gpu: no such option; did you mean cpu?"),
        (("job=grow", "stage=9"), "stage=9: no such option ("),
        (("job=grow", "stage=9,raw", "-m"), "stage=9: no such option ("),
        (("job=grow", "+train.k.l=3"), "train.k: no such key"),
        (("job=grow", "~train"), "train: is missing"),
        (("job=grow", "stage=raw"), "the contexts 'raw' are not among those chosen: contexts=[toy]"),
        ((), "Try experiment=quickstart"),
    ],
)
def test_a_mistake_is_answered_with_what_was_probably_meant(
    conf: Path, tmp_path: Path, words: tuple, cure: str
):
    done = inside(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert cure in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 6


@pytest.mark.parametrize(
    ("end", "code", "told"),
    [
        ("mistake", 1, "hsae: the corpus is empty.\nName another with corpus.path.\n"),
        ("full", 1, "hsae: the disk is full: rows.txt could not be written."),
        ("bug", 1, "ZeroDivisionError: a fault of ours"),
        ("interrupt", 130, "hsae: stopped; the same command goes on from here.\n"),
        ("terminate", 143, "hsae: terminated; the same command goes on from here.\n"),
    ],
)
def test_every_end_has_its_message_and_its_exit_code(
    conf: Path, tmp_path: Path, end: str, code: int, told: str
):
    done = outside("job=grow", f"job.end={end}", cwd=tmp_path, conf=conf)
    assert done.returncode == code
    assert told in done.stderr
    assert ("Traceback" in done.stderr) == (end == "bug")
    assert not list(tmp_path.glob("outputs/grow/rows*"))
    again = outside("job=grow", cwd=tmp_path, conf=conf)  # what was begun is gone on with
    assert "begun 3" in again.stdout


def test_a_signal_from_outside_releases_the_artifact(conf: Path, tmp_path: Path):
    words = [sys.executable, "-m", "hsae", "job=grow", "job.rows=5000", "job.pause=0.02"]
    process = subprocess.Popen(
        words,
        cwd=tmp_path,
        env=toyhouse.surroundings(conf),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(tmp_path.glob("outputs/grow/.*/rows.txt")):
        assert process.poll() is None
        time.sleep(0.01)
    rival = inside("job=grow", "job.rows=5000", cwd=tmp_path)
    assert rival.returncode == 1
    assert "another run is making outputs/grow/rows5000-seed0-" in rival.stderr
    assert f"process {process.pid} on " in rival.stderr
    process.send_signal(signal.SIGINT)
    assert "stopped" in process.communicate()[1]
    assert process.returncode == 130
    assert not list(tmp_path.glob("outputs/.locks/*.owner"))


@pytest.mark.parametrize("words", [("outputs=/dev/null/x",), ("outputs=/dev/null/x", "seed=1,2", "-m")])
def test_outputs_that_cannot_be_written_are_named(conf: Path, tmp_path: Path, words: tuple):
    done = inside("job=grow", *words, cwd=tmp_path)
    assert done.returncode == 1
    assert "/dev/null/x" in done.stderr and "outputs=FOLDER" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(conf: Path, tmp_path: Path):
    command = f"{sys.executable} -m hsae --cfg job | head -1"
    done = subprocess.run(
        command,
        shell=True,
        cwd=tmp_path,
        env=toyhouse.surroundings(conf),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


def test_flags_may_stand_before_between_and_after_the_choices():
    assert overrides_first(["a=1", "-m", "b=2"]) == ["a=1", "b=2", "-m"]
    assert overrides_first(["--config-dir", "mine", "a=1"]) == ["a=1", "--config-dir", "mine"]
    assert overrides_first(["--config-dir=mine", "x=[1,2]"]) == ["x=[1,2]", "--config-dir=mine"]


def test_more_options_can_come_from_another_folder(conf: Path, tmp_path: Path):
    (tmp_path / "mine" / "train").mkdir(parents=True)
    text = (conf / "train" / "default.yaml").read_text()
    (tmp_path / "mine" / "train" / "long.yaml").write_text(
        text.replace("default", "long").replace("batch: 1024", "batch: 7")
    )
    done = inside("job=grow", "train=long", "--config-dir", "mine", "--cfg", "job", cwd=tmp_path)
    assert "batch: 7" in done.stdout


def test_a_page_that_was_written_is_named(tmp_path: Path, capsys):
    (tmp_path / "card.html").write_text("")
    for state in ("made", "there"):
        command._tell(Outcome(state, tmp_path, {}, 1.0))
        assert f"page: {tmp_path / 'card.html'}" in capsys.readouterr().out


def test_results_are_plain_lines_where_there_is_no_terminal(conf: Path, tmp_path: Path):
    done = inside("experiment=toy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr and "\r" not in done.stdout + done.stderr
    assert done.stdout.splitlines()[0] == "1/4  grow  rows3-seed0"
    assert re.search(r"page: outputs/gather/3-results-\w+/page.html", done.stdout)
    again = inside("experiment=toy", cwd=tmp_path)
    assert again.stdout.count(" there ") == 4
