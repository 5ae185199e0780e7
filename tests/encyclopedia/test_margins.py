"""Retrieval margins: told apart from the nearest confusers in templates not seen, with a bound."""

import numpy as np
import pytest
from scipy.stats import t as student

from hsae.encyclopedia.refinement.margins import concept_means, nearest_confusers, retrieval_margins

D = 6


def rows(seed, *, concepts=9, templates=5, n=120):
    """Rows in cells of any size; the last concept has none, the one before it a single template."""
    random = np.random.default_rng(seed)
    concept = random.integers(0, concepts - 1, n)
    template = np.where(concept == concepts - 2, 3, random.integers(0, templates, n)) * 10
    truth = random.normal(size=(concepts, D)) * 2
    return truth[concept] + random.normal(size=(n, D)), concept, template


def slow_margins(x, concept, template, confusers, level):
    """The definition, in loops."""
    mean = {c: x[concept == c].mean(0) for c in np.unique(concept)}
    noise = sum(np.square(x[concept == c] - mean[c]).sum() for c in mean) / (len(x) - len(mean))

    def distance(h, c, t):
        kept = x[(concept == c) & (template != t)]
        kept = kept if len(kept) else x[concept == c]
        return np.square(h - kept.mean(0)).sum() - noise / len(kept)

    found = []
    for c, rivals in enumerate(confusers):
        own = np.unique(template[concept == c])
        if len(own) < 2 or not (rivals >= 0).any():
            found.append((np.nan, -np.inf, -1))
            continue
        best = []
        for k in rivals[rivals >= 0]:
            held = [x[(concept == c) & (template == t)].mean(0) for t in own]
            m = np.array([distance(h, k, t) - distance(h, c, t) for h, t in zip(held, own, strict=True)])
            low = m.mean() - student.ppf(level, len(m) - 1) * m.std(ddof=1) / np.sqrt(len(m))
            best.append((m.mean(), low, k))
        found.append((min(best)[0], min(b[1] for b in best), min(best)[2]))
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("block", [1, 7, 512])
def test_margins_are_those_of_the_definition(seed, block):
    x, concept, template = rows(seed)
    confusers = nearest_confusers(concept_means(x, concept, concepts=9), neighbours=4)
    found = retrieval_margins(x, concept, template, confusers, level=0.9, block=block)
    slow = slow_margins(x, concept, template, confusers, 0.9)
    for c, (margin, lower, confuser) in enumerate(slow):
        np.testing.assert_allclose(found.margin[c], margin, rtol=1e-9, err_msg=str(c))
        np.testing.assert_allclose(found.lower[c], lower, rtol=1e-9, err_msg=str(c))
        assert found.confuser[c] == confuser
    assert np.isnan(found.margin[7:]).all() and (found.lower[7:] == -np.inf).all()


@pytest.mark.parametrize("block", [1, 4, 1024])
def test_confusers_are_the_nearest_means_once_their_own_noise_is_off(block):
    x, concept, _ = rows(0)
    known = concept_means(x, concept, concepts=9)
    found = nearest_confusers(known, neighbours=5, block=block)
    for c in range(8):
        distance = np.square(known.mean - known.mean[c]).sum(1) - known.noise / np.maximum(known.count, 1)
        order = [k for k in np.argsort(distance) if k not in (c, 8)]
        assert list(found[c]) == order[:5]
    assert (found[8] == -1).all()


def test_fewer_concepts_than_neighbours_leave_the_rest_empty():
    x, concept, template = rows(1, concepts=4)
    confusers = nearest_confusers(concept_means(x, concept, concepts=4), neighbours=32)
    assert confusers.shape == (4, 32) and ((confusers >= 0).sum(1) == [2, 2, 2, 0]).all()
    assert np.isfinite(retrieval_margins(x, concept, template, confusers).margin[:2]).all()


def test_a_rarely_seen_confuser_does_not_look_far_away():
    """A mean of two contexts lies T/2 off; unless that is taken off, margins against it would be too wide."""
    random = np.random.default_rng(2)
    d, found = 50, []
    confusers = np.array([[1], [0]])
    for _ in range(200):
        gap = np.r_[4.0, np.zeros(d - 1)]
        x = random.normal(size=(22, d))
        x[20:] += gap
        concept, template = np.r_[np.zeros(20, int), np.ones(2, int)], np.arange(22)
        found.append(retrieval_margins(x, concept, template, confusers).margin[0])
    assert np.mean(found) == pytest.approx(16, abs=3 * np.std(found) / np.sqrt(200))


def test_a_bound_above_zero_is_rare_where_two_concepts_are_one():
    random = np.random.default_rng(3)
    concept, template = np.repeat(np.arange(200), 12), np.tile(np.arange(12), 200)
    x = np.repeat(random.normal(size=(100, 1, D)) * 20, 2, axis=1).reshape(200, 1, D)
    rows_ = (x + random.normal(size=(200, 12, D))).reshape(-1, D)
    confusers = nearest_confusers(concept_means(rows_, concept, concepts=200), neighbours=3)
    found = retrieval_margins(rows_, concept, template, confusers)
    assert (found.confuser == np.arange(200) ^ 1).mean() > 0.95  # the twin
    assert (found.lower > 0).mean() < 0.08


def test_an_offset_that_templates_bring_to_all_concepts_counts_on_neither_side():
    random = np.random.default_rng(4)
    concept, template = np.repeat(np.arange(20), 8), np.tile(np.arange(8), 20)
    x = (random.normal(size=(20, D)) * 4)[concept] + random.normal(size=(160, D)) * 0.5
    confusers = nearest_confusers(concept_means(x, concept, concepts=20), neighbours=5)
    plain = retrieval_margins(x, concept, template, confusers)
    offset = retrieval_margins(x + random.normal(size=(8, D))[template], concept, template, confusers)
    np.testing.assert_allclose(offset.margin.mean(), plain.margin.mean(), rtol=0.15)


def test_float32_rows_far_from_the_origin_keep_their_margins():
    x, concept, template = rows(6)
    confusers = nearest_confusers(concept_means(x, concept, concepts=9), neighbours=4)
    exact = retrieval_margins(x, concept, template, confusers)
    far = (x + 3000).astype(np.float32)
    same = nearest_confusers(concept_means(far, concept, concepts=9), neighbours=4)
    np.testing.assert_array_equal(same, confusers)
    found = retrieval_margins(far, concept, template, confusers)
    np.testing.assert_allclose(found.lower, exact.lower, rtol=1e-2, atol=0.05)


def test_concepts_without_confusers_are_passed_over():
    x, concept, template = rows(7)
    confusers = nearest_confusers(concept_means(x, concept, concepts=9), neighbours=4)
    every = retrieval_margins(x, concept, template, confusers)
    confusers[[1, 4]] = -1
    some = retrieval_margins(x, concept, template, confusers)
    assert np.isnan(some.margin[[1, 4]]).all() and not some.templates[[1, 4]].any()
    np.testing.assert_allclose(np.delete(some.margin, [1, 4]), np.delete(every.margin, [1, 4]))


def test_one_row_a_concept_says_nothing_about_scatter():
    with pytest.raises(ValueError, match="no concept has two"):
        concept_means(np.ones((3, 2)), np.arange(3), concepts=3)
