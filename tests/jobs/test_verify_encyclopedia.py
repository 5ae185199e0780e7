"""job=verify job.of=encyclopedia as a person meets it: damage is named down to the concept."""

import json
import re
import shutil

import h5py
import pytest

from hsae import build
from hsae.artifact import _hash
from hsae.errors import ConfigError, MissingInput, UserError
from hsae.execute import execute
from hsae.journal import checksum

CHOICES = ["concepts=builtin", "concepts.n=40", "corpus=builtin", "hardware=cpu", "evaluations=[]"]
CHOICES += ["encyclopedia.controls=10", "contexts.templates.per_concept=4", "layers.sites=[resid_post.1]"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("outputs")
    for stage in ("raw", "templates"):
        execute(build.compose(["job=bootstrap", *CHOICES, f"outputs={outputs}", f"stage={stage}"]))
    return outputs


@pytest.fixture
def world(made, tmp_path):
    """A copy to damage: how to verify it, and the folder of the stage templates."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)

    def verify(*overrides):
        said = ["job=verify", "job.of=encyclopedia", *CHOICES, f"outputs={tmp_path}", *overrides]
        return execute(build.compose(said)).metrics

    return verify, next(tmp_path.glob("bootstrap/*templates*"))


def resigned(folder):
    """As a forger would: the file's checksum and hash are those of what is there now."""
    path = folder / "shard-00000.h5"
    index = json.loads((folder / "encyclopedia.json").read_text())
    index["checksums"][path.name] = checksum(path)
    (folder / "encyclopedia.json").write_text(json.dumps(index))
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in (path.name, "encyclopedia.json"):
        file = folder / name
        manifest["files"][name] = {"bytes": file.stat().st_size, "sha256": _hash(file)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_sound_encyclopedia_of_each_stage_is_said_to_be_sound(world, capsys):
    verify, folder = world
    for stage in ("raw", "templates"):
        found = verify(f"stage={stage}", "job.share=0.2")
        assert found["concepts"] == 8 + 6, "a fifth of the concepts, and of the 30 controls"
        assert found["largest_deviation"] < 1e-5
    assert verify("job.share=1")["concepts"] == 70
    assert str(folder) in capsys.readouterr().out


def test_a_flipped_byte_is_found_and_so_is_the_concept_that_it_fell_on(world, capsys):
    verify, folder = world
    path = folder / "shard-00000.h5"
    with h5py.File(path) as file:
        data = file["sites/resid_post.1/span/fit/mean"]
        place = data.id.get_offset() + (17 * data.shape[1] + 5) * 4 + 3  # sign and exponent of a float32
    rows = [json.loads(line)["id"] for line in (folder / "concepts.jsonl").read_text().splitlines()]
    bytes_ = bytearray(path.read_bytes())
    bytes_[place] ^= 0x10
    path.write_bytes(bytes_)
    with pytest.raises(UserError) as said:
        verify()
    text = str(said.value)
    assert "shard-00000.h5" in text and rows[17] in text and "1 concepts are not what their texts" in text
    assert re.search(r"verify that first", text) and re.search(r"hsae job=bootstrap .*force=true$", text)
    shown = capsys.readouterr().out
    assert "the content of shard-00000.h5 is not what was written" in shown and "the mean is off by" in shown


def test_a_text_that_was_altered_with_its_checksums_is_found_by_reading_again(world):
    verify, folder = world
    with h5py.File(folder / "shard-00000.h5", "r+") as file:
        file["contexts/text/bytes"][2] ^= 1
    resigned(folder)
    with pytest.raises(UserError, match="1 concepts are not what their texts give"):
        verify("job.share=1")


def test_a_large_shard_is_held_to_its_checksum_though_its_manifest_does_not_hash_it(world):
    verify, folder = world
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"]["shard-00000.h5"]["sha256"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    path = folder / "shard-00000.h5"
    bytes_ = bytearray(path.read_bytes())
    bytes_[-1] ^= 1
    path.write_bytes(bytes_)
    with pytest.raises(UserError, match=r"1 files of .* are damaged: shard-00000.h5"):
        verify()


def test_damage_to_what_shards_are_read_by_is_named(world):
    verify, folder = world
    with (folder / "encyclopedia.json").open("a") as stream:
        stream.write(" ")
    with pytest.raises(UserError, match=r"encyclopedia.json has .* bytes"):
        verify()


def test_the_controls_are_verified_too(world):
    verify, folder = world
    path = folder / "controls" / "shard-00000.h5"
    with h5py.File(path, "r+") as file:
        file["sites/resid_post.1/span/fit/mean"][2, 0] += 1.0
    with pytest.raises(UserError, match=r"such as control:"):
        verify()


def test_what_cannot_be_verified_says_what_to_type(world):
    verify, _ = world
    with pytest.raises(MissingInput, match="job=bootstrap"):
        verify("concepts.n=41")
    with pytest.raises(ConfigError, match="force=true"):
        verify("job.repair=true")
