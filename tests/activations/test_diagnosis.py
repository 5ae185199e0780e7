"""What is said of a model's activations is what is in them, and what is planted is found."""

import numpy as np
import pytest
import torch
from worlds import sentences

from hsae.activations.diagnosis import Sink, examine, losses, sinks
from hsae.activations.windows import Window, windows
from hsae.corpora import Document

SITES = ["embed", "resid_post.0", "mlp_act.1", "resid_post.2"]


@pytest.fixture(scope="module")
def read(lm):
    documents = [Document(str(number), text) for number, text in enumerate(sentences(9))]
    return [item for item in windows(lm.reader, documents, room=20) if isinstance(item, Window)]


@pytest.fixture(scope="module")
def seen(lm, read):
    return examine(lm, read, SITES)


def alone(lm, window, site):
    ids, mask = lm.reader.pad([window.ids.tolist()])
    return lm.capture(ids, mask, [site])[site][0]


def test_every_token_is_counted_once_and_only_the_texts_own_are_its_own(lm, read, seen):
    assert seen.own.sum() == sum(window.rows for window in read)
    assert len(seen.token) == sum(1 + len(window.ids) for window in read)
    assert ((seen.position == 0) == ~seen.own).all()


def test_norms_and_ranges_are_those_of_each_text_alone(lm, read, seen):
    for site, health in seen.sites.items():
        rows = torch.cat([alone(lm, window, site) for window in read])
        own = torch.cat([alone(lm, window, site)[1:] for window in read])
        np.testing.assert_allclose(np.sort(health.norm), np.sort(rows.norm(dim=1).numpy()), rtol=1e-4)
        assert health.width == rows.shape[1]
        assert health.median == pytest.approx(np.median(own.norm(dim=1).numpy()), rel=1e-4)
        assert health.largest == pytest.approx(float(own.norm(dim=1).max()), rel=1e-4)
        assert health.peak == pytest.approx(float(rows.abs().max()), rel=1e-4)
        assert health.own_peak == pytest.approx(float(own.abs().max()), rel=1e-4)
        assert health.broken == 0


def test_rounding_is_what_a_store_would_lose(lm, read, seen):
    own = torch.cat([alone(lm, window, "resid_post.2")[1:] for window in read])
    lost = (own.bfloat16().float() - own).norm() / own.norm()
    assert seen.sites["resid_post.2"].rounding["bfloat16"] == pytest.approx(float(lost), rel=1e-3)
    errors = [seen.sites["resid_post.2"].rounding[dtype] for dtype in ("float16", "bfloat16", "int8")]
    assert errors == sorted(errors)


def test_what_float16_cannot_hold_is_absent_and_not_called_exact(lm, read):
    with lm.edited("resid_post.0", lambda x: x * 1e6):
        health = examine(lm, read, ["resid_post.0"]).sites["resid_post.0"]
    assert set(health.rounding) == {"bfloat16", "int8"}
    assert health.peak > 65504


def test_what_is_not_finite_is_counted_and_left_out(lm, read):
    def first_token(x):
        return torch.cat([x[:, :1] * float("nan"), x[:, 1:]], dim=1)

    with lm.edited("mlp_out.2", first_token):
        health = examine(lm, read, ["resid_post.2"]).sites["resid_post.2"]
    assert health.broken == len(read)
    assert np.isnan(health.norm).sum() == len(read)
    assert np.isfinite([health.median, health.largest, health.peak]).all()


def test_a_planted_sink_is_found_with_its_token_place_and_layers(lm, read):
    assert not sinks(examine(lm, read, SITES), ["resid_post.0", "resid_post.2"], prefix=1)

    def loud(x):
        return torch.cat([x[:, :1] * 500, x[:, 1:]], dim=1)

    with lm.edited("resid_post.1", loud):
        seen = examine(lm, read, ["resid_post.0", "resid_post.1", "resid_post.2"])
    (found,) = sinks(seen, list(seen.sites), prefix=1)
    prefix = lm.reader.prefix[0]
    assert found == Sink(prefix, 0, len(read), len(read), ["resid_post.1", "resid_post.2"], found.times)
    first = seen.sites["resid_post.1"]
    assert found.times == pytest.approx(float((first.norm / first.median).max()), rel=0.2)


def test_a_token_that_is_loud_anywhere_is_one_sink(lm, read):
    often = int(np.bincount(np.concatenate([window.ids for window in read])).argmax())
    weight = lm.model.get_input_embeddings().weight
    before = weight[often].clone()
    weight[often] *= 1000
    try:
        found = sinks(examine(lm, read, ["embed"]), ["embed"], prefix=1)
    finally:
        weight[often] = before
    assert {sink.token for sink in found} == {often}
    later = next(sink for sink in found if sink.position is None)
    assert later.seen == later.stood_out > 1


def test_the_loss_without_the_prefix_is_that_of_the_bare_text(lm, read):
    with_prefix, without = losses(lm, read)
    sums = np.zeros(2)
    for window in read:
        for number, start in enumerate((0, 1)):
            ids, mask = lm.reader.pad([window.ids.tolist()])
            nll = lm.loss(ids[:, start:], mask[:, start:])[0, 1 - start :]
            sums[number] += float(nll.double().sum())
    count = sum(len(window.ids) - 1 for window in read)
    assert (with_prefix, without) == pytest.approx(tuple(sums / count), rel=1e-5)
    assert with_prefix != without


def test_a_loss_of_nothing_is_no_number(lm, read):
    assert np.isnan(losses(lm, [read[0].part(0, 1)])).all()
