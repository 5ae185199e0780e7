"""A job is found, skipped, resumed, refused and published as promised; run in this process, over toy jobs."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import toyhouse

from hsae import build, execute
from hsae.errors import MissingInput, UserError
from hsae.execute import execute as run
from hsae.jobs import pipeline
from hsae.loggers import jsonl


@pytest.fixture
def outputs(tmp_path: Path) -> Iterator[str]:
    """An override for an empty outputs folder, in a house that offers the toy jobs."""
    with toyhouse.opened(toyhouse.furnish(tmp_path / "conf")):
        yield f"outputs={tmp_path / 'outputs'}"


def test_a_job_is_made_once_and_found_ever_after(outputs: str):
    first = run(build.compose(["job=grow", outputs]))
    again = run(build.compose(["job=grow", outputs, "hardware=cpu", "name=other", "tags=[x]", "notes=more"]))
    assert (first.state, again.state) == ("made", "there")
    assert first.folder == again.folder
    assert again.metrics == {"rows": 3, "begun": 0}


def test_force_makes_it_again_from_nothing(outputs: str):
    config = build.compose(["job=grow", outputs])
    stamp = (run(config).folder / "manifest.json").stat().st_mtime_ns
    forced = run(build.compose(["job=grow", outputs, "force=true"]))
    assert forced.state == "made"
    assert forced.metrics["begun"] == 0
    assert (forced.folder / "manifest.json").stat().st_mtime_ns > stamp


def test_the_manifest_tells_a_reader_how_the_result_came_to_be(outputs: str):
    run(build.compose(["job=grow", outputs, "seed=4"]))
    folder = run(build.compose(["job=pick", outputs, "seed=4"])).folder
    said = json.loads((folder / "manifest.json").read_text())
    assert said["command"] == f"hsae job=pick {outputs} seed=4"
    assert said["inputs"]["rows"]["slug"] == "rows3-seed4"
    assert said["config"]["train"]["tokens"] == 1_000_000
    assert said["versions"]["hydra-core"].startswith("1.3")
    assert said["seed"] == 4
    assert {"revision", "dirty"} <= set(said["code"]) or not (toyhouse.REPOSITORY / ".git").exists()
    assert set(said["files"]) == {"log.jsonl", "row.txt"}
    assert said["hardware"]["cpus"]
    assert said["seconds"] >= 0


def test_a_missing_input_prints_the_command_that_makes_it(outputs: str):
    with pytest.raises(MissingInput) as told:
        run(build.compose(["job=pick", outputs, "seed=4", "hardware=cpu"]))
    assert f"\n  hsae job=grow {outputs} seed=4 hardware=cpu" in str(told.value)


def test_the_choices_of_an_input_are_found_through_the_command_line_of_its_reader(outputs: str):
    run(build.compose(["job=grow", outputs, "train.tokens=7700"]))
    assert run(build.compose(["job=pick", outputs, "train.tokens=7700"])).state == "made"
    with pytest.raises(MissingInput, match="tokens=7700 where 7800 is asked"):
        run(build.compose(["job=pick", outputs, "train.tokens=7800"]))


def test_an_altered_input_is_not_read(outputs: str):
    made = run(build.compose(["job=grow", outputs]))
    (made.folder / "rows.txt").write_text("0 0\n0 9\n0 2\n")
    with pytest.raises(UserError, match="rows.txt is not what was written") as told:
        run(build.compose(["job=pick", outputs]))
    assert str(told.value).endswith(f"Make it again:\n  hsae job=grow {outputs} force=true")


def test_a_job_killed_in_the_middle_ends_as_if_it_had_not_been(outputs: str, tmp_path: Path):
    words = ["job=grow", "job.rows=40", "job.pause=0.01"]
    conf = Path(os.environ["HSAE_CONF"])
    process = subprocess.Popen(
        [sys.executable, "-m", "hsae", *words, outputs],
        env=toyhouse.surroundings(conf),
        stdout=subprocess.DEVNULL,
    )
    partial = tmp_path / "outputs" / "grow"
    while not [path for path in partial.glob(".*/rows.txt") if len(path.read_text().splitlines()) > 5]:
        assert process.poll() is None
    process.kill()
    process.wait()
    resumed = run(build.compose([*words, outputs]))
    whole = run(build.compose([*words, f"outputs={tmp_path / 'elsewhere'}"]))
    assert resumed.metrics["begun"] > 5
    assert (resumed.folder / "rows.txt").read_bytes() == (whole.folder / "rows.txt").read_bytes()
    assert [line["tokens"] for line in jsonl.read(whole.folder / "log.jsonl") if "tokens" in line] == list(
        range(40)
    )


def test_a_failed_job_leaves_its_work_and_no_artifact(outputs: str):
    config = build.compose(["job=grow", outputs, "job.end=mistake"])
    with pytest.raises(UserError, match="the corpus is empty"):
        run(config)
    address = build.address(config)
    assert (address.partial / "rows.txt").is_file()
    assert not address.folder.exists()


def test_a_plan_says_what_is_there_what_would_be_made_and_what_is_missing(outputs: str):
    run(build.compose(["job=grow", outputs]))
    states = [
        (step.address.job, step.state)
        for step in execute.plan(
            [build.compose(["job=pick", outputs]), build.compose(["job=pick", "seed=1", outputs])]
        )
    ]
    assert states == [("grow", "there"), ("pick", "to make"), ("grow", "missing"), ("pick", "to make")]
    sizes = execute.plan([build.compose(["job=grow", outputs, "job.rows=5"])])[0].sizes
    assert sizes == {"rows": 5, "bytes": 40}


def test_the_steps_of_a_pipeline_are_sweeps_that_the_command_line_can_narrow(outputs: str):
    def made(*words: str) -> list[tuple[str, int]]:
        config = build.compose(["experiment=toy", outputs, *words])
        return [(step.job.name, step.seed) for step in pipeline.steps(config)]

    assert made() == [("grow", 0), ("grow", 1), ("pick", 1), ("gather", 0)]
    assert made("seed=7") == [("grow", 7), ("pick", 7), ("gather", 7)]


def test_a_step_that_looks_back_is_told_the_lines_before_it(outputs: str):
    last = pipeline.steps(build.compose(["experiment=toy", outputs]))[-1]
    assert last.job.of == ("job=grow seed=0", "job=grow seed=1", "job=pick seed=1")
    assert set(build.address(last).inputs) == set(last.job.of)


def test_what_a_step_looks_back_at_is_what_the_steps_made(outputs: str):
    config = build.compose(["experiment=toy", outputs])
    assert run(config).metrics == {"steps": 4, "made": 4}
    page = run(pipeline.steps(config)[-1]).folder / "page.html"
    assert page.read_text().splitlines()[2] == "job=pick seed=1: {'row': '1 1'}"
    assert run(config).metrics == {"steps": 4, "made": 0}


def test_what_is_typed_of_a_choice_holds_for_every_step_that_makes_the_choice(outputs: str):
    words = ["job=pipeline", outputs, "train.tokens=5000", "steps=['job=grow train=default','job=gather']"]
    first, last = pipeline.steps(build.compose(words))
    assert first.train.tokens == 5000
    (needed,) = build.address(last).inputs.values()
    assert needed.fingerprint == build.address(first).fingerprint


def test_the_mistakes_of_all_steps_are_told_at_once(outputs: str):
    config = build.compose(["job=pipeline", outputs, "steps=['job=grow job.rows=0','job=pick job.rwo=1']"])
    with pytest.raises(UserError) as told:
        pipeline.steps(config)
    assert "job.rows: should be greater than 0, got 0" in str(told.value)
    assert "did you mean job.row?" in str(told.value)


def test_a_failed_step_leaves_the_others_running(outputs: str, capsys):
    lines = "['job=grow seed=1 job.end=bug','job=grow seed=2','job=pick seed=1','job=pick seed=2']"
    config = build.compose(["job=pipeline", outputs, f"steps={lines}"])
    with pytest.raises(UserError, match="2 of 4 steps did not finish"):
        run(config)
    shown = capsys.readouterr()
    assert [line.split()[2] for line in shown.out.splitlines() if line.startswith(("grow ", "pick "))] == [
        "failed",
        "made",
        "not",
        "made",
    ]
    assert "ZeroDivisionError: a fault of ours" in shown.err


def test_a_pipeline_whose_step_could_never_run_does_not_start(outputs: str, tmp_path: Path):
    config = build.compose(["job=pipeline", outputs, "steps=['job=grow seed=1','job=pick seed=2']"])
    with pytest.raises(MissingInput, match="hsae job=grow .*seed=2"):
        run(config)
    assert not (tmp_path / "outputs").exists()


def test_an_experiment_falls_back_where_something_is_missing(outputs: str, tmp_path: Path):
    experiment = tmp_path / "conf" / "experiment" / "words.yaml"
    experiment.write_text(
        "# @package _global_\ndefaults:\n  - override /job: grow\n"
        "train: {tokens: 5000}\nfallback: {without: wordnet, use: [train.tokens=6000, seed=3]}\n"
    )
    config = build.compose(["experiment=words", outputs, "seed=9"])
    same, silence = build.settle(config, {"wordnet": lambda: True})
    other, notice = build.settle(config, {"wordnet": lambda: False})
    assert (same, silence) == (config, None)
    assert (other.train.tokens, other.seed) == (6000, 9)  # the command line beats the fallback too
    assert notice == "wordnet was not found, so this runs with train.tokens=6000"
