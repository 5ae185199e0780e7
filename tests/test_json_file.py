import json
from typing import NamedTuple

import pytest

from hsae import json_file


class Pair(NamedTuple):
    value: float
    n: int


def test_what_is_not_finite_is_none_however_deep_it_stands():
    found = {"a": [1.0, float("inf")], "b": {"c": float("nan")}, "d": Pair(float("-inf"), 3), "e": "inf"}
    assert json_file.finite(found) == {
        "a": [1.0, None],
        "b": {"c": None},
        "d": {"value": None, "n": 3},
        "e": "inf",
    }


def test_a_number_that_json_does_not_know_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        json_file.write({"a": float("nan")}, tmp_path / "a.json")


def test_a_file_is_utf_8_whatever_the_locale_says(tmp_path, monkeypatch):
    monkeypatch.setattr("locale.getpreferredencoding", lambda *_: "ascii")
    found = {"naïve": ["чай", 1.5, None]}
    json_file.write(found, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_bytes().decode("utf-8")) == found
    assert "чай".encode() in (tmp_path / "a.json").read_bytes()
    assert json_file.read(tmp_path / "a.json") == found
