"""Every corpus in conf/corpus gives documents, each once, in one order: a new one is tested by existing."""

import gzip
import json
from functools import cache
from itertools import islice

import pytest
import yaml

from hsae import build
from hsae.concepts import wordnet
from hsae.corpora import SHARES, Document, Skipped, split
from hsae.corpora.unique import normalised

FOLDER = build.conf_dir() / "corpus"
CORPORA = sorted(file.stem for file in FOLDER.glob("*.yaml"))
ENOUGH = 3000


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """For each kind of files a folder with copies and an empty text in it."""
    texts = [f"the  text\tof row {n // 2 * 2}" if n % 2 else f"the text of row {n}" for n in range(40)]
    texts.append(" ")
    rows = "".join(f"{json.dumps({'id': f'row{n}', 'text': text})}\n" for n, text in enumerate(texts))
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in ("hub", "jsonl", "parquet", "text", "brown")}
    (folders["hub"] / "train.jsonl").write_text(rows)
    (folders["jsonl"] / "train.jsonl.gz").write_bytes(gzip.compress(rows.encode()))
    for n, text in enumerate(texts):
        (folders["text"] / f"{n:02d}.txt").write_text(text)
        (folders["brown"] / f"ca{n:02d}").write_text(" ".join(f"{word}/nn" for word in text.split()))
    return folders


@pytest.fixture(scope="module", params=CORPORA)
def items(request, shelf):
    """Reads the beginning of a corpus; those of the hub read a data set on disk, through the same code."""
    said = yaml.safe_load((FOLDER / f"{request.param}.yaml").read_text())
    if request.param == "wordnet":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("hsae.corpora.wordnet.synsets", some_synsets)
            yield reader(request.param, said)
        return
    if "revision" in said:
        pytest.importorskip("datasets", reason='the package datasets is missing: pip install "hsae[hf]"')
        said |= {"path": str(shelf["hub"]), "subset": None, "revision": None}
    elif "path" in said:
        said |= {"path": str(shelf[request.param])}
    if request.param == "parquet":
        write_parquet(shelf)
    yield reader(request.param, said)


def write_parquet(shelf):
    pyarrow = pytest.importorskip("pyarrow", reason='pyarrow is missing: pip install "hsae[parquet]"')
    from pyarrow import parquet

    rows = [json.loads(line) for line in (shelf["hub"] / "train.jsonl").read_text().splitlines()]
    parquet.write_table(pyarrow.Table.from_pylist(rows), shelf["parquet"] / "a.parquet")


def reader(name, said):
    module, settings = build.plugin("corpus", build.settings("corpus", name).model_validate(said))
    return lambda seed=0: islice(module.documents(settings, seed=seed), ENOUGH)


@cache
def some_synsets():
    """A fifteenth of WordNet, closed under parents: all of it takes seconds to state."""
    if not wordnet.found():
        pytest.skip("WordNet is not on this machine: make wordnet")
    rows = {row.id: row for row in wordnet.synsets()}
    wanted: set[str] = set()
    todo = list(rows)[::15]
    while todo:
        if (id := todo.pop()) not in wanted:
            wanted.add(id)
            todo.extend(rows[id].parents)
    return tuple(row for row in rows.values() if row.id in wanted)


@pytest.fixture(scope="module")
def whole(items) -> list[Document | Skipped]:
    return list(items())


@pytest.fixture(scope="module")
def documents(whole) -> list[Document]:
    return [item for item in whole if isinstance(item, Document)]


def test_every_document_has_text_and_an_id_of_its_own(documents):
    assert len(documents) > 10
    assert len({document.id for document in documents}) == len(documents)
    assert all(isinstance(document.id, str) and document.text.strip() for document in documents)


def test_no_text_is_given_twice(documents):
    assert len({normalised(document.text) for document in documents}) == len(documents)


def test_what_is_passed_over_is_named_and_says_why(whole):
    skipped = [item for item in whole if not isinstance(item, Document)]
    assert all(isinstance(item, Skipped) and item.id and item.why for item in skipped)


def test_the_same_seed_gives_the_same_again_and_reading_can_go_on_anywhere(items, whole):
    assert list(islice(items(), 7, None)) == whole[7:] and len(whole) > 7


def test_the_splits_have_their_shares_and_follow_the_id(documents):
    splits = [split(document.id) for document in documents]
    assert splits == [split(document.id) for document in documents]
    if len(documents) == ENOUGH:
        assert {name: splits.count(name) / ENOUGH for name in SHARES} == pytest.approx(SHARES, abs=0.02)


def test_splits_do_not_move():
    splits = {number: split(f"hsae:dog.n#{number:02d}") for number in range(40)}
    elsewhere = {number: name for number, name in splits.items() if name != "train"}
    assert elsewhere == {1: "test", 14: "valid", 16: "test", 33: "test", 37: "valid"}
