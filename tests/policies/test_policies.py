"""Every policy in conf/policy ranks concepts; a new one is tested by existing."""

import numpy as np
import pytest
import yaml
from worlds import toy_contexts, toy_taxonomy

from hsae import build
from hsae.encyclopedia import Encyclopedia
from hsae.encyclopedia.writer import Reading, Stage, write
from hsae.errors import UserError
from hsae.policies.view import View

FOLDER = build.conf_dir() / "policy"
POLICIES = sorted(file.stem for file in FOLDER.glob("*.yaml"))
TAXONOMY = toy_taxonomy(14)
SITES = ["resid_post.0", "resid_post.2"]
LOST, ONCE = 3, 7


def scores(name, view, seed=0):
    said = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    module, settings = build.plugin("policy", build.settings("policy", name).model_validate(said))
    return module.score(view, settings, seed=seed)


def book_of(folder, lm, sites=SITES):
    """Two concepts are known less well: one by nothing, one by a single context."""
    contexts = [
        context
        for context in toy_contexts(TAXONOMY)
        if (row := TAXONOMY.index[context.concept]) != LOST and (row != ONCE or context.template == "the {}")
    ]
    reading = Reading(sites=sites, poolings=("span",), sample=8, batch_tokens=200)
    list(write(lm, TAXONOMY, contexts, folder, reading=reading, stage=Stage("toy", 1), block=5))
    return Encyclopedia(folder)


@pytest.fixture(scope="module")
def view(tmp_path_factory, lm):
    return View(book_of(tmp_path_factory.mktemp("book"), lm), SITES[1])


@pytest.mark.parametrize("name", POLICIES)
def test_every_concept_gets_a_number_always_the_same(view, name):
    found = scores(name, view)
    assert found.shape == (14,) and not np.isnan(found).any()
    assert np.array_equal(found, scores(name, View(view.book, view.site)))


@pytest.mark.parametrize("name", [name for name in POLICIES if name != "random"])
def test_what_nothing_is_known_of_comes_first(view, name):
    found = scores(name, view)
    assert found[LOST] == np.inf
    assert np.isfinite(np.delete(found, [LOST, ONCE])).all()


def test_random_is_drawn_anew_in_each_round(view):
    assert not np.array_equal(scores("random", view, 0), scores("random", view, 1))


def test_one_site_has_nobody_to_disagree_with(tmp_path, lm):
    with pytest.raises(UserError, match="policy=disagreement asks several sites"):
        scores("disagreement", View(book_of(tmp_path, lm, SITES[:1]), SITES[0]))


def test_posteriors_are_those_of_gaussians_around_the_means(view):
    """The obvious twin: densities with the pooled covariance, shrunk as the whitener shrinks it."""
    from hsae.encyclopedia.whitening import whitener

    freedom = int(np.maximum(view.count - 1, 0).sum())
    w = whitener(view.book.covariance(view.site).numpy(), freedom=freedom)
    precision, mean = w @ w.T, view.book.mean(view.site).double().numpy()
    (log_p, own) = next(view.posteriors())
    for row in range(3):
        density = np.full(14, -np.inf)
        for concept in set(range(14)) - {LOST}:
            off = view.held_out.x[row] - mean[concept]
            density[concept] = -0.5 * off @ precision @ off
        expected = density - np.logaddexp.reduce(density)
        near = expected > -20
        np.testing.assert_allclose(log_p[row][near], expected[near], rtol=2e-2, atol=2e-2)
        assert own[row] == view.held_out.concept[row]


def test_judgements_are_means_over_a_concepts_held_out_contexts(view):
    log_p, own = next(view.posteriors())
    p = np.exp(log_p.astype(np.float64))
    for concept in range(14):
        mine = p[own == concept]
        if not len(mine):
            assert np.isnan(view.judged.entropy[concept])
            continue
        top = np.sort(mine, 1)
        assert view.judged.top[concept] == pytest.approx(top[:, -1].mean(), abs=1e-5)
        assert view.judged.gap[concept] == pytest.approx((top[:, -1] - top[:, -2]).mean(), abs=1e-5)
        assert view.judged.right[concept] == pytest.approx(mine[:, concept].mean(), abs=1e-5)
        assert view.judged.set_size[concept] >= 0
