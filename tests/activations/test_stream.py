"""A stream gives what a store of the same reading holds, mixed, and goes on exactly where it was left."""

from itertools import islice

import pytest
import torch
from test_harvest import DOCUMENTS, SITES, make, reading_of

from hsae.activations import Stream, outlier_limits
from hsae.errors import UserError


def stream_of(lm, documents=DOCUMENTS, **options):
    reading = reading_of(**options)
    limits = outlier_limits(lm, lambda: documents, reading)
    return Stream(lm, lambda: documents, reading, limits=limits, pool=100)


def take(stream, count, sites=SITES[0], **options):
    chosen = {"batch": 32, "seed": 3} | options
    return list(islice(stream.batches(sites, **chosen), count))


@pytest.fixture(scope="module")
def store(tmp_path_factory, lm):
    return make(tmp_path_factory.mktemp("stream") / "store", lm, tokens=900)


@pytest.fixture(scope="module")
def stream(lm):
    return stream_of(lm, tokens=900)


def test_its_rows_are_those_of_the_store(store, stream):
    for split in ("train", "valid"):
        rows = store.rows(SITES[1], split)
        torch.testing.assert_close(stream.rows(SITES[1], split, 0, 10**6), rows, rtol=2e-3, atol=2e-3)
        torch.testing.assert_close(stream.rows(SITES[1], split, 3, 7), rows[3:7], rtol=2e-3, atol=2e-3)


def test_an_epoch_holds_every_row_once_but_those_that_fill_no_batch(store, stream):
    rows = store.rows(SITES[0], "train")
    each = len(rows) // 96 * 3 + len(rows) % 96 // 32
    found = torch.cat(take(stream, each))
    assert found.shape == (each * 32, stream.d(SITES[0])) and found.dtype == torch.float32
    near = torch.cdist(found, rows).min(1)
    assert (near.values < 5e-2).all()
    assert not torch.equal(found[:32], rows[:32])


def test_every_epoch_is_mixed_anew(store, stream):
    each = len(store.rows(SITES[0], "train")) // 96 * 3 + len(store.rows(SITES[0], "train")) % 96 // 32
    found = take(stream, each + 1)
    assert not torch.equal(found[each], found[0])
    assert torch.cdist(found[each], torch.cat(found[:3])).min(1).values.max() < 5e-2


@pytest.mark.parametrize("skip", [1, 2, 3, 7, 40, 100])
def test_skipping_goes_on_exactly_where_reading_ended(stream, skip):
    whole = take(stream, skip + 2)
    rest = take(stream, 2, skip=skip)
    assert all(torch.equal(a, b) for a, b in zip(rest, whole[skip:], strict=True))


def test_the_model_does_not_run_for_pools_that_are_skipped(lm, stream, monkeypatch):
    capture, runs = lm.capture, []
    monkeypatch.setattr(type(lm), "capture", lambda self, *a, **k: runs.append(1) or capture(*a, **k))
    take(stream, 1)
    alone = len(runs)
    take(stream, 1, skip=12)
    assert len(runs) == 2 * alone


def test_many_sites_are_read_from_one_pass_in_the_same_order(lm, stream, monkeypatch):
    alone = {site: take(stream, 4, sites=site) for site in SITES}
    capture, runs = lm.capture, []
    monkeypatch.setattr(type(lm), "capture", lambda self, *a, **k: runs.append(1) or capture(*a, **k))
    together = take(stream, 4, sites=SITES)
    for site in SITES:
        assert all(torch.equal(a, b[site]) for a, b in zip(alone[site], together, strict=True))
    many = len(runs)
    take(stream, 4, sites=SITES[0])
    assert len(runs) == 2 * many


def test_int8_rows_are_decoded(lm, stream):
    coarse = take(stream_of(lm, tokens=900, dtype="int8"), 2)
    for one, other in zip(coarse, take(stream, 2), strict=True):
        assert (one - other).abs().max() <= other.abs().max() / 100
        assert not torch.equal(one, other)


def test_outliers_are_dropped_here_too_and_skipping_stays_exact(lm):
    stream = stream_of(lm, tokens=900, outliers=1.1)
    whole = take(stream, 6)
    assert all(torch.equal(a, b) for a, b in zip(take(stream, 3, skip=3), whole[3:], strict=True))


def test_a_split_without_a_batch_is_a_user_error(stream):
    with pytest.raises(UserError, match="fewer rows of the split train than one batch of 100000"):
        take(stream, 1, batch=100000)
