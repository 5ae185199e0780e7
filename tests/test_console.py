"""Numbers, tables and progress as a person reads them, with and without a terminal."""

import itertools

import pytest

from hsae import console


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.083123, "0.08312"),
        (12.5, "12.5"),
        (300_000, "300,000"),
        (12_260.7, "12,261"),
        (3.0, "3"),
        (1e-7, "1e-07"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("PASS", "PASS"),
    ],
)
def test_numbers_are_short(value, shown: str):
    assert console.number(value) == shown


def test_an_interval_stands_behind_its_number():
    found = {
        "accuracy": 0.9,
        "low": 0.88,
        "high": 0.92,
        "chance": 0.1,
        "lost": 0,
        "lost_low": -1,
        "lost_high": 2,
    }
    assert console.headline(found, most=3) == "accuracy 0.9 [0.88, 0.92]  chance 0.1  lost 0 [-1, 2]"
    assert console.headline({"low": 1, "n": 2}) == "low 1  n 2"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.31, "0.3 s"), (12.4, "12 s"), (245.0, "4 min 5 s"), (59.7, "1 min 0 s")]
)
def test_durations_are_told_in_the_unit_that_fits(seconds: float, shown: str):
    assert console.duration(seconds) == shown


def test_a_table_in_a_pipe_is_plain_text_with_nothing_cut(capsys):
    console.table("steps", ("job", "state", "fvu"), [("a" * 90, "made", 0.1), ("[b]", "failed", None)])
    shown = capsys.readouterr().out
    assert "a" * 90 in shown
    assert "[b]" in shown, "brackets are text, not markup"
    assert "\x1b" not in shown


def test_progress_in_a_pipe_is_a_line_now_and_then(capsys, monkeypatch):
    ticks = itertools.count(step=8.0)
    monkeypatch.setattr(console.time, "monotonic", lambda: next(ticks))
    assert list(console.progress(range(6), total=6, desc="extract")) == list(range(6))
    captured = capsys.readouterr()
    assert captured.out.splitlines() == ["  extract: 2 of 6", "  extract: 5 of 6"]
    assert captured.err == ""


def test_a_configuration_is_shown_as_a_tree_with_its_empty_places(capsys):
    console.show_config({"seed": 0, "sae": {"k": 8, "latents": None}, "steps": ["a"], "evaluations": {}})
    shown = capsys.readouterr().out
    assert "├── seed 0" in shown and "│   └── latents null" in shown and "[a]" in shown
