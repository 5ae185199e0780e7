"""What is kept of activations, where the truth is known beforehand."""

import pytest
import torch
from toy_subject import Toy, constant, mirror

from hsae.evaluations.baselines import PCA
from hsae.evaluations.reconstruction import Settings, evaluate
from hsae.metrics import explained_variance, l0

NO_CLAIMS = Settings(margins={})


def by_name(findings, metric):
    return {score.dictionary: score for score in findings.scores if score.metric == metric}


def shifted(d, by):
    whole = mirror(d)
    return Toy(whole.encode, lambda code: whole.decode(code) + by, whole.vectors)


@pytest.fixture
def findings(subject, held_out):
    d = held_out.shape[1]
    dictionaries = {
        "all": mirror(d),
        "mean": constant(held_out.mean(0)),
        "shifted": shifted(d, 5 * held_out.std()),
        "half": Toy(mirror(d).encode, lambda code: mirror(d).decode(code) / 2, mirror(d).vectors),
    }
    return evaluate(subject(dictionaries), NO_CLAIMS)


def test_all_explains_everything_the_mean_nothing_and_an_offset_far_less(findings):
    found = by_name(findings, "explained_variance")
    assert found["all"].value == pytest.approx(1.0)
    assert found["mean"].value == pytest.approx(0.0, abs=1e-5)
    assert found["shifted"].value < -10
    assert {score.chance for score in found.values()} == {0.0}


def test_explained_variance_is_that_of_the_whole_split_at_once(subject, store, held_out):
    pca = PCA(store.rows("resid_post.1", "train"), k=3)
    found = by_name(evaluate(subject({"pca": pca}, rows=50), NO_CLAIMS), "explained_variance")["pca"]
    assert found.value == pytest.approx(
        explained_variance(held_out, pca.decode(pca.encode(held_out))), rel=1e-5
    )
    assert found.low < found.value < found.high
    assert (found.n, found.unit) == (len(store.documents("test").unique()), "documents")


def test_l0_cosine_and_norm_are_counted_per_row(findings, held_out):
    assert by_name(findings, "l0")["all"].value == pytest.approx(l0(held_out))
    assert by_name(findings, "l0")["mean"].value == 1
    assert by_name(findings, "cosine")["half"].value == pytest.approx(1.0)
    assert by_name(findings, "norm_ratio")["half"].value == pytest.approx(0.5)


def test_a_latent_that_never_fired_is_dead_up_to_a_rate_of_three_in_n(findings, held_out):
    assert by_name(findings, "dead")["mean"].value == 0.5
    assert by_name(findings, "dead")["all"].value == 0.0
    bound = by_name(findings, "dead_bound")["mean"]
    assert (bound.value, bound.n, bound.unit) == (3 / len(held_out), len(held_out), "tokens")


def test_costs_stand_beside_the_scores(subject, store):
    pca = PCA(store.rows("resid_post.1", "train"), k=3)
    found = evaluate(subject({"pca": pca}), NO_CLAIMS)
    assert by_name(found, "parameters")["pca"].value == 32 * 32 + 32
    assert by_name(found, "flops_per_token")["pca"].value == 2 * 32 * (64 + 3)


@pytest.mark.parametrize(("names", "outcome"), [("ab", "PASS"), ("ba", "FAIL")])
def test_the_better_dictionary_passes_and_the_worse_fails(subject, held_out, names, outcome):
    made = {"a": mirror(held_out.shape[1]), "b": constant(held_out.mean(0))}
    dictionaries = {name: made[name] for name in names}
    (verdict,) = evaluate(subject(dictionaries), Settings(margins={names[1]: 0.02})).verdicts
    assert verdict.outcome == outcome
    assert not verdict.trivial
    assert verdict.unit == "documents"


def test_a_claim_that_the_null_passes_as_well_is_called_trivial(subject, held_out):
    d = held_out.shape[1]
    made = {"sae": mirror(d), "pca": constant(held_out.mean(0)), "untrained": mirror(d)}
    (verdict,) = evaluate(subject(made), Settings(margins={"pca": 0.02})).verdicts
    assert verdict.outcome == "PASS"
    assert verdict.trivial


def test_the_null_is_never_the_baseline_itself(subject, held_out):
    d = held_out.shape[1]
    made = {"sae": mirror(d), "untrained": constant(held_out.mean(0)), "random": shifted(d, held_out.std())}
    settings = Settings(margins={"untrained": 0.0, "random": 0.0})
    over_untrained, over_random = evaluate(subject(made, nulls=("untrained", "random")), settings).verdicts
    ev = {
        name: score.value
        for name, score in by_name(evaluate(subject(made), NO_CLAIMS), "explained_variance").items()
    }
    assert over_untrained.null == pytest.approx(ev["random"] - ev["untrained"])
    assert over_random.null == pytest.approx(ev["untrained"] - ev["random"])


def test_the_same_subject_gives_the_same_numbers_whatever_the_batch(subject, held_out):
    rows = lambda batch: by_name(
        evaluate(subject({"mean": constant(torch.ones(held_out.shape[1]))}, rows=batch), NO_CLAIMS),
        "explained_variance",
    )["mean"]
    assert rows(7).value == pytest.approx(rows(512).value, rel=1e-9)


def test_every_latent_of_the_studied_dictionary_says_how_often_it_fires(findings, held_out):
    rows = findings.tables["latents"]
    assert [row["latent"] for row in rows] == list(range(2 * held_out.shape[1]))
    assert rows[0]["fired"] == pytest.approx((held_out[:, 0] > 0).double().mean().item())
