"""What a job says reaches its logs: JSONL always, W&B and TensorBoard by choice."""

import base64
import json
import math
import os
from pathlib import Path

import pytest
import toyhouse
import wandb_log

from hsae.loggers import Fan, Run, jsonl, logs, tensorboard, wandb, wandb_offline

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)

HOMES = ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR")


def a_run(folder: Path) -> Run:
    out = folder / "train_sae" / ".x.partial"
    out.mkdir(parents=True, exist_ok=True)
    return Run(
        folder=out,
        outputs=folder,
        job="train_sae",
        name="topk-seed0",
        group="quickstart",
        tags=("toy",),
        notes="a note",
        config={"sae": {"k": 8}, "seed": 0},
    )


def talk(log, picture: Path) -> None:
    picture.write_bytes(PIXEL)
    for tokens in (100, 200, 300):
        log.scalars({"sae/fvu": 1 / tokens, "sae/dead": tokens}, tokens=tokens)
    log.table("scores", ["dictionary", "fvu"], [["topk", 0.5], ["pca", None]])
    log.image("map", picture)


@pytest.fixture(scope="session")
def offline(tmp_path_factory) -> tuple[wandb_log.Logged, wandb_log.Logged, Path]:
    """A W&B run of a job that ended well, one of a job that failed, and the folder of the first."""
    folder = tmp_path_factory.mktemp("wandb")
    for variable in HOMES:
        os.environ.pop(variable, None)  # another test may have chosen
    said = wandb_offline.Settings(name="wandb_offline", mode="offline", project="hsae", entity=None)
    for fails in (False, True):
        run = a_run(folder / ("bad" if fails else "good"))
        try:
            with logs(run, wandb_offline, said) as log:
                talk(log, run.folder / "map.png")
                log.summary({"fvu": 0.1})
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            assert fails
    paths = [next((folder / name / "wandb").glob("offline-run-*/run-*.wandb")) for name in ("good", "bad")]
    return wandb_log.finished(paths[0]), wandb_log.finished(paths[1]), folder / "good"


def lines(run: Run) -> list[dict]:
    return jsonl.read(run.folder / "log.jsonl")


def test_the_jsonl_log_is_always_there_whatever_logger_is_chosen(offline):
    _, _, folder = offline
    said = jsonl.read(folder / "train_sae" / ".x.partial" / "log.jsonl")
    assert [line["tokens"] for line in said if "tokens" in line] == [100, 200, 300]
    assert {"table", "columns", "rows"} <= set(said[3])
    assert said[-1]["summary"] == {"fvu": 0.1}


def test_numbers_without_a_json_form_become_null(tmp_path: Path):
    with logs(a_run(tmp_path), jsonl, jsonl.Settings(name="jsonl")) as log:
        log.scalars({"loss": math.nan, "norm": math.inf}, tokens=1)
    assert lines(a_run(tmp_path))[0] | {"seconds": 0} == {
        "tokens": 1,
        "loss": None,
        "norm": None,
        "seconds": 0,
    }


def test_a_resumed_job_takes_back_what_it_will_say_again(tmp_path: Path):
    run, settings = a_run(tmp_path), jsonl.Settings(name="jsonl")
    with logs(run, jsonl, settings) as log:
        for tokens in (1, 2, 3):
            log.scalars({"x": tokens}, tokens=tokens)
    with (run.folder / "log.jsonl").open("a") as stream:
        stream.write('{"tokens": 4, "x"')  # a kill in the middle of a line
    with logs(run, jsonl, settings) as log:
        log.rewind(2)
        log.scalars({"x": 33}, tokens=3)
    assert [(line["tokens"], line["x"]) for line in lines(run)] == [(1, 1), (2, 2), (3, 33)]


def test_wandb_gets_one_run_per_job_with_group_type_tags_and_config(offline):
    good, _, _ = offline
    assert (good.run.job_type, good.run.run_group, good.run.display_name) == (
        "train_sae",
        "quickstart",
        "topk-seed0",
    )
    assert list(good.run.tags) == ["toy"]
    assert good.run.notes == "a note"
    assert good.config["sae"] == {"k": 8}
    assert good.config["seed"] == 0


def test_wandb_draws_every_number_over_tokens(offline):
    good, _, _ = offline
    assert good.steps["*"] == "tokens"
    assert good.series("sae/fvu") == [(100, 1 / 100), (200, 1 / 200), (300, 1 / 300)]
    assert good.summary["fvu"] == 0.1


def test_wandb_shows_tables_and_images(offline):
    good, _, folder = offline
    kinds = {name: value for row in good.rows for name, value in row.items() if name.endswith("/_type")}
    assert kinds == {"scores/_type": "table-file", "map/_type": "image-file"}
    table = next(folder.glob("wandb/offline-run-*/files/media/table/**/*.json"))
    assert json.loads(table.read_text())["data"] == [["topk", 0.5], ["pca", None]]


def test_a_failed_job_is_a_crashed_run(offline):
    good, bad, _ = offline
    assert good.code == 0
    assert bad.code == 1


def test_wandb_stays_out_of_the_home_folder(offline):
    _, _, folder = offline
    for variable in HOMES:
        assert Path(os.environ[variable]).is_relative_to(folder)


def test_a_resumed_job_goes_on_in_its_own_wandb_run(tmp_path: Path):
    note = tmp_path / "wandb.json"
    first = wandb.identity(note)
    assert wandb.identity(note) == first
    note.unlink()
    assert wandb.identity(note) != first


def test_tensorboard_holds_the_numbers_at_their_tokens(tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = a_run(tmp_path)
    with logs(run, tensorboard, tensorboard.Settings(name="tensorboard")) as log:
        talk(log, run.folder / "map.png")
        log.rewind(200)
        log.scalars({"sae/dead": 7}, tokens=300)
        log.summary({"fvu": 0.1})
    events = EventAccumulator(str(run.folder / "events"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("sae/dead")] == [
        (100, 100),
        (200, 200),
        (300, 7),
    ]
    assert "map" in events.Tags()["images"]
    assert "scores/text_summary" in events.Tags()["tensors"]


def test_a_log_of_no_logs_is_silent(capsys: pytest.CaptureFixture):
    Fan(()).scalars({"x": 1}, tokens=1)
    assert capsys.readouterr() == ("", "")


def test_a_job_has_one_wandb_run_and_a_skipped_job_none(tmp_path: Path):
    words = ["job=grow", "logger=wandb_offline", "name=mine", "tags=[a]", "model.path=/data/models/gpt2"]
    with toyhouse.opened(toyhouse.furnish(tmp_path / "conf")):
        for _ in range(2):
            assert toyhouse.inside(*words, cwd=tmp_path).returncode == 0
        folder = tmp_path / "outputs" / "wandb"
        (path,) = folder.glob("offline-run-*/run-*.wandb")
        logged = wandb_log.finished(path)
        assert (logged.run.run_group, logged.run.job_type, logged.run.display_name) == (
            "mine",
            "grow",
            "rows3-seed0",
        )
        assert logged.series("grow/row") == [(0, 0), (1, 1), (2, 2)]
        assert logged.summary["rows"] == 3
        assert logged.config["job"] == {"name": "grow", "rows": 3, "pause": 0, "end": "well"}
        assert logged.config["model"]["path"] == "gpt2"  # where it lies on this machine is nobody's business
        assert not {"outputs", "overrides", "logger"} & set(logged.config)
        assert toyhouse.inside(*words, "seed=1", "job.end=bug", cwd=tmp_path).returncode == 1
        (crashed,) = set(folder.glob("offline-run-*/run-*.wandb")) - {path}
        assert wandb_log.finished(crashed).code == 1
    assert {file.name for file in tmp_path.iterdir()} == {"conf", "outputs"}
