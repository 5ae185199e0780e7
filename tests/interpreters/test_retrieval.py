"""How high the right concept stands, beside chance, and how far a wrong one is from it."""

import math

import numpy as np
import pytest
import torch
from worlds_interpreters import C, make, roles, taxonomy

from hsae.concepts import Concept, Taxonomy
from hsae.interpreters.base import Rows
from hsae.interpreters.open_vocabulary import OpenVocabulary
from hsae.interpreters.unseen.kin import Tree
from hsae.interpreters.unseen.lexical import overlap
from hsae.interpreters.unseen.retrieval import answers, find, harmonic, judged, mean
from hsae.interpreters.unseen.texts import quotes
from hsae.interpreters.unseen.zero_shot import Question, by_other, permuted, zero_shot
from hsae.seeding import numpy_stream, stream

SEEN = ~np.isin(np.arange(C), [5, 8, 11])
"""Held out: the last child of each root, whose colour other glosses have, and whose shape none has."""


def test_ranks_are_those_of_sorting_and_ties_are_shared_out():
    g = stream(0, "scores")
    scores = torch.randint(4, (50, 9), generator=g).float()
    concept = torch.randint(9, (50,), generator=g)
    found = find(scores.split(7), concept, seed=0)
    for row in range(50):
        own = scores[row, concept[row]]
        above, ties = int((scores[row] > own).sum()), int((scores[row] == own).sum())
        ranks = range(above + 1, above + ties + 1)
        assert found.rank[row] == pytest.approx(np.mean(ranks))
        assert found.reciprocal[row] == pytest.approx(np.mean([1 / rank for rank in ranks]))
        for k in (1, 3, 9):
            assert found.within(k)[row] == pytest.approx(np.mean([rank <= k for rank in ranks]))
        assert scores[row, found.best[row]] == scores[row].max()


def test_only_the_candidates_are_ranked():
    among = np.array([False, True, True])
    found = find([torch.tensor([[9.0, 1.0, 2.0]])], torch.tensor([1]), among=among, seed=0)
    assert (found.above, found.best) == (1, 2)


def test_scores_that_say_nothing_come_out_at_chance():
    flat = torch.zeros(4000, C)
    concept = torch.arange(C).repeat(4000 // C + 1)[:4000]
    tree = Tree(taxonomy())
    found = judged(
        find([flat], concept, seed=0), concept.numpy(), tree=tree, group=np.arange(C), candidates=C, seed=0
    )
    for name, score in found.items():
        assert score["value"] == pytest.approx(score["chance"], abs=0.15 if "tree" in name else 0.02), name


def test_distances_in_the_tree_are_those_of_walking_it():
    rng = numpy_stream(0, "random tree")
    parents = [-1, -1, *(int(rng.integers(-1, row)) for row in range(2, 40))]
    found = Tree(
        Taxonomy(
            Concept(f"c{i}", f"c{i}", parents=() if p < 0 else (f"c{p}",)) for i, p in enumerate(parents)
        )
    )

    def way(row: int) -> list[int]:
        return [row, *way(parents[row])] if row >= 0 else [-1]

    pairs = np.array([(a, b) for a in range(40) for b in range(40)])
    slow = [min(way(a).index(one) + way(b).index(one) for one in set(way(a)) & set(way(b))) for a, b in pairs]
    assert found.distance(*pairs.T).tolist() == slow
    assert found.holds(*pairs.T).tolist() == [a in way(b) for a, b in pairs]
    each = np.array(slow).reshape(40, 40).mean(1)
    np.testing.assert_allclose(found.expected_distance(np.arange(40)), each)


def test_every_concept_counts_alike_and_groups_are_fewer():
    concept = np.array([0, 0, 0, 1, 2, 2])
    found = mean(np.array([1, 1, 1, 0, 0, 0]), concept, np.array([0, 0, 1]), chance=0.1, seed=0)
    assert found["value"] == pytest.approx(1 / 3)
    assert (found["n"], found["groups"]["n"]) == (3, 2)
    alone = mean(np.ones(3), np.zeros(3, int), np.zeros(1, int), chance=0.1, seed=0)
    assert alone["low"] is None and alone["high"] is None


def test_the_harmonic_mean_is_that_of_the_two_accuracies():
    seen, unseen = (np.ones(6), np.arange(6) // 2), (np.array([1, 0, 0, 0]), np.array([7, 7, 8, 8]))
    found = harmonic(seen, unseen, candidates=9, seed=0)
    assert (found["seen"], found["unseen"]) == (1, 0.25)
    assert found["value"] == pytest.approx(2 * 0.25 / 1.25)
    nothing = harmonic(seen, (np.zeros(4), unseen[1]), candidates=9, seed=0)
    assert nothing["value"] == nothing["high"] == 0


def asked() -> tuple[Question, Rows, Rows, Rows]:
    seen = torch.from_numpy(SEEN)
    fit, _, test = roles()
    new, old = test.chosen(~seen[test.concept]), test.chosen(seen[test.concept])
    return Question(SEEN, np.arange(C), Tree(taxonomy()), 0), fit.chosen(seen[fit.concept]), new, old


def blank(d: int, sites: int) -> OpenVocabulary:
    found = make("open_vocabulary", d=d, sites=sites)
    assert isinstance(found, OpenVocabulary)
    return found


def fitted(fit: Rows, *, sites: int = 2, d: int = 8):
    interpreter = blank(d, sites)
    tune = roles()[1]
    for _ in interpreter.fit(
        fit, tune.chosen(torch.from_numpy(SEEN)[tune.concept]), device="cpu", checkpoint=None
    ):
        pass
    return interpreter


def test_a_gloss_that_shares_a_word_with_seen_ones_is_found_better_than_with_glosses_shuffled():
    ask, fit, new, old = asked()
    interpreter = fitted(fit)
    found = zero_shot(interpreter, ask, new, old)
    assert found["among_held_out"]["r@1"]["value"] > 0.5 > found["among_held_out"]["r@1"]["chance"] == 1 / 3
    assert found["harmonic"]["seen"] > found["harmonic"]["unseen"]
    before = interpreter.log_posterior(new.x)
    null = permuted(interpreter, ask, fit, new, times=19)
    assert found["among_all"]["mrr"]["value"] > null["mean"] and null["p"] <= 0.2
    torch.testing.assert_close(interpreter.log_posterior(new.x), before)


def test_numbers_that_say_nothing_of_a_new_concept_find_nothing():
    ask, fit, new, _ = asked()
    g = stream(0, "codes")
    codes = torch.randn(C, 16, generator=g)
    coded = lambda rows: rows._replace(x=codes[rows.concept])
    found = by_other(ask, blank, coded(fit), coded(new))
    assert found["r@1"]["value"] < 0.5


def test_overlap_is_the_cosine_of_rarer_words_and_an_unknown_text_ties_with_all():
    glosses = ["a red bird", "a red fish", "a blue stone"]
    found = next(overlap(["the bird is red", "nothing known", "red"], glosses))
    rarity = {"bird": math.log(3), "fish": math.log(3), "red": math.log(1.5)}
    bird = rarity["bird"] ** 2 + rarity["red"] ** 2
    fish = math.sqrt(rarity["fish"] ** 2 + rarity["red"] ** 2)
    assert found[0].tolist() == pytest.approx([1, rarity["red"] ** 2 / math.sqrt(bird) / fish, 0])
    assert found[1].tolist() == [0, 0, 0]


def test_a_definition_quotes_its_gloss_up_to_the_first_semicolon():
    gloss = "a small hound; kept for hunting"
    assert quotes("A small hound is what they call it.", gloss)
    assert not quotes("They saw a hound, small and fast.", gloss)
    assert not quotes("anything", "")


def test_answers_come_a_batch_at_a_time():
    ask, fit, new, _ = asked()
    interpreter = fitted(fit)
    parts = list(answers(interpreter, new.x, batch=7))
    assert max(map(len, parts)) == 7
    torch.testing.assert_close(torch.cat(parts), interpreter.log_posterior(new.x))
