"""What moved is told from what was merely seen in other contexts."""

import numpy as np
import pytest

from hsae.encyclopedia.queries.movement import discoveries, movement, shared_noise
from hsae.encyclopedia.queries.template_effects import dimensions

CONCEPTS, D = 400, 24
SPREAD = np.logspace(0.5, -0.5, D)


def rows(draw, truth, n):
    return truth[:, None] + draw.normal(size=(len(truth), n, D)) * SPREAD


def told(a, b, shared, *, n, k=None):
    """Of means over n contexts each side, from their own scatter."""
    trace = [x.var(1, ddof=1).sum(1) for x in (a, b)]
    noise = shared_noise((trace[0], trace[1]), n, shared)
    effective = (SPREAD**2).sum() ** 2 / (SPREAD**4).sum()
    return movement(a.mean(1) - b.mean(1), noise, effective=effective)


def whole(n):
    return np.full(CONCEPTS, n)


@pytest.mark.parametrize("shared", [0, 6])
def test_nothing_moved_and_one_in_twenty_seems_to(shared):
    draw = np.random.default_rng(0)
    truth = draw.normal(size=(CONCEPTS, D))
    a = rows(draw, truth, 8)
    b = np.concatenate([a[:, :shared], rows(draw, truth, 24 - shared)], 1)
    found = told(a, b, whole(shared), n=(whole(8), whole(24)))
    assert (found.p < 0.05).mean() == pytest.approx(0.05, abs=0.03)
    assert found.squared.mean() == pytest.approx(0, abs=4 * found.squared.std() / CONCEPTS**0.5)


def test_what_is_added_to_the_same_contexts_is_not_counted_as_noise_twice():
    draw = np.random.default_rng(1)
    truth = draw.normal(size=(CONCEPTS, D))
    a = rows(draw, truth, 8)
    b = np.concatenate([a, rows(draw, truth, 8)], 1)
    n = (whole(8), whole(16))
    assert (told(a, b, whole(8), n=n).p < 0.05).mean() == pytest.approx(0.05, abs=0.03)
    assert (told(a, b, whole(0), n=n).p < 0.05).mean() < 0.01, "as if the contexts were others: blind"


def test_the_interval_holds_the_true_movement():
    draw = np.random.default_rng(2)
    truth = draw.normal(size=(CONCEPTS, D))
    step = draw.normal(size=(CONCEPTS, D)) * SPREAD * np.linspace(0, 1.5, CONCEPTS)[:, None]
    a, b = rows(draw, truth, 12), rows(draw, truth + step + 7, 12)
    found = told(a, b, whole(0), n=(whole(12), whole(12)))
    true = np.linalg.norm(step - step.mean(0), axis=1)
    assert ((found.low <= true) & (true <= found.high)).mean() == pytest.approx(0.95, abs=0.04)
    assert found.p[-50:].max() < 1e-3, "a shift of all is none; a step of its own is"


def test_identical_means_did_not_move():
    x = np.random.default_rng(3).normal(size=(50, D))
    found = movement(x - x, np.zeros(50), effective=10)
    assert (found.p == 1).all() and (found.high == 0).all()


def test_the_false_discovery_rate_is_benjamini_and_hochberg_s():
    p = np.random.default_rng(4).uniform(size=60) ** 3
    q = discoveries(p)
    order = np.argsort(p)
    for rate in (0.01, 0.05, 0.2):
        passing = [k for k in range(1, 61) if p[order[k - 1]] <= rate * k / 60]
        assert (q <= rate).sum() == (max(passing) if passing else 0)


def test_dimensions_are_those_within_a_concept_not_of_all_together():
    draw = np.random.default_rng(5)
    concept = np.repeat(np.arange(300), 8)
    own = np.linalg.qr(draw.normal(size=(300, D, 4)))[
        0
    ]  # each concept scatters in four directions of its own
    x = np.einsum("rk,rdk->rd", draw.normal(size=(len(concept), 4)), own[concept]) + concept[:, None]
    assert dimensions(x, concept) == pytest.approx(4, rel=0.1)
    pooled = x - np.repeat(x.reshape(300, 8, D).mean(1), 8, axis=0)
    scatter = pooled.T @ pooled
    assert np.trace(scatter) ** 2 / np.square(scatter).sum() > 20, "as one cloud they fill all directions"
    assert dimensions(draw.normal(size=(2400, D)) * SPREAD, concept) == pytest.approx(
        (SPREAD**2).sum() ** 2 / (SPREAD**4).sum(), rel=0.1
    )
    assert dimensions(x[:3], concept[:3]) == 1, "three rows tell nothing"
