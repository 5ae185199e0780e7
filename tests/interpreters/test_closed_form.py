"""Means, covariance and the ridge to glosses: from rows or from statistics alone, equal to plain formulas."""

import pytest
import torch
from sklearn.covariance import OAS
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from worlds_interpreters import SITES, C, D, accuracy, fitted, make, plugin, ready, roles, taxonomy

from hsae.concepts import Concept, Taxonomy
from hsae.errors import UserError
from hsae.interpreters.base import Rows, check_seen
from hsae.interpreters.classes import Classes, classes
from hsae.interpreters.lda import oas
from hsae.interpreters.open_vocabulary import word_vectors

FIT, TUNE, TEST = roles()
KNOWN = classes(FIT, concepts=C)


def test_statistics_of_concepts_equal_a_loop():
    x = FIT.x.flatten(1).double()
    scatter = torch.zeros(SITES * D, SITES * D, dtype=torch.float64)
    for concept in range(C):
        own = x[FIT.concept == concept]
        torch.testing.assert_close(KNOWN.mean[concept], own.mean(0))
        scatter += (own - own.mean(0)).T @ (own - own.mean(0))
    torch.testing.assert_close(KNOWN.within, scatter / (len(x) - C))
    assert KNOWN.count.tolist() == [50] * C and KNOWN.freedom == len(x) - C


@pytest.mark.parametrize("variant", ["lda", "nearest_mean", "open_vocabulary"])
def test_statistics_alone_do_what_rows_do(variant):
    """An encyclopedia that kept no row can still be interpreted by."""
    bare = make(variant)
    if variant == "open_vocabulary":
        bare.describe(word_vectors(taxonomy(), width=64))
    bare.learn(KNOWN)
    bare.temperature.copy_(ready(variant).temperature)
    assert torch.equal(bare.log_posterior(TEST.x), ready(variant).log_posterior(TEST.x))


def test_lda_is_sklearn_s():
    """The same pooled covariance but for its divisor, which n makes up for."""
    share = 0.3
    ours = fitted("lda", f"interpreter.shrinkage={share}")
    n, width = len(FIT.concept), SITES * D
    covariance = KNOWN.within.numpy()
    shrunk = (1 - share) * covariance + share * covariance.trace() / width * torch.eye(width).numpy()

    class Given:
        def fit(self, x):
            self.covariance_ = shrunk
            return self

    theirs = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=Given(), priors=[1 / C] * C).fit(
        FIT.x.flatten(1).double().numpy(), FIT.concept.numpy()
    )
    log_p = torch.tensor(theirs.predict_log_proba(TEST.x.flatten(1).double().numpy()))
    assert n == 600
    torch.testing.assert_close(ours.log_posterior(TEST.x).double(), log_p, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("n", [12, 40, 500])
def test_shrinkage_is_sklearn_s_oas(n):
    """Theirs centres the rows itself and divides by n; ours is told the degrees of freedom."""
    x = torch.randn(n, 8, generator=torch.Generator().manual_seed(n)).double() * torch.arange(1, 9)
    x = x - x.mean(0)
    theirs = OAS(assume_centered=True).fit(x.numpy()).shrinkage_
    assert oas(x.T @ x / n, n) == pytest.approx(_as_published(x), rel=1e-9)
    assert oas(x.T @ x / n, n) == pytest.approx(theirs, rel=0.25), "theirs leaves out a term of order 1 / d"


def _as_published(x: torch.Tensor) -> float:
    """Chen et al. 2010, equation 23, written out."""
    n, d = x.shape
    s = x.T @ x / n
    return min(
        1.0,
        (
            ((1 - 2 / d) * (s @ s).trace() + s.trace() ** 2)
            / ((n + 1 - 2 / d) * ((s @ s).trace() - s.trace() ** 2 / d))
        ).item(),
    )


def test_covariance_is_what_lda_gains_over_the_nearest_mean():
    assert accuracy(ready("lda"), TEST) > accuracy(ready("nearest_mean"), TEST) + 0.1


def test_lda_without_variance_says_what_to_do():
    single = FIT.chosen(torch.arange(0, len(FIT.concept), 50))
    with pytest.raises(UserError, match="nearest_mean"):
        list(make("lda").fit(single, TUNE, device="cpu", checkpoint=None))
    assert list(make("nearest_mean").fit(single, TUNE, device="cpu", checkpoint=None))


def test_a_covariance_without_inverse_says_what_to_do():
    few = FIT.chosen(torch.arange(len(FIT.concept)) % 50 < 2)
    few = few._replace(x=few.x * torch.tensor([1.0, 0.0])[:, None])
    with pytest.raises(UserError, match="interpreter.shrinkage"):
        list(make("lda", "interpreter.shrinkage=0").fit(few, TUNE, device="cpu", checkpoint=None))
    assert list(make("lda").fit(few, TUNE, device="cpu", checkpoint=None))


def test_euclid_is_the_posterior_of_round_gaussians():
    euclid = fitted("nearest_mean", "interpreter.metric=euclid")
    distance = torch.cdist(TEST.x.flatten(1).double(), KNOWN.mean).square()
    expected = torch.log_softmax(
        -distance / (2 * KNOWN.within.diagonal().mean() * euclid.temperature.double()), 1
    )
    torch.testing.assert_close(euclid.log_posterior(TEST.x).double(), expected, rtol=1e-3, atol=1e-3)


def test_cosine_is_taken_about_the_mean_over_concepts():
    x, centre = TEST.x.flatten(1).double(), KNOWN.mean.mean(0)
    cosine = torch.nn.functional.cosine_similarity((x - centre)[:, None], KNOWN.mean - centre, dim=2)
    expected = torch.log_softmax(cosine / ready("nearest_mean").temperature.double(), 1)
    torch.testing.assert_close(
        ready("nearest_mean").log_posterior(TEST.x).double(), expected, rtol=1e-3, atol=1e-3
    )


def test_the_map_to_glosses_is_ridge_regression_on_rows():
    interpreter = ready("open_vocabulary")
    x = FIT.x.flatten(1).double() - KNOWN.center
    g = interpreter.glosses.double()[FIT.concept] - interpreter.glosses.double().mean(0)
    gram = x.T @ x / len(x)
    ridge = interpreter.ridge * gram.trace() / len(gram) * torch.eye(len(gram)).double()
    expected = torch.linalg.solve(gram + ridge, x.T @ g / len(x))
    torch.testing.assert_close(interpreter.map.double(), expected, rtol=1e-3, atol=1e-4)


def test_candidates_may_be_any_glosses():
    interpreter = ready("open_vocabulary")
    some = interpreter.log_posterior(TEST.x, interpreter.glosses[:3])
    of_all = interpreter.log_posterior(TEST.x)[:, :3]
    torch.testing.assert_close(some, torch.log_softmax(of_all, 1), rtol=1e-4, atol=1e-4)


def many(d: int = 16, e: int = 6, concepts: int = 80, each: int = 12) -> tuple[torch.Tensor, Rows]:
    """Gloss vectors, and rows that are a linear map of them and noise: more concepts than dimensions."""
    g = torch.Generator().manual_seed(0)
    glosses, spread = torch.randn(concepts, e, generator=g), torch.randn(e, d, generator=g)
    concept = torch.arange(concepts).repeat_interleave(each)
    x = 2 + glosses[concept] @ spread + 0.3 * torch.randn(len(concept), d, generator=g)
    return glosses, Rows(x, concept, torch.zeros_like(concept))


def test_concepts_never_fitted_on_are_found_by_their_glosses():
    """Among all 80, of which 70 were seen; without their glosses' meaning it is chance."""
    glosses, rows = many()
    taxonomy = Taxonomy(Concept(f"t:{row}", str(row)) for row in range(80))
    module, settings = plugin("open_vocabulary")
    known, reached = rows.concept < 70, {}
    for meaning, vectors in {"true": glosses, "shuffled": glosses.roll(7, 0)}.items():
        interpreter = module.build(settings, d=16, sites=1, taxonomy=taxonomy, seed=0)
        interpreter.describe(vectors)
        seen = rows.chosen(known)
        for _ in interpreter.fit(seen, seen, device="cpu", checkpoint=None):
            pass
        assert interpreter.settings.gloss_width == 6
        reached[meaning] = accuracy(interpreter, rows.chosen(~known))
    assert reached["true"] > 0.7 and reached["shuffled"] < 0.1, reached


def test_glosses_that_share_words_lie_near():
    vectors = word_vectors(taxonomy(), width=512)
    cosine = torch.nn.functional.cosine_similarity(vectors[:, None], vectors, dim=2)
    assert cosine[3, 4] > 0.1 > cosine[3, 6].abs() and torch.equal(
        vectors, word_vectors(taxonomy(), width=512)
    )


def test_a_concept_without_a_gloss_is_refused_by_name():
    bare = Taxonomy([Concept("toy:0", "zero", "a gloss"), Concept("toy:1", "one")])
    with pytest.raises(UserError, match="1 of 2 concepts have none, the first is toy:1"):
        word_vectors(bare, width=8)


def test_a_closed_softmax_on_concepts_never_seen_is_refused_with_the_reason():
    check_seen(torch.tensor([0, 1, 2, 2]), torch.tensor([2, 0]))
    with pytest.raises(UserError, match=r"2 of 3 concepts have no row .* row 7 .*by construction") as refused:
        check_seen(torch.tensor([0, 1]), torch.tensor([1, 9, 7, 9]))
    assert "open_vocabulary" in str(refused.value)


def test_classes_are_a_plain_tuple_for_whoever_has_an_encyclopedia():
    assert Classes._fields == ("count", "mean", "within")
