"""Result folders appear whole or not at all, know what they are, and say so when they are not."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import hsae
from hsae import artifact
from hsae.artifact import Address, Need
from hsae.config import Part
from hsae.errors import MissingInput, UserError


def at(outputs: Path, *, seed: int = 0, **inputs: Address) -> Address:
    """The address of some rows."""
    choices = {"seed": seed, "corpus": {"tokens": 10}}
    prints = {role: of.fingerprint for role, of in inputs.items()}
    return Address(
        job="grow",
        kind="rows",
        slug=f"rows-seed{seed}",
        fingerprint=artifact.fingerprint("grow", 1, choices, prints),
        outputs=outputs,
        choices=choices,
        inputs=inputs,
        command=f"hsae job=grow seed={seed}",
    )


def manifest(address: Address) -> dict:
    inputs = {role: {"job": of.job, "fingerprint": of.fingerprint} for role, of in address.inputs.items()}
    return {
        "kind": address.kind,
        "job": address.job,
        "format": 1,
        "fingerprint": address.fingerprint,
        "choices": address.choices,
        "inputs": inputs,
        "config": {},
        "metrics": {"rows": 2},
    }


def make(address: Address, text: str = "0 1\n") -> artifact.Artifact:
    with artifact.claimed(address, afresh=False) as partial:
        (partial / "rows.txt").write_text(text)
        (partial / "deeper").mkdir(exist_ok=True)
        (partial / "deeper" / "more.txt").write_text("more")
        return artifact.publish(address, manifest(address))


@pytest.fixture
def made(tmp_path: Path) -> artifact.Artifact:
    return make(at(tmp_path))


def test_an_artifact_has_no_place_until_it_is_complete(tmp_path: Path):
    address = at(tmp_path)
    with artifact.claimed(address, afresh=False) as partial:
        (partial / "rows.txt").write_text("0")
        assert not address.folder.exists()
        artifact.publish(address, manifest(address))
    assert (address.folder / "rows.txt").read_text() == "0"
    assert not address.partial.exists()


def test_the_manifest_lists_every_file_with_size_and_hash(made: artifact.Artifact):
    assert set(made.manifest["files"]) == {"rows.txt", "deeper/more.txt"}
    assert made.manifest["files"]["deeper/more.txt"]["bytes"] == 4
    assert len(made.manifest["files"]["rows.txt"]["sha256"]) == 64
    assert made.path("rows.txt").read_text() == "0 1\n"
    assert (made.kind, made.job, made.metrics) == ("rows", "grow", {"rows": 2})


def test_what_a_failed_run_wrote_is_there_for_the_next_one(tmp_path: Path):
    address = at(tmp_path)
    with pytest.raises(ZeroDivisionError), artifact.claimed(address, afresh=False) as partial:
        (partial / "rows.txt").write_text("half")
        raise ZeroDivisionError
    with artifact.claimed(address, afresh=False) as partial:
        assert (partial / "rows.txt").read_text() == "half"
    with artifact.claimed(address, afresh=True) as partial:
        assert not list(partial.iterdir())


def test_a_second_writer_is_refused_and_told_who_the_first_is(tmp_path: Path):
    address = at(tmp_path)
    with (
        artifact.claimed(address, afresh=False),
        pytest.raises(UserError, match=f"process {os.getpid()} on .*\n.*stop it"),
        artifact.claimed(address, afresh=False),
    ):
        pass
    with artifact.claimed(address, afresh=False):
        pass  # free again


def test_a_writer_that_was_killed_holds_no_lock(tmp_path: Path):
    code = (
        "import os, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from test_artifact import at; from hsae import artifact\n"
        "with artifact.claimed(at(Path(sys.argv[2])), afresh=False) as partial:\n"
        "    (partial / 'rows.txt').write_text('half'); os.kill(os.getpid(), 9)"
    )
    here = Path(__file__).parent
    ended = subprocess.run(
        [sys.executable, "-c", code, str(here), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(here.parent)},
        check=False,
    )
    assert ended.returncode == -9
    with artifact.claimed(at(tmp_path), afresh=False) as partial:
        assert (partial / "rows.txt").read_text() == "half"


def test_an_old_artifact_stays_until_its_successor_is_complete(tmp_path: Path, made: artifact.Artifact):
    address = at(tmp_path)
    with artifact.claimed(address, afresh=True) as partial:
        (partial / "rows.txt").write_text("new")
        assert made.path("rows.txt").read_text() == "0 1\n"
        artifact.publish(address, manifest(address))
    assert artifact.read(address.folder).path("rows.txt").read_text() == "new"
    assert [path.name for path in address.folder.parent.iterdir()] == [address.name]


def test_a_kill_between_the_two_renames_of_a_replacement_loses_nothing(
    tmp_path: Path, made: artifact.Artifact
):
    address = at(tmp_path)
    made.folder.rename(made.folder.with_name(f".{address.name}.old"))
    with artifact.claimed(address, afresh=False):
        assert artifact.find(address) is not None


def _truncate(folder: Path) -> None:
    (folder / "rows.txt").write_text("0")


def _alter(folder: Path) -> None:
    (folder / "rows.txt").write_text("1 0\n")


def _remove(folder: Path) -> None:
    (folder / "rows.txt").unlink()


def _scribble(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"kind": "ro')


def _rewrite(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"tokens": 10', '"tokens": 99'))


def _other(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"name": "somebody else\'s"}')


@pytest.mark.parametrize("harm", [_truncate, _alter, _remove, _scribble, _rewrite, _other])
def test_a_damaged_artifact_is_named_with_its_cure(made: artifact.Artifact, harm):
    harm(made.folder)
    with pytest.raises(UserError) as told:
        artifact.read(made.folder).verify()
    assert str(made.folder) in str(told.value)
    assert "force=true" in str(told.value)
    assert len(str(told.value).splitlines()) <= 4


def test_a_foreign_folder_is_not_taken_for_a_result(tmp_path: Path):
    address = at(tmp_path)
    address.folder.mkdir(parents=True)
    (address.folder / "holiday.jpg").touch()
    with pytest.raises(UserError, match="no manifest.json"):
        artifact.find(address)
    assert (address.folder / "holiday.jpg").exists()


def test_an_artifact_of_other_choices_is_not_read_in_the_place_of_the_right_one(tmp_path: Path):
    other = make(at(tmp_path, seed=1))
    other.folder.rename(at(tmp_path).folder)
    with pytest.raises(UserError, match="made by other choices"):
        artifact.find(at(tmp_path))


def test_a_missing_input_names_the_command_and_the_nearest_there_is(tmp_path: Path):
    make(at(tmp_path, seed=1))
    with pytest.raises(MissingInput) as told:
        artifact.require(at(tmp_path, seed=7), "train_sae")
    assert "\n  hsae job=grow seed=7" in str(told.value)
    assert "seed=1 where 7 is asked" in str(told.value)


def test_asking_for_a_file_that_was_never_there_lists_those_that_are(made: artifact.Artifact):
    with pytest.raises(UserError, match=r"no weights, only deeper/more.txt, rows.txt"):
        made.path("weights")


def test_the_fingerprint_follows_every_choice_and_nothing_else():
    base = artifact.fingerprint("grow", 1, {"a": 1, "b": 2}, {"rows": "x"})
    assert base == artifact.fingerprint("grow", 1, {"b": 2, "a": 1}, {"rows": "x"})
    others = {
        artifact.fingerprint("pick", 1, {"a": 1, "b": 2}, {"rows": "x"}),
        artifact.fingerprint("grow", 2, {"a": 1, "b": 2}, {"rows": "x"}),
        artifact.fingerprint("grow", 1, {"a": 1, "b": 3}, {"rows": "x"}),
        artifact.fingerprint("grow", 1, {"a": 1, "b": 2}, {"rows": "y"}),
    }
    assert len(others | {base}) == 5


def test_choices_may_be_parts_paths_and_tuples_but_nothing_without_a_form():
    class Toy(Part):
        latents: tuple[int, ...]

    assert artifact.plain({"sae": Toy(latents=(1, 2)), "at": Path("a/b")}) == {
        "sae": {"latents": [1, 2]},
        "at": "a/b",
    }
    with pytest.raises(TypeError, match="cannot stand in a manifest"):
        artifact.plain({"sae": object()})


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"cannot be written \(.*\).\n.*outputs="),
        artifact.claimed(at(tmp_path / "file"), afresh=False),
    ):
        pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_what_the_disk_refuses_is_told_and_what_was_written_stays(tmp_path: Path, number: int):
    address = at(tmp_path)
    with pytest.raises(UserError, match="outputs=FOLDER"), artifact.claimed(address, afresh=False) as partial:
        (partial / "rows.txt").write_text("half")
        raise OSError(number, os.strerror(number), str(partial / "rows.txt"))
    assert (address.partial / "rows.txt").read_text() == "half"


def test_an_oserror_of_our_own_is_not_called_a_full_disk(tmp_path: Path):
    with pytest.raises(FileNotFoundError), artifact.claimed(at(tmp_path), afresh=False) as partial:
        (partial / "never written").read_text()


def test_the_address_is_readable_and_the_partial_lies_on_the_same_disk(tmp_path: Path):
    address = at(tmp_path)
    assert address.folder == tmp_path / "grow" / f"rows-seed0-{address.fingerprint}"
    assert address.partial.parent == address.folder.parent
    assert Need("extract").overrides == ()


def test_the_manifest_is_readable_json(made: artifact.Artifact):
    text = (made.folder / "manifest.json").read_text()
    assert json.loads(text)["choices"] == {"seed": 0, "corpus": {"tokens": 10}}
    assert len(text.splitlines()) > 10


def test_what_cannot_be_loaded_says_so(made: artifact.Artifact, tmp_path: Path):
    with pytest.raises(UserError, match="holds rows, which is read as files"):
        hsae.load(made.folder)
    with pytest.raises(MissingInput, match="there is no artifact at"):
        hsae.load(tmp_path / "nowhere")
