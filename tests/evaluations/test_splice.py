"""What the LM loses when it computes with reconstructions."""

import pytest
import torch
from toy_subject import Toy, constant, mirror, noise

from hsae.errors import UserError
from hsae.evaluations.splice import Settings, evaluate

SETTINGS = Settings(tokens=100_000, margins={})


def by_name(findings, metric):
    return {score.dictionary: score for score in findings.scores if score.metric == metric}


def test_a_whole_dictionary_loses_nothing_zeros_all_and_the_mean_is_chance(subject, store, held_out):
    mean = store.rows("resid_post.1", "train").mean(0)
    dictionaries = {
        "all": mirror(held_out.shape[1]),
        "zeros": constant(torch.zeros_like(mean)),
        "means": constant(mean),
    }
    found = evaluate(subject(dictionaries), SETTINGS)
    ce, share = by_name(found, "ce"), by_name(found, "ce_recovered")
    assert ce["all"].value == pytest.approx(ce["clean"].value, rel=1e-6)
    assert ce["zeros"].value == pytest.approx(ce["zero"].value, rel=1e-6)
    assert share["all"].value == pytest.approx(1.0, abs=1e-4)
    assert share["zeros"].value == pytest.approx(0.0, abs=1e-4)
    assert share["means"].value == pytest.approx(share["means"].chance, abs=1e-5)
    assert share["mean"].value == share["mean"].chance


def test_the_loss_is_that_of_reading_each_document_alone(subject, lm, store, held_out):
    """One text at a time, no padding, the edit written out: the twin of the batched loop."""
    half = Toy(
        mirror(held_out.shape[1]).encode,
        lambda code: mirror(held_out.shape[1]).decode(code) / 2,
        mirror(32).vectors,
    )
    nats = count = 0
    documents = store.documents("test")

    def halve_all_but_the_prefix(x):
        return torch.cat([x[:, :1], x[:, 1:] / 2], dim=1)

    for document in documents.unique():
        for window in store.tokens("test")[documents == document].split(lm.context - 1):
            ids = torch.cat([torch.tensor(lm.reader.prefix), window])[None]
            with lm.edited("resid_post.1", halve_all_but_the_prefix):
                loss = lm.loss(ids, torch.ones_like(ids, dtype=torch.bool))[0, 1:]
            nats, count = nats + loss.double().sum().item(), count + len(loss)
    score = by_name(evaluate(subject({"half": half}), SETTINGS), "ce")["half"]
    assert score.value == pytest.approx(nats / count, rel=1e-5)
    assert score.n == len(documents.unique())


def test_a_dictionary_fed_noise_fails_where_one_fed_the_answer_passes(subject, held_out):
    d = held_out.shape[1]
    settings = Settings(tokens=100_000, margins={"rival": 0.02})
    (fails,) = evaluate(subject({"sae": noise(d), "rival": mirror(d)}), settings).verdicts
    (passes,) = evaluate(subject({"sae": mirror(d), "rival": noise(d)}), settings).verdicts
    assert (fails.outcome, passes.outcome) == ("FAIL", "PASS")
    assert not passes.trivial


def test_no_more_text_is_read_than_was_asked_for_and_no_document_in_part(subject, store, held_out):
    few = evaluate(subject({"all": mirror(held_out.shape[1])}), Settings(tokens=1, margins={}))
    assert by_name(few, "ce")["clean"].n == 2
    third = int(store.documents("test").unique_consecutive(return_counts=True)[1][:3].sum())
    more = evaluate(subject({"all": mirror(held_out.shape[1])}), Settings(tokens=third, margins={}))
    assert by_name(more, "ce")["clean"].n == 3


def test_a_site_that_cannot_be_replaced_is_refused_with_the_way_around(subject, held_out):
    with pytest.raises(UserError, match=r"evaluations=\[reconstruction,recovery\]"):
        evaluate(subject({"all": mirror(held_out.shape[1])}, site="resid_mid.1"), SETTINGS)
