"""Lines of JSON: plain and compressed, and whatever is broken among them is named by file and line."""

import gzip
import json
import random

import pytest
import yaml

from hsae import build
from hsae.corpora import Document, Skipped, jsonl
from hsae.errors import UserError


def settings(path, **changed):
    said = yaml.safe_load((build.conf_dir() / "corpus" / "jsonl.yaml").read_text())
    return jsonl.Settings(**{**said, "path": None if path is None else str(path), **changed})


def read(path, **changed):
    return list(jsonl.documents(settings(path, **changed), seed=0))


def lines(*rows):
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def test_a_line_is_a_document_and_its_number_the_id(tmp_path):
    (tmp_path / "b.jsonl").write_text('{"text": "one"}\n\n{"text": " two\\n"}')
    (tmp_path / "a.ndjson").write_text('\ufeff{"text": "zero"}\r\n')
    assert read(tmp_path) == [
        Document("a.ndjson#1", "zero"),
        Document("b.jsonl#1", "one"),
        Document("b.jsonl#3", "two"),
    ]


def test_a_compressed_file_is_read_whatever_its_name(tmp_path):
    for name in ("a.jsonl.gz", "b.jsonl"):
        (tmp_path / name).write_bytes(gzip.compress(lines({"text": name}).encode()))
    assert [d.text for d in read(tmp_path)] == ["a.jsonl.gz", "b.jsonl"]


def test_another_column_can_be_read(tmp_path):
    (tmp_path / "a.jsonl").write_text(lines({"body": "here", "text": "not here"}))
    assert read(tmp_path, column="body")[0].text == "here"


def test_ids_of_their_own_do_not_change_when_lines_are_moved(tmp_path):
    rows = [{"text": f"text {n}", "key": n if n % 2 else f"k{n}"} for n in range(6)]
    (tmp_path / "a.jsonl").write_text(lines(*rows))
    (tmp_path / "b").mkdir()
    (tmp_path / "b/c.jsonl").write_text(lines(*reversed(rows[:3])))
    (tmp_path / "b/d.jsonl").write_text(lines(*rows[3:]))
    assert sorted(read(tmp_path / "a.jsonl", id="key")) == sorted(read(tmp_path / "b", id="key"))
    assert read(tmp_path / "a.jsonl", id="key")[:2] == [Document("k0", "text 0"), Document("1", "text 1")]


def test_a_row_without_an_id_or_with_one_that_was_there_is_named(tmp_path):
    rows = [{"text": "a", "id": "x"}, {"text": "b"}, {"text": "c", "id": "x"}, {"text": "d", "id": 1.5}]
    rows += [{"text": "e", "id": True}, {"text": "f", "id": ""}, {"text": "g", "id": "half \ud800"}]
    (tmp_path / "a.jsonl").write_text(lines(*rows))
    none = "no id in 'id' (corpus.id)"
    assert read(tmp_path, id="id") == [
        Document("x", "a"),
        Skipped("a.jsonl#2", none),
        Skipped("a.jsonl#3", "its 'id' is that of an earlier row"),
        Skipped("a.jsonl#4", none),
        Skipped("a.jsonl#5", none),
        Skipped("a.jsonl#6", none),
        Document("half \\ud800", "g"),
    ]


def test_broken_lines_are_named_by_file_and_line_and_the_rest_is_read(tmp_path):
    good = b'{"text": "fine"}\n'
    bad = [b"{broken", b'{"title": "x"}', b"[1]", b'{"text": 7}', b'{"text": null}', b'{"text": " "}']
    bad += ['{"text": "schön"}'.encode("latin-1"), b'{"text": "\\ud800"}', b'{"text": "fine"}', b"7" * 5000]
    bad += [b"[" * 100_000, b"\0\1\2\xff", b'{"text": "a\\u0000"}', b"{}"]
    (tmp_path / "a.jsonl").write_bytes(good + b"\n".join(bad) + b'\n{"text": "last"}')
    first, *skipped, last = read(tmp_path)
    assert first == Document("a.jsonl#1", "fine") and last == Document("a.jsonl#16", "last")
    assert skipped == [
        Skipped(f"a.jsonl#{number}", why)
        for number, why in enumerate(
            [
                "not JSON",
                "no 'text' (corpus.column) in it; it has title",
                "not a JSON object",
                "its text is int, not text",
                "it has no text",
                "it is empty",
                "not UTF-8",
                "it is not valid Unicode: surrogates not allowed",
                "a copy of an earlier document",
                "not JSON",
                "not JSON",
                "not UTF-8",
                "it holds binary data",
                "no 'text' (corpus.column) in it; it has nothing",
            ],
            start=2,
        )
    ]


def test_a_line_too_long_to_be_a_document_is_skipped_and_the_next_one_read(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "LONGEST", 64)
    rows = ["short", "x" * 300, "then", "y" * (63 - len('{"text": ""}')), "z" * (64 - len('{"text": ""}'))]
    (tmp_path / "a.jsonl").write_text(lines(*({"text": text} for text in rows)))
    assert [item.id if isinstance(item, Skipped) else item.text for item in read(tmp_path)] == [
        "short",
        "a.jsonl#2",
        "then",
        rows[3],
        "a.jsonl#5",
    ]


@pytest.mark.parametrize("damage", ["cut", "flipped", "cut in the header"])
def test_of_a_damaged_archive_the_lines_before_the_damage_are_read_and_it_is_named(tmp_path, damage):
    draw = random.Random(0)
    rows = lines(*({"text": f"{n} {draw.random()}"} for n in range(9000)))
    whole = bytearray(gzip.compress(rows.encode()))
    if damage == "flipped":
        whole[len(whole) * 3 // 4] ^= 255
    (tmp_path / "a.jsonl.gz").write_bytes(whole[:5] if damage == "cut in the header" else whole[:-99])
    (tmp_path / "b.jsonl").write_text(lines({"text": "good"}))
    *before, last = read(tmp_path)
    assert last == Document("b.jsonl#1", "good")
    named = [item for item in before if isinstance(item, Skipped) and item.id == "a.jsonl.gz"]
    assert len(named) == 1 and "cannot be read behind line" in named[0].why
    found = [d.text for d in before if isinstance(d, Document)]
    assert (len(found) > 3000) == (damage != "cut in the header")
    assert found[:3000] == [json.loads(line)["text"] for line in rows.splitlines()][: min(3000, len(found))]


def test_empty_files_and_links_that_lead_nowhere_are_named(tmp_path):
    (tmp_path / "a.jsonl").touch()
    (tmp_path / "b.jsonl").write_text("\n \n")
    (tmp_path / "c.jsonl").symlink_to(tmp_path / "gone")
    (tmp_path / "d.jsonl").write_text(lines({"text": "good"}))
    found = read(tmp_path)
    assert found[:2] == [Skipped("a.jsonl", "empty"), Skipped("b.jsonl", "empty")]
    assert found[2].id == "c.jsonl" and "No such file" in found[2].why
    assert found[3:] == [Document("d.jsonl#1", "good")]


def test_a_wrong_column_says_which_there_are(tmp_path):
    (tmp_path / "a.jsonl").write_text(lines({"body": "here", "title": "x"}))
    with pytest.raises(
        UserError, match=r"holds no text: 1 documents.*\n  a.jsonl#1: no 'text' .* body, title"
    ):
        read(tmp_path)


def test_a_path_that_leads_nowhere_says_what_to_type(tmp_path):
    (tmp_path / "a.txt").touch()
    for path, said in (
        (None, "corpus=jsonl needs files(.|\n)*corpus.path=<file or folder>"),
        (tmp_path / "no", "no such file or folder"),
        (tmp_path, r"no .jsonl(.|\n)*of others: .txt(.|\n)*corpus=text"),
    ):
        with pytest.raises(UserError, match=said):
            read(path)


def test_the_fingerprint_follows_content(tmp_path):
    (tmp_path / "a.jsonl").write_text(lines({"text": "one"}))
    before = jsonl.fingerprint(settings(tmp_path))
    (tmp_path / "a.jsonl").write_text(lines({"text": "two"}))
    assert jsonl.fingerprint(settings(tmp_path)) != before
