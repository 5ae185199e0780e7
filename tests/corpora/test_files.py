"""Which files a corpus is made of, and a fingerprint of what is in them."""

import os
from pathlib import Path

import pytest

from hsae.corpora import files, split


def found(folder):
    return files.find(str(folder), (".txt",), corpus="text")


def test_files_come_in_the_order_of_their_names_with_slashes(tmp_path):
    for name in ("b.txt", "a/z.txt", "a.txt", "a-b/c.TXT", "a/no.pdf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    root, listed = found(tmp_path)
    assert [files.name(file, root) for file in listed] == ["a-b/c.TXT", "a.txt", "a/z.txt", "b.txt"]


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_text_still_makes_an_id(tmp_path):
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")).touch()
    except OSError:
        pytest.skip("this file system has no such names")
    root, (file,) = found(tmp_path)
    assert files.name(file, root) == "\\udcff.txt" and split(files.name(file, root))
    assert files.fingerprint(root, [file])


def test_the_fingerprint_follows_names_and_content_and_not_the_place(tmp_path):
    said = {}
    for place, name, content in (
        ("a", "t.txt", "x"),
        ("b", "t.txt", "x"),
        ("c", "t.txt", "y"),
        ("d", "u.txt", "x"),
    ):
        (tmp_path / place).mkdir()
        (tmp_path / place / name).write_text(content)
        said[place] = files.fingerprint(*found(tmp_path / place))
    assert said["a"] == said["b"] and len({said["a"], said["c"], said["d"]}) == 3


def test_a_file_is_hashed_once_and_again_when_it_has_changed(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("one")
    read, plain = [], files.file_digest
    monkeypatch.setattr(files, "file_digest", lambda *given: read.append(1) or plain(*given))
    first = files.fingerprint(*found(tmp_path))
    assert files.fingerprint(*found(tmp_path)) == first and len(read) == 1
    (tmp_path / "a.txt").write_text("two")
    os.utime(tmp_path / "a.txt", ns=(1, 1))  # a coarse clock would not tell the two states apart
    assert files.fingerprint(*found(tmp_path)) != first and len(read) == 2


def test_a_file_that_cannot_be_read_is_part_of_the_fingerprint(tmp_path):
    (tmp_path / "a.txt").symlink_to(tmp_path / "gone")
    before = files.fingerprint(*found(tmp_path))
    (tmp_path / "gone").write_text("here")
    assert files.fingerprint(*found(tmp_path)) != before
