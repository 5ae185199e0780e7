"""What is captured is what the model computes, at every site of every family; an edit leaves no trace."""

import pytest
import torch
from worlds import FAMILIES, sentences

from hsae.errors import UserError
from hsae.lm.sites import FAMILIES as TABLE

TEXTS = list(sentences(4))
SEQUENTIAL = sorted(set(FAMILIES) - {"gpt_neox", "phi"})


@pytest.fixture(params=sorted(FAMILIES))
def any_lm(request, families):
    return families[request.param]


def test_every_row_of_the_table_is_tried_here():
    assert set(TABLE) == set(FAMILIES)


@pytest.mark.parametrize("side", ["left", "right"])
def test_capture_equals_hidden_states_to_the_last_bit(any_lm, side):
    tokens = any_lm.tokenize(TEXTS, side=side)
    positions = (tokens.mask.long().cumsum(1) - 1).clamp(min=0) if side == "left" else None
    with torch.no_grad():
        output = any_lm.model.base_model(
            tokens.ids,
            attention_mask=tokens.mask,
            position_ids=positions,
            use_cache=False,
            output_hidden_states=True,
        )
    got = any_lm.capture(tokens.ids, tokens.mask, any_lm.site_names())
    for layer in range(any_lm.layers):
        assert torch.equal(got[f"resid_pre.{layer}"], output.hidden_states[layer])
        if layer + 1 < any_lm.layers:  # the last hidden state comes after the final norm
            assert torch.equal(got[f"resid_post.{layer}"], output.hidden_states[layer + 1])
    assert torch.equal(got["final_norm"], output.last_hidden_state)


def test_what_blocks_add_to_the_stream_adds_up(any_lm):
    tokens = any_lm.tokenize(TEXTS)
    got = any_lm.capture(tokens.ids, tokens.mask, any_lm.site_names())
    for layer in range(any_lm.layers):
        before, attn, mlp = (got[f"{role}.{layer}"] for role in ("resid_pre", "attn_out", "mlp_out"))
        torch.testing.assert_close(before + attn + mlp, got[f"resid_post.{layer}"], rtol=1e-5, atol=1e-5)
        if any_lm.family in SEQUENTIAL:
            torch.testing.assert_close(before + attn, got[f"resid_mid.{layer}"], rtol=1e-5, atol=1e-5)


def test_families_whose_mlp_reads_beside_attention_have_no_stream_between(families):
    assert [family for family, lm in families.items() if "resid_mid.0" not in lm.site_names()] == [
        "gpt_neox",
        "phi",
    ]


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_does_not_change_a_text(any_lm, side):
    sites = [f"resid_post.{any_lm.layers - 1}", "attn_out.0", "final_norm"]
    tokens = any_lm.tokenize(TEXTS, side=side)
    together = any_lm.capture(tokens.ids, tokens.mask, sites)
    for number, text in enumerate(TEXTS):
        _, alone = any_lm.capture_texts([text], sites)
        for site in sites:
            torch.testing.assert_close(
                together[site][number, tokens.mask[number]], alone[site][0], rtol=1e-4, atol=1e-5
            )


def test_one_pass_for_many_sites_equals_a_pass_for_each(lm):
    tokens = lm.tokenize(TEXTS)
    together = lm.capture(tokens.ids, tokens.mask, lm.site_names())
    for site in lm.site_names():
        assert torch.equal(lm.capture(tokens.ids, tokens.mask, [site])[site], together[site])


def test_nothing_above_the_highest_site_runs(lm):
    ran = []
    handles = [
        block.register_forward_hook(lambda *_, n=n: ran.append(n))
        for n, block in enumerate(lm.model.model.layers)
    ]
    lm.capture(lm.tokenize(TEXTS).ids, lm.tokenize(TEXTS).mask, ["resid_post.1", "resid_pre.0"])
    lm.capture(lm.tokenize(TEXTS).ids, lm.tokenize(TEXTS).mask, ["embed"])
    for handle in handles:
        handle.remove()
    assert ran == [0, 1]


def test_a_pass_that_was_cut_short_leaves_no_hook_behind(lm):
    hooks = lambda: sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in lm.model.modules()
    )
    tokens = lm.tokenize(TEXTS)
    before, count = lm.logits(tokens.ids, tokens.mask), hooks()
    lm.capture(tokens.ids, tokens.mask, ["resid_mid.0"])
    assert torch.equal(lm.logits(tokens.ids, tokens.mask), before)
    assert hooks() == count


def test_an_edit_changes_the_logits_and_leaving_restores_them_bit_for_bit(any_lm):
    tokens = any_lm.tokenize(TEXTS)
    before = any_lm.logits(tokens.ids, tokens.mask)
    for site in any_lm.site_names():
        if site.startswith("resid_mid"):
            continue
        with any_lm.edited(site, lambda x: x + torch.linspace(-1, 1, any_lm.d).expand(*x.shape[:2], -1)):
            changed = any_lm.logits(tokens.ids, tokens.mask)
        assert (changed - before).abs()[tokens.mask].max() > 1e-4, site
        assert torch.equal(any_lm.logits(tokens.ids, tokens.mask), before), site
        with any_lm.edited(site, lambda x: x.clone()):
            assert torch.equal(any_lm.logits(tokens.ids, tokens.mask), before), site


def test_what_is_captured_under_an_edit_is_the_edited_activation(any_lm):
    tokens = any_lm.tokenize(TEXTS)
    for site in ("resid_post.0", "resid_pre.1", "attn_out.1", "mlp_out.0"):
        plain = any_lm.capture(tokens.ids, tokens.mask, [site, "resid_post.2"])
        with any_lm.edited(site, torch.ones_like):
            got = any_lm.capture(tokens.ids, tokens.mask, [site, "resid_post.2"])
        assert (got[site] == 1).all()
        assert not torch.equal(got["resid_post.2"], plain["resid_post.2"])


def test_an_error_inside_an_edit_still_restores_the_model(lm):
    tokens = lm.tokenize(TEXTS)
    before = lm.logits(tokens.ids, tokens.mask)
    with pytest.raises(ZeroDivisionError), lm.edited("resid_post.0", lambda x: x * 2):
        raise ZeroDivisionError
    assert torch.equal(lm.logits(tokens.ids, tokens.mask), before)


def test_a_site_that_modules_only_read_is_refused_for_editing_with_its_twin(lm):
    with pytest.raises(UserError, match=r"attn_out\.1"), lm.edited("resid_mid.1", torch.zeros_like):
        pass


def test_an_unknown_site_is_answered_with_the_nearest(lm):
    with pytest.raises(
        UserError, match=r"no site 'resid_post\.9'; near it are resid_post(.|\n)*layers \.0 to \.2"
    ):
        lm.capture(*lm.tokenize(TEXTS)[:2], ["resid_post.9"])


def test_loss_is_that_of_transformers_and_unknown_at_padding(any_lm):
    for side in ("left", "right"):
        tokens = any_lm.tokenize(TEXTS, side=side)
        nll = any_lm.loss(tokens.ids, tokens.mask)
        assert nll.shape == (len(TEXTS), tokens.ids.shape[1] - 1)
        assert torch.equal(nll.isnan(), ~(tokens.mask[:, 1:] & tokens.mask[:, :-1]))
        for number, text in enumerate(TEXTS):
            ids = any_lm.tokenize([text]).ids
            with torch.no_grad():
                expected = any_lm.model(ids, labels=ids).loss
            torch.testing.assert_close(nll[number].nanmean(), expected, rtol=1e-4, atol=1e-4)
