"""job=verify finds every damaged shard of a store, and job.repair=true puts back what was written."""

import json
import shutil

import pytest
from kills import contents
from worlds import random_lm_folder, sentences

from hsae import artifact, build
from hsae.activations import harvest
from hsae.errors import MissingInput, UserError
from hsae.execute import execute


@pytest.fixture(scope="module")
def choices(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    for number, text in enumerate(sentences(60)):
        (folder / f"{number:03d}.txt").write_text(text)
    model = random_lm_folder(tmp_path_factory.mktemp("model"))
    said = [f"model.path={model}", "corpus=text", f"corpus.path={folder}", "corpus.tokens=1100", "layers=all"]
    return [*said, "capture.context=32", "capture.outliers=20", "hardware=cpu", "evaluations=[]"]


@pytest.fixture(scope="module")
def made(tmp_path_factory, choices):
    """A store of several shards, made once."""
    outputs = tmp_path_factory.mktemp("outputs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harvest, "shard_rows", lambda a_row: 200)
        execute(build.compose(["job=extract", *choices, f"outputs={outputs}", "hardware.batch_tokens=300"]))
    return outputs


@pytest.fixture
def world(tmp_path, made, choices):
    """A copy of the store to damage, its shards, and how the job is run over it."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    shards = sorted(tmp_path.glob("extract/*/shard-*.h5"))
    assert len(shards) > 4

    def verify(*overrides):
        return execute(build.compose(["job=verify", *choices, f"outputs={tmp_path}", *overrides]))

    return shards, verify


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_a_sound_store_is_said_to_be_sound(world, capsys):
    shards, verify = world
    before = contents(shards[0].parent)
    outcome = verify()
    assert outcome.metrics["shards"] == len(shards) and outcome.metrics["repaired"] == 0
    assert f"{len(shards)} shards" in capsys.readouterr().out
    assert contents(shards[0].parent) == before


def test_damage_is_shown_and_mended_to_the_last_byte(world, capsys):
    shards, verify = world
    before = contents(shards[0].parent)
    flip(shards[0], 5000)
    shards[2].write_bytes(shards[2].read_bytes()[:-7])
    shards[-1].unlink()
    with pytest.raises(UserError) as said:
        verify()
    assert f"3 of {len(shards)} shards" in str(said.value) and "job=verify job.repair=true" in str(said.value)
    shown = capsys.readouterr().out
    for words in (shards[0].name, shards[2].name, "rows", "has ", shards[-1].name, "missing"):
        assert words in shown
    assert shards[1].name not in shown
    # the passes are as large as those that made the store, whatever is chosen now
    assert verify("job.repair=true", "hardware.batch_tokens=64").metrics["repaired"] == 3
    assert contents(shards[0].parent) == before
    assert verify().metrics["repaired"] == 0


def test_what_does_not_come_out_the_same_is_not_put_in_its_place(world, monkeypatch):
    shards, verify = world
    flip(shards[1], 5000)
    damaged = contents(shards[0].parent)
    again = harvest.again

    def other(*arguments, **options):
        shard = again(*arguments, **options)
        next(iter(shard.sites.values())).values[0, 0] += 1
        return shard

    monkeypatch.setattr(harvest, "again", other)
    with pytest.raises(UserError, match="other bytes"):
        verify("job.repair=true")
    assert contents(shards[0].parent) == damaged


def test_a_store_that_is_not_there_is_named_with_its_command(world):
    _, verify = world
    with pytest.raises(MissingInput, match="job=extract"):
        verify("corpus.tokens=1000")


def test_damage_beside_the_shards_is_told_too(world):
    shards, verify = world
    folder = shards[0].parent
    index = (folder / "store.json").read_text()
    line = json.loads(index)["shards"][0]["checksum"]
    (folder / "store.json").write_text(index.replace(line, line[::-1]))
    with pytest.raises(UserError, match=r"store.json is not what was written"):
        verify("job.repair=true")
    (folder / "store.json").write_text(index)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(UserError, match=r"manifest.json cannot be read"):
        verify()


def test_whoever_needs_a_damaged_shard_is_told_of_the_repair(world):
    shards, _ = world
    sound = shards[1].read_bytes()
    for harm in (lambda: flip(shards[1], 100), shards[1].unlink):
        harm()
        with pytest.raises(UserError, match=r"job=verify job\.repair=true"):
            artifact.read(shards[0].parent).verify()
    shards[1].write_bytes(sound)
    (shards[0].parent / "store.json").unlink()  # which no repair brings back
    with pytest.raises(UserError, match=r"store.json is missing.\nMake it again:"):
        artifact.read(shards[0].parent)
