"""Data sets of the hub: pinned, and plain words where they cannot be had."""

import builtins
import json
import sys
import time
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from hsae.corpora import Document, Skipped, hf, wikipedia
from hsae.errors import UserError

CHOICE = {
    "name": "hf",
    "tokens": 10,
    "path": "someone/something",
    "subset": "small",
    "split": "train",
    "column": "text",
    "id": None,
    "revision": "0" * 40,
}


def read(**changed):
    return list(hf.documents(hf.Settings(**{**CHOICE, **changed}), seed=0))


@pytest.fixture
def hub(monkeypatch):
    """Stands in for the package `datasets`; remembers how it was asked."""
    asked = {}

    def load_dataset(path, **how):
        asked.update(how, path=path)
        if isinstance(answer["is"], Exception):
            raise answer["is"]
        return iter(answer["is"])

    answer = {"is": [{"text": "one", "title": "x"}, {"text": "one"}, {"text": ""}, {"text": "two\n"}]}
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda *_, **how: None)
    return SimpleNamespace(asked=asked, answer=answer)


def test_the_data_set_is_streamed_at_its_pinned_commit(hub):
    documents = read()
    assert hub.asked == {
        "path": "someone/something",
        "name": "small",
        "split": "train",
        "revision": "0" * 40,
        "streaming": True,
    }
    assert documents == [
        Document("someone/something/small/train#0", "one"),
        Skipped("someone/something/small/train#1", "a copy of an earlier document"),
        Skipped("someone/something/small/train#2", "it is empty"),
        Document("someone/something/small/train#3", "two"),
    ]


def test_a_row_that_has_an_id_keeps_it(hub):
    hub.answer["is"] = [{"id": "q42", "text": "one"}]
    settings = wikipedia.Settings(**{**CHOICE, "name": "wikipedia", "id": "id"})
    assert [d.id for d in wikipedia.documents(settings, seed=0)] == ["someone/something/small/train#q42"]


def test_nothing_is_asked_of_the_hub_before_a_document_is(hub):
    documents = hf.documents(hf.Settings(**CHOICE), seed=0)
    assert hub.asked == {}
    next(documents)
    assert hub.asked["path"] == "someone/something"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionError("Couldn't reach it"), "could not be reached: Couldn't reach it\nCheck the network"),
        (FileNotFoundError("doesn't exist"), "no such data set is found"),
        (ValueError("Bad split: x. Available splits: ['y']"), "subset=small split=train:\nBad split"),
    ],
)
def test_what_the_hub_refuses_is_said_plainly(hub, error, said):
    hub.answer["is"] = error
    with pytest.raises(UserError) as refused:
        read()
    assert said in str(refused.value)


def test_a_wrong_column_names_those_that_are_there(hub):
    with pytest.raises(UserError, match="corpus.column=body(.|\n)*have text, title"):
        read(column="body")
    with pytest.raises(UserError, match="corpus.id=key(.|\n)*have text, title"):
        read(id="key")


def test_a_missing_package_names_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "datasets":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r'pip install "hsae\[hf\]"'):
        read()


@pytest.mark.parametrize("revision", ["main", "refs/convert/parquet", "b08601e"])
def test_a_name_that_may_move_pins_nothing(revision):
    with pytest.raises(ValidationError, match="revision"):
        hf.Settings(**{**CHOICE, "revision": revision})


def asked_in_vain(monkeypatch, error):
    hub = pytest.importorskip("huggingface_hub")
    pytest.importorskip("datasets")

    def dataset_info(*_, **how):
        assert how["revision"] == CHOICE["revision"]
        raise error(hub.errors)

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", dataset_info)
    with pytest.raises(UserError) as refused:
        read()
    return str(refused.value)


def test_a_hub_out_of_reach_is_told_at_once(monkeypatch):
    start = time.monotonic()
    root = lambda errors: errors.HfHubHTTPError.__bases__[0]
    for error in (root, lambda errors: TimeoutError):
        said = asked_in_vain(
            monkeypatch, lambda errors, error=error: error(errors)("Name or service not known")
        )
        assert "could not be reached: Name or service not known" in said and "corpus=builtin" in said
    assert time.monotonic() - start < 5


def test_a_path_that_the_hub_does_not_know_is_told_plainly(monkeypatch):
    said = asked_in_vain(monkeypatch, lambda errors: errors.HFValidationError("not a name"))
    assert "corpus.path=someone/something" in said and "no such data set is found" in said


def test_a_local_folder_is_read_and_its_content_is_its_fingerprint(tmp_path):
    pytest.importorskip("datasets")
    seen = []
    for place, last in (("here", "two"), ("there", "two"), ("other", "three")):
        (tmp_path / place).mkdir()
        rows = [{"text": "one", "key": "x"}, {"text": last, "key": "y"}]
        (tmp_path / place / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        local = hf.Settings(**{**CHOICE, "path": str(tmp_path / place), "subset": None})
        seen.append((hf.fingerprint(local), list(hf.documents(local, seed=0))))
    assert seen[0] == seen[1] and seen[0][0] != seen[2][0]
    assert seen[0][1] == [Document("default/train#0", "one"), Document("default/train#1", "two")]
    assert hf.fingerprint(hf.Settings(**CHOICE)) == CHOICE["revision"]


def test_a_data_set_of_the_hub_without_a_commit_is_refused(tmp_path):
    with pytest.raises(ValidationError, match="name the commit"):
        hf.Settings(**{**CHOICE, "revision": None})
    assert hf.Settings(**{**CHOICE, "revision": None, "path": str(tmp_path)}).revision is None
