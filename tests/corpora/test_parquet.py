"""Parquet files: their rows, what is broken among them, and how little of them is in memory."""

import builtins
import random

import pytest
import yaml

from hsae import build
from hsae.corpora import Document, Skipped, parquet
from hsae.errors import UserError

pyarrow = pytest.importorskip("pyarrow", reason='the package pyarrow is missing: pip install "hsae[parquet]"')


def settings(path, **changed):
    said = yaml.safe_load((build.conf_dir() / "corpus" / "parquet.yaml").read_text())
    return parquet.Settings(**{**said, "path": None if path is None else str(path), **changed})


def read(path, **changed):
    return list(parquet.documents(settings(path, **changed), seed=0))


def write(path, *, rows=None, **columns):
    """A file with these columns, `rows` in a row group."""
    from pyarrow import parquet as pq

    pq.write_table(pyarrow.table(columns), path, row_group_size=rows, compression="snappy")


def test_a_row_is_a_document_whatever_the_row_groups(tmp_path):
    texts = [f" text {n}\n" for n in range(700)]
    write(tmp_path / "b.parquet", text=texts, other=list(range(700)), rows=300)
    write(tmp_path / "a.parquet", text=["first"])
    found = read(tmp_path)
    assert found[0] == Document("a.parquet#0", "first")
    assert found[1:] == [Document(f"b.parquet#{n}", f"text {n}") for n in range(700)]


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view", "dictionary"])
def test_every_kind_of_string_is_text(tmp_path, kind):
    plain = pyarrow.array(["one", None, "two"])
    array = plain.dictionary_encode() if kind == "dictionary" else plain.cast(getattr(pyarrow, kind)())
    write(tmp_path / "a.parquet", text=array)
    expected = [Document("a.parquet#0", "one"), Skipped("a.parquet#1", "it has no text")]
    assert read(tmp_path) == [*expected, Document("a.parquet#2", "two")]


def test_ids_of_their_own_are_taken(tmp_path):
    write(tmp_path / "a.parquet", text=["a", "b", "c"], key=[7, None, 7])
    assert read(tmp_path, id="key") == [
        Document("7", "a"),
        Skipped("a.parquet#1", "no id in 'key' (corpus.id)"),
        Skipped("a.parquet#2", "its 'key' is that of an earlier row"),
    ]
    write(tmp_path / "a.parquet", text=["a", "b"])
    assert read(tmp_path, id="text") == [Document("a", "a"), Document("b", "b")]


def test_a_row_that_is_not_utf8_is_named_and_the_rest_is_read(tmp_path):
    raw = pyarrow.array([b"one", b"sch\xf6n", b"two"], pyarrow.binary())
    write(tmp_path / "a.parquet", text=raw.view(pyarrow.string()))
    found = read(tmp_path)
    assert found == [
        Document("a.parquet#0", "one"),
        Skipped("a.parquet#1", "not UTF-8"),
        ("a.parquet#2", "two"),
    ]


def test_files_that_cannot_serve_are_named_and_the_rest_is_read(tmp_path):
    (tmp_path / "a.parquet").touch()
    (tmp_path / "b.parquet").write_bytes(b"PAR1 but no more of it")
    (tmp_path / "c.parquet").symlink_to(tmp_path / "gone")
    write(tmp_path / "d.parquet", body=["x"], title=["y"])
    write(tmp_path / "e.parquet", text=[1, 2])
    write(tmp_path / "f.parquet", text=[["x"]])
    write(tmp_path / "g.parquet", text=pyarrow.array([], pyarrow.string()))
    write(tmp_path / "h.parquet", text=["good"])
    *skipped, last = read(tmp_path)
    assert last == Document("h.parquet#0", "good") and all(isinstance(item, Skipped) for item in skipped)
    assert [item.id[0] for item in skipped] == list("abcdefg")
    for item, said in zip(skipped, ["not a Parquet file"] * 3, strict=False):
        assert item.why.startswith(said)
    assert [item.why for item in skipped[3:]] == [
        "no column 'text' (corpus.column); there are body, title",
        "the column 'text' holds int64, not text",
        "the column 'text' holds list<element: string>, not text",
        "empty",
    ]


def test_a_damaged_row_group_is_named_and_the_others_are_read(tmp_path):
    from pyarrow import parquet as pq

    draw = random.Random(0)
    texts = ["".join(draw.choices("abcdefgh", k=200)) for _ in range(90)]
    write(tmp_path / "a.parquet", text=texts, rows=30)
    chunk = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(1).column(0)
    whole = bytearray((tmp_path / "a.parquet").read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    whole[start + 10 : start + chunk.total_compressed_size] = b"\xff" * (chunk.total_compressed_size - 10)
    (tmp_path / "a.parquet").write_bytes(whole)
    found = read(tmp_path)
    assert [d.id for d in found if isinstance(d, Document)] == [
        f"a.parquet#{n}" for n in range(90) if not 30 <= n < 60
    ]
    (broken,) = (item for item in found if isinstance(item, Skipped))
    assert broken.id == "a.parquet, row group 1" and broken.why.startswith("cannot be read: ")


def test_no_text_at_all_is_refused_with_the_columns_that_are_there(tmp_path):
    write(tmp_path / "a.parquet", body=["x"], title=["y"])
    with pytest.raises(
        UserError, match=r"holds no text(.|\n)*no column 'text' \(corpus.column\); there are body, title"
    ):
        read(tmp_path)
    with pytest.raises(UserError, match="corpus=parquet needs files"):
        read(None)


def test_memory_does_not_grow_with_the_file(tmp_path):
    draw = random.Random(0)
    texts = [draw.randbytes(1000).hex() for _ in range(5_000)]
    peaks = []
    for groups in (1, 4):
        path = tmp_path / f"{groups}.parquet"
        write(path, text=[f"{n}{text}" for n in range(groups) for text in texts], rows=5_000 * groups)
        pool = pyarrow.system_memory_pool()
        before = pyarrow.default_memory_pool()
        pyarrow.set_memory_pool(pool)
        try:
            assert sum(1 for _ in parquet.documents(settings(path), seed=0)) == 5_000 * groups
        finally:
            pyarrow.set_memory_pool(before)
        peaks.append(pool.max_memory())
    assert path.stat().st_size > 20 << 20
    assert peaks[1] < 1.5 * peaks[0], peaks


def test_a_missing_package_names_what_to_install(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet", text=["x"])
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r'pip install "hsae\[parquet\]"'):
        read(tmp_path)
