"""What concepts, templates and neither contribute, in a toy world where it is known."""

import numpy as np
import pytest

from hsae.encyclopedia.convergence.components import components, effects, incidence, length_slope

C, T, D = 30, 12, 3


def cells(random, *, balanced):
    """Concept and template of each row; unbalanced, each concept has its own choice, some twice."""
    if balanced:
        return np.repeat(np.arange(C), T), np.tile(np.arange(T), C)
    drawn = [random.choice(T, size=random.integers(3, 10)) for _ in range(C)]
    return np.repeat(np.arange(C), [len(row) for row in drawn]), np.concatenate(drawn)


def summaries(x, concept, template):
    """Means by concept and template, m2 by concept; zeros where there is nothing."""
    mean = lambda key, n: np.stack([x[key == i].mean(0) if (key == i).any() else x[0] * 0 for i in range(n)])
    by_concept = mean(concept, C)
    m2 = np.array([np.square(x[concept == c] - by_concept[c]).sum() for c in range(C)])
    return by_concept, m2, mean(template, T), incidence(concept, template, concepts=C, templates=T)


@pytest.mark.parametrize("balanced", [True, False])
def test_components_are_unbiased(balanced):
    random = np.random.default_rng(0)
    found = []
    for _ in range(300):
        concept, template = cells(random, balanced=balanced)
        x = 50 + 2 * random.normal(size=(C, D))[concept] + 1.5 * random.normal(size=(T, D))[template]
        found.append(components(*summaries(x + random.normal(size=x.shape), concept, template)))
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(300)
    truth = np.array([4.0, 2.25, 1.0]) * D
    assert (np.abs(mean - truth) < 3.5 * error).all(), (mean, truth, error)
    assert (error < 0.05 * truth).all()


def test_a_balanced_design_gives_the_textbooks_mean_squares():
    random = np.random.default_rng(1)
    concept, template = cells(random, balanced=True)
    x = random.normal(size=(C, D))[concept] + random.normal(size=(T, D))[template]
    x += random.normal(size=x.shape)
    cube = x.reshape(C, T, D)
    rows, columns, grand = cube.mean(1), cube.mean(0), x.mean(0)
    residual = np.square(cube - rows[:, None] - columns + grand).sum() / ((C - 1) * (T - 1))
    of_concepts = (T * np.square(rows - grand).sum() / (C - 1) - residual) / T
    of_templates = (C * np.square(columns - grand).sum() / (T - 1) - residual) / C
    found = components(*summaries(x, concept, template))
    np.testing.assert_allclose(found, [of_concepts, of_templates, residual])


def test_nested_contexts_alone_are_refused():
    concept = np.repeat(np.arange(C), 3)
    template = np.arange(len(concept))
    table = incidence(concept, template, concepts=C, templates=len(concept))
    x = np.random.default_rng(2).normal(size=(len(concept), D))
    by_concept = x.reshape(C, 3, D).mean(1)
    with pytest.raises(ValueError, match="cross"):
        components(by_concept, np.ones(C), x, table)


def test_effects_are_the_least_squares_fit():
    """The slow twin: a dense design matrix and numpy's solver."""
    random = np.random.default_rng(3)
    concept, template = cells(random, balanced=False)
    x = random.normal(size=(C, D))[concept] + random.normal(size=(T, D))[template]
    x += random.normal(size=x.shape)
    by_concept, _, by_template, table = summaries(x, concept, template)
    found = effects(by_concept, by_template, table)
    design = np.concatenate([np.eye(C)[concept], np.eye(T)[template]], axis=1)
    exact = np.linalg.lstsq(design, x, rcond=None)[0]
    shift = exact[C:].mean(0)
    np.testing.assert_allclose(found.template, exact[C:] - shift, atol=1e-6)
    np.testing.assert_allclose(found.concept, exact[:C] + shift, atol=1e-6)
    assert found.steps < 50 and found.change <= 1e-8


def test_adjusted_means_do_not_depend_on_which_templates_served_a_concept():
    random = np.random.default_rng(4)
    concept, template = cells(random, balanced=False)
    truth, a = random.normal(size=(C, D)), 10 * random.normal(size=(T, D))
    x = truth[concept] + a[template]
    by_concept, _, by_template, table = summaries(x, concept, template)
    found = effects(by_concept, by_template, table)
    np.testing.assert_allclose(found.concept, truth + a.mean(0), atol=1e-5)
    assert np.abs(by_concept - truth - a.mean(0)).max() > 1  # what plain means would say


def test_a_balanced_design_needs_no_second_round():
    random = np.random.default_rng(5)
    concept, template = cells(random, balanced=True)
    x = random.normal(size=(len(concept), D))
    by_concept, _, by_template, table = summaries(x, concept, template)
    found = effects(by_concept, by_template, table)
    assert found.steps <= 2
    np.testing.assert_allclose(found.template, by_template - by_template.mean(0), atol=1e-12)


def test_the_empty_stay_unknown_and_disturb_nobody():
    random = np.random.default_rng(6)
    concept, template = cells(random, balanced=True)
    kept = (concept != 7) & (template != 2)
    x = random.normal(size=(kept.sum(), D))
    by_concept, _, by_template, table = summaries(x, concept[kept], template[kept])
    by_concept[7] = by_template[2] = np.nan
    found = effects(by_concept, by_template, table)
    assert np.isnan(found.concept[7]).all() and np.isnan(found.template[2]).all()
    assert np.isnan(found.concept).any(1).sum() == np.isnan(found.template).any(1).sum() == 1
    np.testing.assert_allclose(np.nansum(found.template, axis=0), 0, atol=1e-12)


def test_the_slope_of_length_is_found_under_concepts_that_differ_in_length():
    random = np.random.default_rng(7)
    concept = np.repeat(np.arange(C), 40)
    tokens = random.integers(1, 9, len(concept)) + concept  # a longer concept, and elsewhere too
    slope = np.array([0.3, 0.0, -0.2])
    x = slope * tokens[:, None] + random.normal(size=(C, D))[concept] * 20
    x += random.normal(size=x.shape)
    found = length_slope(x, tokens, concept)
    np.testing.assert_allclose(found.slope, slope, atol=0.04)
    explained = 0.13 * tokens.reshape(C, -1).var(1).mean()
    assert found.share == pytest.approx(explained / (explained + D), rel=0.1)


def test_contexts_of_one_length_have_no_slope():
    with pytest.raises(ValueError, match="equally long"):
        length_slope(np.ones((4, 2)), np.array([3, 3, 5, 5]), np.array([0, 0, 1, 1]))
