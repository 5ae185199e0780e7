"""Data sets of the hub: pinned, and plain words where they cannot be had."""

import builtins
import sys
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from hsae.corpora import hf, wikipedia
from hsae.errors import UserError

CHOICE = {
    "name": "hf",
    "tokens": 10,
    "path": "someone/something",
    "subset": "small",
    "split": "train",
    "column": "text",
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
    assert [d.text for d in documents] == ["one", "two"]
    assert [d.id for d in documents] == ["someone/something/small/train#0", "someone/something/small/train#3"]


def test_a_row_that_has_an_id_keeps_it(hub):
    hub.answer["is"] = [{"id": "q42", "text": "one"}]
    settings = wikipedia.Settings(**{**CHOICE, "name": "wikipedia"})
    assert [d.id for d in wikipedia.documents(settings, seed=0)] == ["someone/something/small/train#q42"]


def test_nothing_is_asked_of_the_hub_before_a_document_is():
    hf.documents(hf.Settings(**CHOICE), seed=0)


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
    with pytest.raises(UserError, match="have text, title"):
        read(column="body")


def test_a_missing_package_names_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "datasets":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r'pip install "hsae\[hf\]"'):
        read()


def test_a_data_set_of_the_hub_without_a_commit_is_refused(tmp_path):
    with pytest.raises(ValidationError, match="name the commit"):
        hf.Settings(**{**CHOICE, "revision": None})
    assert hf.Settings(**{**CHOICE, "revision": None, "path": str(tmp_path)}).revision is None
