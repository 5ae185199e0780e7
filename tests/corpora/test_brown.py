"""Brown: tagged words become running text again; what is missing or broken is told plainly."""

import shutil
import zipfile
from pathlib import Path

import pytest
from pydantic import ValidationError

from hsae import build
from hsae.corpora import SHARES, Document, Skipped, brown, split
from hsae.errors import UserError

WHOLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "brown.zip"

NEWS = """

\tThe/at jury/nn saw/vbd ``/`` no/at evidence/nn ''/'' was/bedz found/vbn ,/, not/* by/in Allen/np Jr./np ./.
It/pps ended/vbd ./.


\tWhy/wrb (/( he/pps asked/vbd )/) ?/. ?/.
It/pps is/bez ;/. ;/. '/' so/rb '/' and/or/cc 1/2/cd --/-- go/vb !/. !/.
"""


def settings(path, **changed):
    where = None if path is None else str(path)
    return brown.Settings(**{"name": "brown", "tokens": 1, "path": where, "genres": None, **changed})


def read(path, **changed):
    return list(brown.documents(settings(path, **changed), seed=0))


@pytest.fixture
def shelf(tmp_path):
    """A folder as NLTK unpacks it, of three samples."""
    home = tmp_path / "corpora" / "brown"
    home.mkdir(parents=True)
    (home / "ca01").write_text(NEWS)
    (home / "ck02").write_text("A/at tale/nn ./.\n")
    (home / "cr09").write_text("A/at joke/nn ./.\n")
    (home / "cats.txt").write_text("ca01 news\n")
    (home / "README").write_text("BROWN CORPUS\n")
    return home


def test_a_sample_is_a_document_of_running_text(shelf):
    first, *others = read(shelf)
    assert first == Document(
        "brown/ca01",
        'The jury saw "no evidence" was found, not by Allen Jr. It ended.\n\n'
        "Why (he asked)? It is; 'so' and/or 1/2 -- go!",
    )
    assert others == [Document("brown/ck02", "A tale."), Document("brown/cr09", "A joke.")]


def test_genres_can_be_chosen(shelf):
    assert [d.id for d in read(shelf, genres=["humor", "news"])] == ["brown/ca01", "brown/cr09"]
    assert [d.id for d in read(shelf, genres="fiction")] == ["brown/ck02"]
    with pytest.raises(ValidationError, match="science_fiction"):
        settings(shelf, genres=["poetry"])
    with pytest.raises(UserError, match="holds no text"):
        read(shelf, genres=["lore"])


def test_a_zip_gives_the_same_as_the_folder_it_was_made_of(shelf, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "brown"), "zip", tmp_path / "corpora", "brown")
    assert read(archive) == read(shelf) == read(tmp_path / "corpora")
    (tmp_path / "other").mkdir()
    shutil.move(archive, tmp_path / "other")
    assert read(tmp_path / "other") == read(shelf)


def test_it_is_found_where_NLTK_keeps_it(shelf, tmp_path, monkeypatch):
    monkeypatch.setenv("NLTK_DATA", str(tmp_path))
    assert read(shelf) == read(None)
    said = build.compose(["corpus=brown", "corpus.genres=[news]"]).corpus
    module, typed = build.plugin("corpus", said)
    assert [d.id for d in module.documents(typed, seed=0)] == ["brown/ca01"]


def test_where_it_is_missing_the_message_says_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setattr(brown, "nltk_folders", lambda: [tmp_path])
    for path, where in ((None, "where NLTK keeps its data"), (tmp_path, "in corpus.path=")):
        for asked in (brown.fingerprint, lambda of: brown.documents(of, seed=0)):
            with pytest.raises(
                UserError, match=rf"not {where}(.|\n)*nltk.downloader brown(.|\n)*corpus.path="
            ):
                asked(settings(path))


@pytest.mark.parametrize(
    "content", [b"The/at dog barks/vbz", b"The/ dog/nn", b"sch\xf6n/jj", b"a\0/nn", b" \n"]
)
def test_a_broken_sample_is_named_and_the_others_are_read(shelf, content):
    (shelf / "ck02").write_bytes(content)
    found = read(shelf)
    assert [type(item) for item in found] == [Document, Skipped, Document]
    assert found[1].id == "brown/ck02" and found[1].why


def test_a_broken_zip_is_told_plainly(tmp_path):
    (tmp_path / "brown.zip").write_bytes(b"PK not much of it")
    with pytest.raises(UserError, match=r"brown.zip cannot be read(.|\n)*nltk.downloader brown"):
        read(tmp_path)


def test_the_fingerprint_follows_the_samples(shelf):
    before = brown.fingerprint(settings(shelf))
    (shelf / "README").write_text("something else")
    assert brown.fingerprint(settings(shelf)) == before
    (shelf / "cr09").write_text("Another/dt joke/nn")
    assert brown.fingerprint(settings(shelf)) != before


@pytest.mark.skipif(not WHOLE.is_file(), reason="../shared/data/brown.zip is not beside this checkout")
def test_the_whole_corpus_comes_with_nothing_passed_over():
    documents = read(WHOLE)
    assert len(documents) == 500 and all(isinstance(document, Document) for document in documents)
    assert 1_000_000 < sum(len(document.text.split()) for document in documents) < 1_050_000
    assert {split(document.id) for document in documents} == set(SHARES)
    with zipfile.ZipFile(WHOLE) as archive:
        said = dict(line.split() for line in archive.read("brown/cats.txt").decode().splitlines())
    for genre in ("news", "lore", "humor"):
        wanted = [f"brown/{name}" for name, of in sorted(said.items()) if of == genre]
        assert [document.id for document in read(WHOLE, genres=[genre])] == wanted
