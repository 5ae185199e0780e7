"""A store is written by one process or several, survives whatever ends them, and is the same to the byte."""

import errno
import json
import resource
from contextlib import contextmanager

import pytest
from kills import contents, killed_and_whole
from worlds_store import add, finish, noise, store

from hsae.activations.windows import Cursor
from hsae.activations.writer import StoreWriter, finished
from hsae.errors import UserError

ROWS, COUNT = 100, 5
SHARDS = [noise(ROWS, first=number * ROWS) for number in range(COUNT)]


def data(folder):
    """Names and hashes of all files but the journals."""
    return {name: hash for name, hash in contents(folder).items() if not name.endswith(".jsonl")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    store(folder, SHARDS)
    return folder


def test_the_index_says_what_was_written(tmp_path):
    writer = StoreWriter(tmp_path)
    add(writer, 0, SHARDS[0], skipped=[("x", "why")], dropped=3)
    add(writer, 1, SHARDS[1], start=Cursor(10, 0), next=Cursor(20, 4))
    finish(writer, SHARDS[0], limits={"a": 7.5}, skipped=[("y", "because")])
    index = json.loads((tmp_path / "store.json").read_text())
    assert (index["rows"], index["dropped"], index["splits"]) == (
        200,
        3,
        {"train": 160, "valid": 0, "test": 40},
    )
    assert index["skipped"] == {"why": 1, "because": 1}
    assert (tmp_path / "skipped.jsonl").read_text() == '["x", "why"]\n["y", "because"]\n'
    assert index["sites"] == {"a": 4, "b": 8} and index["limits"] == {"a": 7.5}
    assert [line["next"] for line in index["shards"]] == [[10, 0], [20, 4]]
    for line in index["shards"]:
        assert (tmp_path / line["file"]).stat().st_size == line["bytes"]


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_any_number_of_processes_writes_the_same_store(tmp_path, whole, processes):
    writers = [StoreWriter(tmp_path, process) for process in range(processes)]
    for number in reversed(range(COUNT)):  # in whatever order they get there
        add(writers[number % processes], number, SHARDS[number])
    assert all(list(writer.finished) == list(range(COUNT)) for writer in writers)
    finish(writers[0], SHARDS[0])
    assert data(tmp_path) == data(whole)


def test_another_number_of_processes_goes_on_with_what_is_there(tmp_path, whole):
    for number in (0, 1, 4):
        add(StoreWriter(tmp_path, number % 3), number, SHARDS[number])
    alone = StoreWriter(tmp_path)
    assert list(alone.finished) == [0, 1, 4]
    for number in range(COUNT):
        if number not in alone.finished:
            add(alone, number, SHARDS[number])
    finish(alone, SHARDS[0])
    assert data(tmp_path) == data(whole)


def test_killed_at_any_moment_and_run_again_it_ends_with_the_same_bytes(tmp_path):
    killed, undisturbed = killed_and_whole(
        tmp_path,
        imports="""
            from worlds_store import add, finish, noise
            from hsae.activations.writer import StoreWriter
            shards = [noise(50, first=50 * number) for number in range(4)]
        """,
        work="""
            for process in (1, 0):
                writer = StoreWriter(out, process)
                for number in range(process, 4, 2):
                    if number not in writer.finished:
                        add(writer, number, shards[number])
            finish(writer, shards[0])
        """,
        moments=[("replace", 1), ("fsync", 2), ("fsync", 3), ("replace", 2), ("replace", 1), ("fsync", 1)],
    )
    assert killed == undisturbed and len(killed) == 8


def test_a_gap_is_told_instead_of_finished(tmp_path):
    writer = StoreWriter(tmp_path)
    for number in (0, 2):
        add(writer, number, SHARDS[number])
    with pytest.raises(UserError, match=r"no shard 1(.|\n)*same command again"):
        finish(writer, SHARDS[0])


def test_only_shards_that_are_whole_count_and_a_line_cut_short_does_not(tmp_path, whole):
    for number in range(COUNT):
        add(StoreWriter(tmp_path, number % 2), number, SHARDS[number])
    (tmp_path / "shard-00001.h5").unlink()
    with (tmp_path / "shard-00002.h5").open("r+b") as file:
        file.truncate(100)
    with (tmp_path / "journal-1.jsonl").open("a") as file:
        file.write('{"shard": 5, "by')
    writers = [StoreWriter(tmp_path, process) for process in range(2)]
    assert list(writers[0].finished) == [0, 3, 4]
    for number in (1, 2):
        add(writers[0], number, SHARDS[number])
    finish(writers[0], SHARDS[0])
    assert data(tmp_path) == data(whole)


@pytest.mark.parametrize("lost", [0, 1])
def test_of_two_journals_that_speak_of_one_shard_the_file_decides(tmp_path, lost):
    add(StoreWriter(tmp_path, lost), 0, SHARDS[0])
    (tmp_path / "shard-00000.h5").unlink()
    add(StoreWriter(tmp_path, 1 - lost), 0, SHARDS[1])  # as another machine may compute it
    line = json.loads((tmp_path / f"journal-{1 - lost}.jsonl").read_text())
    assert StoreWriter(tmp_path).finished == {0: line}
    assert finish(StoreWriter(tmp_path), SHARDS[1]).verify() == []


def test_a_second_writer_of_the_same_journal_is_refused_and_the_first_goes_on(tmp_path, whole):
    first, second = StoreWriter(tmp_path), StoreWriter(tmp_path)
    add(first, 0, SHARDS[0])
    with pytest.raises(UserError, match="another process writes .*journal-0"):
        add(second, 0, SHARDS[1])
    for number in range(1, COUNT):
        add(first, number, SHARDS[number])
    finish(first, SHARDS[0])
    assert contents(tmp_path) == contents(whole)


def test_who_looks_how_far_a_writer_is_leaves_a_line_that_is_being_written_alone(tmp_path):
    add(StoreWriter(tmp_path), 0, SHARDS[0])
    with (tmp_path / "journal-0.jsonl").open("a") as file:
        file.write('{"shard": 1, "by')
    before = contents(tmp_path)
    assert list(finished(tmp_path)) == [0]
    assert contents(tmp_path) == before


@contextmanager
def files_up_to(bytes):
    """The system refuses to write a file beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 700, 3000, 8000])
def test_a_disk_that_fills_says_so_and_the_same_work_goes_on_from_there(tmp_path, whole, room):
    writer = StoreWriter(tmp_path)
    for number in (0, 1):
        add(writer, number, SHARDS[number])
    with files_up_to(room), pytest.raises(UserError) as said:
        add(writer, 2, SHARDS[2])
    for words in (
        "disk is full",
        str(tmp_path / "shard-00002.h5"),
        "It needs 0.0 MB",
        "free",
        "goes on from here",
    ):
        assert words in str(said.value)
    again = StoreWriter(tmp_path)
    assert list(again.finished) == [0, 1]
    for number in range(2, COUNT):
        add(again, number, SHARDS[number])
    finish(again, SHARDS[0])
    assert contents(tmp_path) == contents(whole)


def test_a_full_disk_is_told_from_other_trouble(tmp_path, monkeypatch):
    def refuse(number):
        def write(*_):
            raise OSError(number, "trouble")

        monkeypatch.setattr("hsae.activations.shard.os.write", write)

    for number in (errno.ENOSPC, errno.EDQUOT):
        refuse(number)
        with pytest.raises(UserError, match="disk is full"):
            add(StoreWriter(tmp_path), 0, SHARDS[0])
    refuse(errno.EIO)
    with pytest.raises(OSError, match="trouble"):
        add(StoreWriter(tmp_path), 0, SHARDS[0])
    assert StoreWriter(tmp_path).finished == {}
