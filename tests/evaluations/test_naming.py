"""A latent's name is the concept it tells best; its score is from contexts that had no part in the choice."""

import numpy as np
import pytest
from scipy import sparse
from toy_subject import CONTEXTS, KINDS, TAXONOMY

from hsae.evaluations.labels import kinds, words
from hsae.evaluations.naming import names
from hsae.stats import auroc, rank

QUESTIONS = [words(TAXONOMY, CONTEXTS), kinds(TAXONOMY, CONTEXTS, fewest=3)]
OWNERS = [TAXONOMY[context.concept] for context in CONTEXTS]


def code(*fires):
    return sparse.csr_matrix(np.array([[float(fire(concept)) for fire in fires] for concept in OWNERS]))


def test_a_latent_is_named_after_its_word_or_its_kind_whichever_it_is_surer_of():
    under = lambda kind: lambda concept: concept.name in (kind, *KINDS[kind])
    rows = names(TAXONOMY, QUESTIONS, code(lambda c: c.name == "oak", under("tool"), lambda c: False))
    assert [row.get("name") for row in rows] == ["oak", "tool", None]
    assert [row.get("as") for row in rows] == ["word", "kind", None]
    assert rows[0]["gloss"] == "a tree"
    assert rows[0]["concept"] == "toy:oak"
    assert rows[2] == {"latent": 2}


def test_the_score_is_from_the_other_side_with_its_interval():
    fires = lambda concept, at: concept.name == "oak" and (CONTEXTS[at].role == "fit") == (at % 2 == 0)
    matrix = sparse.csr_matrix([[float(fires(concept, at))] for at, concept in enumerate(OWNERS)])
    (row,) = names(TAXONOMY, QUESTIONS[:1], matrix)
    question = QUESTIONS[0]
    at = list(question.concepts).index(TAXONOMY.index[row["concept"]])
    expected = auroc(rank(matrix[question.test.rows]), question.test.truth())[at, 0]
    assert row["auroc"] == pytest.approx(expected)
    assert row["low"] < row["auroc"] <= row["high"] + 1e-12
    assert row["n"] == 2


def test_names_in_pieces_are_names_at_once(monkeypatch):
    drawn = sparse.random(len(CONTEXTS), 40, density=0.1, random_state=0, format="csr")
    once = names(TAXONOMY, QUESTIONS, drawn)
    monkeypatch.setattr("hsae.evaluations.naming.TOGETHER", 3 * len(TAXONOMY))
    assert names(TAXONOMY, QUESTIONS, drawn) == once
