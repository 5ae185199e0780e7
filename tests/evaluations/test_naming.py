"""A latent's name is the concept it tells best; its score is from contexts that had no part in the choice."""

import numpy as np
from scipy import sparse
from toy_subject import CONTEXTS, KINDS, TAXONOMY

from hsae.evaluations.labels import kinds, words
from hsae.evaluations.naming import names
from hsae.seeding import numpy_stream

QUESTIONS = [words(TAXONOMY, CONTEXTS), kinds(TAXONOMY, CONTEXTS, fewest=3)]
OWNERS = [TAXONOMY[context.concept] for context in CONTEXTS]


def code(*fires):
    fired = [[float(fire(concept)) for fire in fires] for concept in OWNERS]
    return sparse.csr_matrix(np.array(fired).reshape(len(OWNERS), len(fires)))


def named(matrix, questions=QUESTIONS):
    return names(TAXONOMY, questions, matrix, seed=0)


def among_noise(*fires):
    """The given latents, then two hundred that fire anywhere: what luck looks like."""
    noise = numpy_stream(0, "latents beside").random((len(CONTEXTS), 200)) < 0.05
    return sparse.csr_matrix(np.hstack([code(*fires).toarray(), noise]))


def test_a_latent_is_named_after_its_word_or_its_kind_whichever_it_is_surer_of():
    under = lambda kind: lambda concept: concept.name in (kind, *KINDS[kind])
    rows = named(among_noise(lambda c: c.name == "oak", under("tool"), lambda c: False))
    assert [row.get("name") for row in rows[:3]] == ["oak", "tool", None]
    assert [row.get("as") for row in rows[:3]] == ["word", "kind", None]
    assert rows[0]["gloss"] == "a tree"
    assert rows[0]["concept"] == "toy:oak"
    assert rows[2] == {"latent": 2}


def test_few_latents_that_mean_nothing_get_a_name():
    rows = named(among_noise(lambda c: c.name == "oak"))[1:]
    assert sum("name" in row for row in rows) <= 0.15 * len(rows)


def test_the_score_is_from_the_other_side_with_its_interval():
    fires = lambda concept, at: (
        concept.name == "oak" and (CONTEXTS[at].role == "fit" or CONTEXTS[at].text[:3] == "the")
    )
    own = np.array([[float(fires(concept, at))] for at, concept in enumerate(OWNERS)])
    matrix = sparse.csr_matrix(np.hstack([own, among_noise().toarray()]))
    row = named(matrix, QUESTIONS[:1])[0]
    assert (row["name"], row["auroc_fit"], row["auroc"], row["n"]) == ("oak", 1.0, 0.75, 2)
    assert row["low"] < row["auroc"] < row["high"]


def test_a_concept_of_one_context_does_not_beat_one_of_three_by_a_hair():
    """The latent tells the one context of elm perfectly, and the three of oak but for that one."""
    kept = [
        at
        for at, c in enumerate(CONTEXTS)
        if OWNERS[at].name != "elm" or c.template in ("people like the {}", "the old {}")
    ]
    value = {"elm": 2.0, "oak": 1.0}
    own = np.array([[value.get(OWNERS[at].name, 0.0)] for at in kept])
    matrix = sparse.csr_matrix(np.hstack([own, among_noise().toarray()[kept]]))
    question = words(TAXONOMY, [CONTEXTS[at] for at in kept])
    assert names(TAXONOMY, [question], matrix, seed=0)[0]["name"] == "oak"


def test_names_in_pieces_are_names_at_once(monkeypatch):
    matrix = among_noise(lambda c: c.name == "oak", lambda c: c.name == "elm")
    once = named(matrix)
    monkeypatch.setattr("hsae.evaluations.naming.TOGETHER", 3 * len(TAXONOMY))
    assert named(matrix) == once
