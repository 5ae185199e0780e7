"""Text of one's own: read in order, cut at paragraphs, and what cannot be read is named."""

import tracemalloc
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from hsae import build
from hsae.corpora import Document, Skipped, text
from hsae.errors import UserError

WIKITEXT = Path(__file__).resolve().parents[3] / "shared" / "data" / "wikitext2_valid.txt"


def settings(path, **changed):
    said = yaml.safe_load((build.conf_dir() / "corpus" / "text.yaml").read_text())
    return text.Settings(**{**said, "path": None if path is None else str(path), **changed})


def read(path, **changed):
    items = list(text.documents(settings(path, **changed), seed=0))
    return [[item for item in items if isinstance(item, kind)] for kind in (Document, Skipped)]


def test_a_folder_is_read_in_the_order_of_names_with_ids_relative_to_it(tmp_path):
    for name in ("b.txt", "a/z.md", "a/y.TXT", "ignored.pdf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"the text of {name}\n")
    documents, skipped = read(tmp_path)
    assert [d.id for d in documents] == ["a/y.TXT#0", "a/z.md#0", "b.txt#0"]
    assert documents[2].text == "the text of b.txt" and not skipped


def test_ids_do_not_depend_on_where_the_folder_lies(tmp_path):
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.txt").write_text("same")
    assert read(tmp_path / "here") == read(tmp_path / "there") == read(tmp_path / "here" / "a.txt")


def test_paragraphs_are_gathered_up_to_the_length_and_never_torn_when_they_fit(tmp_path):
    paragraphs = [f"{n} " + "word " * (n % 7 * 5) + "end" for n in range(60)]
    (tmp_path / "a.txt").write_text("\n\n".join(paragraphs))
    documents, _ = read(tmp_path, characters=300)
    assert [p for d in documents for p in d.text.split("\n\n")] == paragraphs
    assert max(len(d.text) for d in documents) <= 300 and len(documents) < 30
    assert [d.id for d in documents] == [f"a.txt#{n}" for n in range(len(documents))]


def test_lines_without_an_empty_one_between_them_are_cut_where_a_line_ends(tmp_path):
    lines = [f"{n:03d}" + "x" * 36 for n in range(50)]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    documents, _ = read(tmp_path, characters=100)
    assert [line for d in documents for line in d.text.split("\n")] == lines
    assert {len(d.text) for d in documents} == {79}


@pytest.mark.parametrize("block", [8, 20, 50, 1 << 20])
def test_how_much_is_read_at_once_changes_nothing(tmp_path, monkeypatch, block):
    (tmp_path / "a.txt").write_text(
        "ein wort zu lang für einen block\nöl  und\tmehr \n\n \n" * 5 + "end of it"
    )
    whole = read(tmp_path)
    monkeypatch.setattr(text, "BLOCK", block)
    words = [d.text.split() for d in read(tmp_path)[0]]
    assert words == [d.text.split() for d in whole[0]]


def test_a_file_of_one_long_line_is_never_in_memory_as_a_whole(tmp_path):
    with (tmp_path / "a.txt").open("w") as out:
        out.writelines(f"word{n} " for n in range(2_000_000))
    tracemalloc.start()
    texts = text.documents(settings(tmp_path), seed=0)
    words = 0
    for number, document in enumerate(texts):
        words += len(document.text.split())
        if number == 3000:
            break
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert words > 400_000 and peak < 12 << 20 < (tmp_path / "a.txt").stat().st_size


def test_an_overlong_paragraph_is_cut_at_a_space_and_nothing_is_lost(tmp_path):
    words = [f"w{n}" for n in range(400)]
    (tmp_path / "a.txt").write_text(" ".join(words) + "\n\n" + "x" * 1000)
    documents, _ = read(tmp_path, characters=100)
    assert all(len(d.text) <= 100 for d in documents)
    # the run of x, which has no space, comes in equal texts, and of those one is kept
    assert " ".join(d.text for d in documents).split()[:400] == words


def test_exact_copies_are_dropped(tmp_path):
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_text("other" if name == "c.txt" else "same\n")
    assert [d.id for d in read(tmp_path)[0]] == ["a.txt#0", "c.txt#0"]


def test_a_byte_order_mark_and_foreign_line_ends_are_no_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\n\r\ntwo\r\n")
    assert read(tmp_path)[0][0].text == "one\n\ntwo"


def test_broken_files_are_named_and_the_rest_is_read(tmp_path):
    (tmp_path / "binary.txt").write_bytes(b"abc\0def")
    (tmp_path / "latin.txt").write_bytes("schön".encode("latin-1"))
    (tmp_path / "late.txt").write_bytes(b"good text. " * 200_000 + b"\xff")
    (tmp_path / "empty.md").touch()
    (tmp_path / "good.txt").write_text("good")
    (tmp_path / "nowhere.txt").symlink_to(tmp_path / "gone")
    documents, skipped = read(tmp_path)
    assert [d.text for d in documents] == ["good"]
    assert skipped == [
        ("binary.txt", "a binary file (it holds NUL bytes)"),
        ("empty.md", "empty"),
        ("late.txt", "not UTF-8 text"),
        ("latin.txt", "not UTF-8 text"),
        ("nowhere.txt", "No such file or directory"),
    ]


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\0\1\2"])
def test_a_corpus_without_text_is_refused(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(UserError, match=r"holds no text: 1 documents or files(.|\n)*a.txt: "):
        read(tmp_path)


def test_a_path_that_leads_nowhere_says_what_to_type(tmp_path):
    for path, said in (
        (None, "corpus.path=<file or folder>"),
        (tmp_path / "no", "no such file or folder"),
        (tmp_path, r"no .txt, .md file lies"),
    ):
        with pytest.raises(UserError, match=said):
            text.documents(settings(path), seed=0)


def test_a_length_too_small_for_a_document_is_refused():
    with pytest.raises(ValidationError):
        settings("x", characters=5)


@pytest.mark.skipif(
    not WIKITEXT.is_file(), reason="../shared/data/wikitext2_valid.txt is not beside this checkout"
)
def test_a_real_file_comes_whole():
    documents, skipped = read(WIKITEXT)
    assert not skipped and 500 < len(documents) < 1000
    whole = WIKITEXT.read_text(encoding="utf-8")
    assert sum(len(d.text.split()) for d in documents) == len(whole.split())
    assert documents == read(WIKITEXT)[0]
