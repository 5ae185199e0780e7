"""The stopping rule: each status for its reason, each look once, and luck bounded over all looks."""

import numpy as np
import pytest

from hsae.encyclopedia.convergence.curve import chance_offset_p, effective_dimensions, relative_error
from hsae.encyclopedia.refinement.stopping import (
    STATUSES,
    Decisions,
    Evidence,
    Rule,
    decide,
    look_of,
)
from hsae.stats import wilson

RULE = Rule()
GOOD = {"count": 16, "error": 0.3, "margin": 2.0, "templates": 4, "sources": 2}
GOOD |= {"split": False, "null_p": 0.01, "exhausted": False}


def evidence(*concepts):
    """Of concepts that would converge, but for what is said of each."""
    table = [GOOD | concept for concept in concepts]
    return Evidence(**{name: np.array([row[name] for row in table]) for name in Evidence._fields})


def only(**concept):
    found = decide(evidence(concept), RULE)
    return found.status[0], found.reason[0]


def test_a_concept_that_meets_every_need_has_converged():
    status, reason = only()
    assert status == "converged" and "0.30" in reason and "2.00" in reason


@pytest.mark.parametrize(
    ("lack", "words"),
    [
        ({"error": 0.41}, "error bound 0.41 above 0.33"),
        ({"error": np.nan}, "error bound nan"),
        ({"margin": -0.2}, "margin to its nearest confuser may be -0.20"),
        ({"margin": np.nan}, "margin"),
        ({"templates": 3}, "3 of 4 templates"),
        ({"sources": 1}, "1 of 2 sources"),
    ],
)
def test_a_concept_that_lacks_one_thing_stays_active_and_says_which(lack, words):
    status, reason = only(**lack)
    assert status == "active" and words in reason and "," not in reason


def test_each_way_to_stop_without_converging():
    assert only(error=0.5, split=True)[0] == "ambiguous"
    assert only(error=0.5, count=32, null_p=0.3)[0] == "dead"
    assert only(error=0.5, count=128)[0] == "budget"
    status, reason = only(error=0.5, count=5, exhausted=True)
    assert status == "budget" and "no more contexts after 5" in reason and "error bound" in reason


def test_the_order_of_reasons():
    """A concept that may converge does; two senses explain a poor reliability better than death does."""
    every = {"split": True, "null_p": 0.9, "count": 128}
    assert only(**every)[0] == "converged"
    assert only(**every, error=0.5)[0] == "ambiguous"
    assert only(**(every | {"split": False}), error=0.5)[0] == "dead"


def test_nobody_is_dead_before_32_contexts_or_without_a_null():
    assert only(error=0.5, count=16, null_p=0.9)[0] == "active"
    assert only(error=0.5, count=64, null_p=np.nan)[0] == "active"


def test_before_the_first_look_nothing_is_judged():
    status, reason = only(count=3)
    assert status == "active" and reason == "3 contexts, first judged at 4"


def test_looks_are_those_reached_and_the_exhausted_are_judged_at_their_next():
    count = np.array([0, 3, 4, 7, 8, 127, 128, 500])
    assert list(look_of(count, np.zeros(8, dtype=bool), RULE)) == [-1, -1, 0, 0, 1, 4, 5, 5]
    assert list(look_of(count, np.ones(8, dtype=bool), RULE)) == [0, 0, 0, 1, 1, 5, 5, 5]


def test_a_verdict_stands_until_the_next_look():
    first = decide(evidence({"error": 0.5}, {}, {"error": 0.5}), RULE)
    assert first.status == ["active", "converged", "active"] and list(first.wanted) == [0, 2]
    between = decide(evidence({"count": 20}, {"count": 20, "error": 0.9}, {"error": 0.5}), RULE, before=first)
    assert between.status == first.status and between.reason[1] == first.reason[1]
    assert "next look" in between.reason[0] and "error bound" in between.reason[2]
    later = decide(evidence({"count": 32}, {"count": 32, "error": 0.9}, {}), RULE, before=between)
    assert later.status == ["converged", "active", "active"] and list(later.look) == [3, 3, 2]


def test_out_of_contexts_is_active_again_when_there_are_more():
    first = decide(evidence({"count": 20, "error": 0.5, "exhausted": True}), RULE)
    assert first.status == ["budget"]
    again = decide(evidence({"count": 20, "error": 0.5}), RULE, before=first)
    assert again.status == ["active"]
    spent = decide(evidence({"count": 32}), RULE, before=again)  # its look at 32 was held at 20
    assert spent.status == ["active"] and "next look" in spent.reason[0]
    assert decide(evidence({"count": 64}), RULE, before=spent).status == ["converged"]


def test_no_concepts_give_no_decisions():
    found = decide(evidence({})._replace(**{k: v[:0] for k, v in evidence({})._asdict().items()}), RULE)
    assert found == Decisions([], found.look, []) and len(found.wanted) == 0
    assert set(STATUSES) == {"active", "converged", "ambiguous", "dead", "budget"}


def test_each_look_spends_an_equal_part_of_alpha():
    assert RULE.level == pytest.approx(1 - 0.05 / 6)
    assert Rule(looks=(8,), alpha=0.1).level == pytest.approx(0.9)


def test_over_all_looks_luck_converges_at_most_one_concept_in_twenty():
    """Concepts whose true error is 5 % too large at every look, judged as their contexts come in."""
    random = np.random.default_rng(0)
    concepts, d, looks = 600, 16, (4, 8, 16)
    rule = Rule(looks=looks)
    direction = random.normal(size=(concepts, d))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    before = None
    for n in looks:
        truth = direction / (np.sqrt(n) * 0.35)
        x = truth[:, None] + random.normal(size=(concepts, n, d)) / np.sqrt(d)
        count = np.full(concepts, n)
        trace = x.var(1, ddof=1).sum(1)
        found = relative_error(count, x.mean(1), trace, effective=d, centred=False, level=rule.level)
        good = evidence(*[{}] * concepts)
        before = decide(good._replace(count=count, error=np.sqrt(found.upper)), rule, before=before)
        if n == looks[0]:
            early = np.array(before.status) == "converged"
        early = early | (np.array(before.status) == "converged")
    assert early.mean() <= 0.05


def world(signal, *, concepts=400, n=32, seed=0):
    """Contexts of concepts that lie `signal` deviations (of a context) from the average one; the variance is
    in few of the directions, as it is of activations."""
    random = np.random.default_rng(seed)
    spectrum = 0.9 ** np.arange(40)
    spectrum /= spectrum.sum()
    offset = signal * random.normal(size=(concepts, 40)) * np.sqrt(spectrum)
    x = offset[:, None] + random.normal(size=(concepts, n, 40)) * np.sqrt(spectrum)
    within = effective_dimensions(np.diag(spectrum))
    return np.full(concepts, n), x.mean(1), x.var(1, ddof=1).sum(1), within


def test_where_contexts_have_nothing_in_common_p_is_uniform_and_such_concepts_are_dead():
    count, mean, trace, effective = world(0.0)
    p = chance_offset_p(count, mean, trace, effective=effective)
    for level in (0.05, 0.2, 0.5):
        low, high = wilson(int((p <= level).sum()), len(p), level=0.999)
        assert low <= level <= high
    status = decide(evidence(*({"error": 0.9, "count": 32, "null_p": one} for one in p)), RULE).status
    assert status.count("dead") / len(p) > 0.9


def test_concepts_of_little_reliability_are_not_dead_while_they_are_of_some():
    """A tenth of a context's variance is the concept's: pseudo-words may have more, and it lives."""
    count, mean, trace, effective = world(1 / 3)
    p = chance_offset_p(count, mean, trace, effective=effective)
    assert (p > RULE.hopeless_p).mean() < 0.05
    one = (count[:1], mean[:1], trace[:1])
    assert np.isnan(chance_offset_p(*one, effective=effective)).all()
    lonely = chance_offset_p(np.r_[1, count[1:]], mean, np.r_[np.nan, trace[1:]], effective=effective)
    assert np.isnan(lonely[0]) and not np.isnan(lonely[1:]).any()
