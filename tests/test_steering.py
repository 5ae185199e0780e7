"""Steering: more strength is more of the concept, and rounding is no direction."""

import pytest
import torch
from worlds import SENTENCES, random_lm_folder

from hsae.errors import UserError
from hsae.lm.loading import load
from hsae.steering import basis, contrast, removed, steered, unit

SITE, LATER = "resid_post.0", "resid_post.2"


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    return load(random_lm_folder(tmp_path_factory.mktemp("model")), device="cpu", dtype="float32")


@pytest.fixture
def probe(lm):
    """What tells two texts apart at the later site: the difference of their means."""
    one, other = (last(lm, [text]).mean((0, 1)) for text in (SENTENCES[0], SENTENCES[2]))
    return one - other


def last(lm, texts):
    tokens = lm.tokenize(texts)
    return lm.capture(tokens.ids, tokens.mask, [LATER])[LATER]


def test_strength_moves_the_probes_score_in_its_own_sign(lm, probe):
    """At the site itself, where the score of h + s |h| v is that of h and s |h| more."""
    scores = []
    for strength in (-0.5, -0.1, 0.0, 0.1, 0.5):
        with steered(lm, LATER, probe, strength):
            scores.append(float((last(lm, SENTENCES[3:]) @ unit(probe[None])[0]).mean()))
    assert scores == sorted(scores) and len(set(scores)) == 5


def test_zero_strength_and_leaving_change_no_bit(lm, probe):
    tokens = lm.tokenize(SENTENCES)
    before = lm.logits(tokens.ids, tokens.mask)
    with steered(lm, SITE, probe, 0.0):
        same = lm.logits(tokens.ids, tokens.mask)
    with steered(lm, SITE, probe, 3.0):
        other = lm.logits(tokens.ids, tokens.mask)
    assert torch.equal(before, same) and not torch.allclose(before, other)
    assert torch.equal(before, lm.logits(tokens.ids, tokens.mask))


def test_removing_every_component_is_refused_with_what_is_left():
    vectors = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    with pytest.raises(UserError, match=r"of 5 directions 5 lie in the 5 components"):
        removed(vectors, basis(vectors, 5))


def test_what_remains_is_orthogonal_to_what_was_removed_and_of_norm_1():
    vectors = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    taken = basis(vectors, 2)
    left = removed(vectors, taken)
    assert (left @ taken.T).abs().max() < 1e-6
    torch.testing.assert_close(left.norm(dim=1), torch.ones(5))


def test_a_contrast_is_what_others_do_not_share():
    shared, own = torch.eye(8)[0], torch.eye(8)[1]
    found = contrast(10 * shared + own, torch.stack([shared, 2 * shared + torch.eye(8)[2]]))
    torch.testing.assert_close(found, own)


def test_equal_vectors_span_one_dimension():
    assert len(basis(torch.ones(4, 16), 4)) == 1


@pytest.mark.parametrize("vector", [torch.zeros(4), torch.full((4,), torch.nan)])
def test_nothing_is_no_direction(vector):
    with pytest.raises(UserError, match="no direction"):
        unit(vector[None])
