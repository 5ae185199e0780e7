"""What an evaluation writes can be read back."""

import math

import pytest

from hsae import evaluations
from hsae.errors import UserError
from hsae.evaluations import Findings, Score
from hsae.stats import Interval, judge


def test_what_was_found_is_read_back_whole_with_unknown_ends(tmp_path):
    single = Interval(0.5, -math.inf, math.inf, 1)
    found = Findings(
        scores=[Score.of("sae", "l0", single, "documents", chance=0.25)],
        verdicts=[judge("a claim", "a statistic", single, threshold=0.0, null=0.1, unit="documents")],
        tables={"latents": [{"latent": 0, "name": "café"}]},
    )
    found.save(tmp_path)
    assert "Infinity" not in (tmp_path / "scores.json").read_text()
    assert evaluations.load(tmp_path) == found


def test_rows_of_one_latent_become_one_row_and_other_tables_grow():
    found = Findings(tables={"latents": [{"latent": 1, "fired": 0.5}], "concepts": [{"question": "word"}]})
    found.add(
        Findings(tables={"latents": [{"latent": 1, "name": "dog"}], "concepts": [{"question": "word"}]})
    )
    assert found.tables["latents"] == [{"latent": 1, "fired": 0.5, "name": "dog"}]
    assert len(found.tables["concepts"]) == 2


def test_a_score_that_is_no_number_is_an_error():
    with pytest.raises(ValueError, match="l0 of sae is nan"):
        Score.of("sae", "l0", Interval(math.nan, 0.0, 1.0, 3), "documents")


def test_a_folder_without_scores_says_what_makes_them(tmp_path):
    with pytest.raises(UserError, match="job=evaluate"):
        evaluations.load(tmp_path)
