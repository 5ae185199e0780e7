"""What is captured is what the model computes, at every site of every family; an edit leaves no trace."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest
import torch
from safetensors.torch import load_file, save_file
from worlds import CONTEXT, FAMILIES, VOCABULARY, random_lm_folder, sentences

from hsae.errors import UserError
from hsae.lm.families import FAMILIES as TABLE
from hsae.lm.loading import load

TEXTS = list(sentences(4))
PARALLEL = {"gpt_neox", "phi"}
NORMED = {"bert", "roberta"}
"""Families whose blocks norm the stream itself."""
NORMED_OUTPUT = {"gemma2", "gemma3_text", "olmo2"}
"""Families that norm what the MLP returns before it is added."""


@pytest.fixture(params=sorted(FAMILIES))
def any_lm(request, families):
    return families[request.param]


def reference(lm, tokens, side):
    """The model's own hidden states, from a call that knows nothing of hsae."""
    given = {"attention_mask": tokens.mask}
    if side == "left" and lm.family not in (
        "t5",
        "roberta",
    ):  # these have no positions, or find them themselves
        given["position_ids"] = (tokens.mask.long().cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        return lm.model(tokens.ids, output_hidden_states=True, **given)


def test_every_row_of_the_table_is_tried_here_or_beside():
    assert set(TABLE) - set(FAMILIES) == {"vit", "TransformerEncoder", "TransformerDecoder"}


@pytest.mark.parametrize("side", ["left", "right"])
def test_capture_equals_hidden_states_to_the_last_bit(any_lm, side):
    tokens = any_lm.tokenize(TEXTS, side=side)
    output = reference(any_lm, tokens, side)
    got = any_lm.capture(tokens.ids, tokens.mask, any_lm.site_names())
    last = any_lm.layers - 1
    for layer in range(any_lm.layers):
        assert torch.equal(got[f"resid_pre.{layer}"], output.hidden_states[layer])
        if layer < last:  # the last hidden state comes behind the final norm, where there is one
            assert torch.equal(got[f"resid_post.{layer}"], output.hidden_states[layer + 1])
    end = f"resid_post.{last}" if any_lm.family in NORMED else "final_norm"
    assert torch.equal(got[end], output.hidden_states[-1])
    assert ("logits" in got) == (any_lm.family != "t5")
    if "logits" in got:
        assert torch.equal(got["logits"], output.logits)


@pytest.mark.parametrize("side", ["left", "right"])
def test_one_pass_for_all_sites_equals_a_pass_for_each_to_the_last_bit(any_lm, side):
    tokens = any_lm.tokenize(TEXTS, side=side)
    together = any_lm.capture(tokens.ids, tokens.mask, any_lm.site_names())
    for site in any_lm.site_names():
        assert torch.equal(any_lm.capture(tokens.ids, tokens.mask, [site])[site], together[site]), site


@pytest.mark.parametrize("side", ["left", "right"])
def test_only_kept_rows_are_copied_and_they_are_those_of_the_whole(any_lm, side):
    tokens = any_lm.tokenize(TEXTS, side=side)
    whole = any_lm.capture(tokens.ids, tokens.mask, any_lm.site_names())
    keep = ~tokens.special
    kept = any_lm.capture(tokens.ids, tokens.mask, any_lm.site_names(), keep)
    for site, rows in kept.items():
        assert torch.equal(rows, whole[site][keep]), site
        assert rows.untyped_storage().nbytes() == rows.numel() * rows.element_size()


def test_what_blocks_add_to_the_stream_adds_up(any_lm):
    tokens = any_lm.tokenize(TEXTS)
    got = any_lm.capture(tokens.ids, tokens.mask, any_lm.site_names())
    for layer in range(any_lm.layers):
        before, attn, mlp = (got[f"{role}.{layer}"] for role in ("resid_pre", "attn_out", "mlp_out"))
        between, after = before + attn, before + attn + mlp
        if any_lm.family in NORMED:
            block = any_lm.model.base_model.encoder.layer[layer]
            between = block.attention.output.LayerNorm(before + attn)
            after = block.output.LayerNorm(between + mlp)
            assert torch.equal(got[f"mlp_in.{layer}"], got[f"resid_mid.{layer}"])
        torch.testing.assert_close(after, got[f"resid_post.{layer}"], rtol=1e-5, atol=1e-5)
        if any_lm.family not in PARALLEL:
            torch.testing.assert_close(between, got[f"resid_mid.{layer}"], rtol=1e-5, atol=1e-5)


def test_the_mlp_makes_what_it_adds_of_what_it_reads_and_holds(any_lm):
    tokens = any_lm.tokenize(TEXTS)
    got = any_lm.capture(tokens.ids, tokens.mask, any_lm.site_names())
    block = any_lm.network._places["resid_pre.1"].module
    last_matrix = any_lm.network._places["mlp_act.1"].module
    added = last_matrix(got["mlp_act.1"])
    inside = {
        "opt": lambda x: block.activation_fn(block.fc1(x)),
        "bert": getattr(block, "intermediate", None),
    }
    inside["roberta"] = inside["bert"]
    if any_lm.family in inside:
        torch.testing.assert_close(inside[any_lm.family](got["mlp_in.1"]), got["mlp_act.1"])
    else:
        mlp = any_lm.network._places["mlp_in.1"].module
        torch.testing.assert_close(mlp(got["mlp_in.1"]), added)
    if any_lm.family in NORMED_OUTPUT:
        added = block.post_feedforward_layernorm(added)
    torch.testing.assert_close(added, got["mlp_out.1"])


def test_families_whose_mlp_reads_beside_attention_have_no_stream_between(families):
    assert {family for family, lm in families.items() if "resid_mid.0" not in lm.site_names()} == PARALLEL


def test_a_neox_that_runs_attention_and_mlp_one_after_the_other_has_a_stream_between(tmp_path):
    lm = changed_folder(tmp_path, "gpt_neox", use_parallel_residual=False)
    _, got = lm.capture_texts(TEXTS, ["resid_pre.1", "attn_out.1", "resid_mid.1"])
    torch.testing.assert_close(got["resid_pre.1"] + got["attn_out.1"], got["resid_mid.1"])


def test_the_opt_that_norms_the_stream_has_its_sites_behind_the_norms(tmp_path):
    path = random_lm_folder(tmp_path, "opt")
    stored = load_file(path / "model.safetensors")
    kept = {name: weight for name, weight in stored.items() if "decoder.final_layer_norm" not in name}
    save_file(kept, path / "model.safetensors", metadata={"format": "pt"})
    lm = changed_folder(tmp_path, "opt", path, do_layer_norm_before=False)
    tokens, got = lm.capture_texts(TEXTS, lm.site_names())
    block = lm.model.model.decoder.layers[1]
    assert "final_norm" not in got
    between = block.self_attn_layer_norm(got["resid_pre.1"] + got["attn_out.1"])
    torch.testing.assert_close(got["resid_mid.1"], between)
    torch.testing.assert_close(got["resid_post.1"], block.final_layer_norm(between + got["mlp_out.1"]))
    before = lm.logits(tokens.ids, tokens.mask)
    with lm.edited("resid_mid.1", torch.zeros_like):
        assert not torch.equal(lm.logits(tokens.ids, tokens.mask), before)


def changed_folder(tmp_path, family, path=None, **changes):
    path = path or random_lm_folder(tmp_path, family)
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | changes))
    return load(path)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_text_is_read_the_same_alone_and_padded_on_either_side(any_lm, side):
    sites = [f"resid_post.{any_lm.layers - 1}", "attn_out.0", "mlp_act.1"]
    tokens = any_lm.tokenize(TEXTS, side=side)
    together = any_lm.capture(tokens.ids, tokens.mask, sites)
    for number, text in enumerate(TEXTS):
        _, alone = any_lm.capture_texts([text], sites)
        for site in sites:
            torch.testing.assert_close(
                together[site][number, tokens.mask[number]], alone[site][0], rtol=1e-4, atol=1e-5
            )


def test_a_padding_token_that_the_text_spells_does_not_shift_positions(families):
    lm = families["roberta"]
    assert lm.tokenizer.pad_token_id == lm.model.config.pad_token_id
    spelt, plain = (lm.tokenize([f"a{mark} dog"]) for mark in ("<pad>", "<s>"))
    got, other = (lm.capture(text.ids, text.mask, ["out:roberta.embeddings"]) for text in (spelt, plain))
    differ = (got["out:roberta.embeddings"] != other["out:roberta.embeddings"]).any(-1)
    assert differ.sum() == 1  # the token itself; those behind it stand where they stood


def test_the_longest_text_of_each_family_fits(any_lm):
    if any_lm.family == "t5":  # only distances: nothing bounds it
        assert any_lm.context > 1 << 40
        return
    assert any_lm.context == CONTEXT
    around = len(any_lm.reader.prefix) + len(any_lm.reader.suffix)
    assert any_lm.room == CONTEXT - around
    ids, mask = any_lm.reader.pad([[5] * any_lm.room, [5]])
    assert ids.shape == (2, CONTEXT)
    assert any_lm.capture(ids, mask, ["resid_post.0"])["resid_post.0"].isfinite().all()


def test_widths_are_those_of_what_is_captured(any_lm):
    tokens, got = any_lm.capture_texts(TEXTS[:1], any_lm.site_names())
    widths = any_lm.widths(any_lm.site_names())
    assert widths == {site: found.shape[-1] for site, found in got.items()}
    assert widths["resid_post.0"] == any_lm.d and widths["mlp_act.0"] > any_lm.d
    assert widths.get("logits", VOCABULARY) == any_lm.vocabulary == VOCABULARY


def test_layers_can_be_counted_from_the_end(lm):
    tokens = lm.tokenize(TEXTS)
    got = lm.capture(tokens.ids, tokens.mask, ["resid_post.-1", "mlp_act.-3", "resid_post.2", "mlp_act.0"])
    assert torch.equal(got["resid_post.-1"], got["resid_post.2"])
    assert torch.equal(got["mlp_act.-3"], got["mlp_act.0"])
    with pytest.raises(UserError, match=r"no site 'resid_post\.-4'"):
        lm.check_sites(["resid_post.-4"])


def test_any_module_is_a_site_by_its_path(lm):
    tokens = lm.tokenize(TEXTS)
    sites = ["out:model.layers.1.mlp", "in:model.layers.1.mlp.down_proj", "out:lm_head", "out:model.layers.0"]
    got = lm.capture(tokens.ids, tokens.mask, [*sites, "mlp_out.1", "mlp_act.1", "logits", "resid_post.0"])
    for path, role in zip(sites, ("mlp_out.1", "mlp_act.1", "logits", "resid_post.0"), strict=True):
        assert torch.equal(got[path], got[role]), path
    assert lm.widths(sites[:2]) == {sites[0]: lm.d, sites[1]: 64}


def test_soft_capped_logits_are_captured_behind_the_cap(tmp_path):
    lm = changed_folder(tmp_path, "gemma2", final_logit_softcapping=0.5)
    tokens = lm.tokenize(TEXTS)
    got = lm.capture(tokens.ids, tokens.mask, ["logits", "out:lm_head"])
    assert got["logits"].abs().max() <= 0.5 < got["out:lm_head"].abs().max()
    assert torch.equal(got["logits"], lm.logits(tokens.ids, tokens.mask))
    with lm.edited("logits", torch.zeros_like):
        assert not lm.logits(tokens.ids, tokens.mask).any()


def test_half_precision_is_captured_as_it_is(tmp_path, lm):
    half = load(random_lm_folder(tmp_path), dtype="bfloat16")
    tokens = half.tokenize(TEXTS)
    got = half.capture(tokens.ids, tokens.mask, half.site_names(), ~tokens.special)
    exact = lm.capture(tokens.ids, tokens.mask, lm.site_names(), ~tokens.special)
    assert {rows.dtype for rows in got.values()} == {torch.bfloat16}
    for site, rows in got.items():
        torch.testing.assert_close(rows.float(), exact[site], rtol=0.1, atol=0.1 * float(exact[site].std()))


def test_nothing_above_the_highest_site_runs(lm):
    ran = []
    handles = [
        block.register_forward_hook(lambda *_, n=n: ran.append(n))
        for n, block in enumerate([*lm.model.model.layers, lm.model.lm_head])
    ]
    tokens = lm.tokenize(TEXTS)
    for sites in (["resid_post.1", "resid_pre.0"], ["embed"], ["final_norm"], ["logits"]):
        lm.capture(tokens.ids, tokens.mask, sites)
    for handle in handles:
        handle.remove()
    assert ran == [0, 1, *(0, 1, 2), *(0, 1, 2, 3)]


def hooks(lm):
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in lm.model.modules())


def test_a_pass_that_was_cut_short_leaves_no_hook_behind(any_lm):
    tokens = any_lm.tokenize(TEXTS)
    before, count = any_lm.capture(tokens.ids, tokens.mask, any_lm.site_names()), hooks(any_lm)
    any_lm.capture(tokens.ids, tokens.mask, ["mlp_act.0"])
    after = any_lm.capture(tokens.ids, tokens.mask, any_lm.site_names())
    assert all(torch.equal(before[site], after[site]) for site in before)
    assert hooks(any_lm) == count


def test_a_pass_that_failed_leaves_no_hook_behind(lm):
    tokens, count = lm.tokenize(TEXTS), hooks(lm)
    with pytest.raises(UserError, match="no row for every token"):
        lm.network.capture(["resid_post.1"], tokens.ids, keep=tokens.mask[:, 1:])
    with pytest.raises(ZeroDivisionError), lm.captured(["resid_post.1"]):
        raise ZeroDivisionError
    assert hooks(lm) == count


def test_a_capture_sees_its_own_pass_and_none_of_another_thread(lm):
    one, other, sites = lm.tokenize(TEXTS), lm.tokenize(TEXTS[:1]), ["resid_post.0", "resid_post.2"]
    expected, alone = lm.capture(one.ids, one.mask, sites), lm.logits(other.ids, other.mask)
    found = []

    def meanwhile(*_):
        handle.remove()
        thread = Thread(target=lambda: found.append(lm.logits(other.ids, other.mask)))
        thread.start()
        thread.join()

    handle = lm.model.model.layers[1].register_forward_pre_hook(meanwhile)
    got = lm.capture(one.ids, one.mask, sites)
    assert all(torch.equal(got[site], expected[site]) for site in sites)
    assert torch.equal(found[0], alone)


def test_inside_a_with_every_pass_fills_what_was_seen_anew(any_lm):
    several = [any_lm.tokenize(TEXTS), any_lm.tokenize(TEXTS[:2])]
    sites = ["resid_pre.0", "mlp_out.1", "resid_post.2"]
    with any_lm.captured(sites) as seen:
        for tokens in several:
            for model in (any_lm.model, any_lm.model.base_model):
                model(input_ids=tokens.ids, attention_mask=tokens.mask)
                expected = any_lm.capture(tokens.ids, tokens.mask, sites)
                assert list(seen) == sites
                assert all(torch.equal(seen[site], expected[site]) for site in sites)


def test_two_threads_may_capture_from_one_model_at_once(lm):
    batches = [lm.tokenize(TEXTS[:1]), lm.tokenize(TEXTS)]
    asked = [(tokens, site) for tokens in batches for site in ("resid_post.0", "resid_post.2")] * 8
    capture = lambda one: lm.capture(one[0].ids, one[0].mask, [one[1]])[one[1]]
    alone = [capture(one) for one in asked]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(capture, asked))
    assert all(torch.equal(*pair) for pair in zip(alone, together, strict=True))


def test_gradients_flow_through_what_was_captured_inside_a_with(lm):
    tokens, shift = lm.tokenize(TEXTS), torch.zeros(lm.d, requires_grad=True)
    with (
        lm.edited("resid_post.0", lambda x: x + shift),
        lm.captured(["resid_post.2"], tokens.mask) as seen,
    ):
        lm.model(input_ids=tokens.ids, attention_mask=tokens.mask)
    seen["resid_post.2"].square().sum().backward()
    assert shift.grad is not None and shift.grad.norm() > 0


def test_what_was_captured_is_a_copy(lm):
    tokens = lm.tokenize(TEXTS)
    expected = lm.capture(tokens.ids, tokens.mask, ["resid_post.0"])["resid_post.0"]
    with lm.captured(["resid_post.0"]) as seen, lm.edited("resid_pre.1", lambda x: x.zero_()):
        lm.logits(tokens.ids, tokens.mask)
    assert torch.equal(seen["resid_post.0"], expected)


def test_an_edit_changes_the_model_and_leaving_restores_it_bit_for_bit(any_lm):
    tokens = any_lm.tokenize(TEXTS)
    end = any_lm.site_names()[-1]

    def outcome():
        return any_lm.capture(tokens.ids, tokens.mask, [end])[end]

    before = outcome()
    for site in any_lm.site_names():
        if site.startswith("resid_mid") and any_lm.family not in NORMED:
            continue
        with any_lm.edited(site, lambda x: x + torch.linspace(-1, 1, x.shape[-1]).expand(*x.shape[:2], -1)):
            changed = outcome()
        assert (changed - before).abs()[tokens.mask].max() > 1e-4, site
        assert torch.equal(outcome(), before), site
        with any_lm.edited(site, lambda x: x.clone()):
            assert torch.equal(outcome(), before), site


def test_an_edit_is_given_texts_by_tokens_by_width_at_every_site(any_lm):
    tokens, shapes = any_lm.tokenize(TEXTS), {}

    def note(x):
        shapes[site] = x.shape
        return x

    widths = any_lm.widths(any_lm.site_names())
    for site in any_lm.site_names():
        if site.startswith("resid_mid") and any_lm.family not in NORMED:
            continue
        with any_lm.edited(site, note):
            any_lm.capture(tokens.ids, tokens.mask, [any_lm.site_names()[-1]])
        assert shapes[site] == (*tokens.ids.shape, widths[site]), site


def test_what_is_captured_under_an_edit_is_the_edited_activation(any_lm):
    tokens = any_lm.tokenize(TEXTS)
    for site in ("resid_post.0", "resid_pre.1", "attn_out.1", "mlp_act.1", "mlp_out.0"):
        plain = any_lm.capture(tokens.ids, tokens.mask, [site, "resid_post.2"])
        with any_lm.edited(site, torch.ones_like):
            got = any_lm.capture(tokens.ids, tokens.mask, [site, "resid_post.2"])
        assert (got[site] == 1).all()
        assert not torch.equal(got["resid_post.2"], plain["resid_post.2"])


def test_edits_nest_and_the_outer_one_comes_first(lm):
    tokens = lm.tokenize(TEXTS)
    plain = lm.capture(tokens.ids, tokens.mask, ["resid_post.0"])["resid_post.0"]
    with lm.edited("resid_post.0", lambda x: x + 1), lm.edited("resid_post.0", lambda x: 2 * x):
        both = lm.capture(tokens.ids, tokens.mask, ["resid_post.0"])["resid_post.0"]
    assert torch.equal(both, 2 * (plain + 1))


def test_an_error_inside_an_edit_still_restores_the_model(lm):
    tokens, count = lm.tokenize(TEXTS), hooks(lm)
    before = lm.logits(tokens.ids, tokens.mask)
    with pytest.raises(ZeroDivisionError), lm.edited("resid_post.0", lambda x: x * 2):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), lm.edited("resid_post.0", lambda x: x / (1 // 0)):
        lm.logits(tokens.ids, tokens.mask)
    assert torch.equal(lm.logits(tokens.ids, tokens.mask), before)
    assert hooks(lm) == count


def test_a_site_that_modules_only_read_is_refused_for_editing_with_its_twin(lm):
    with pytest.raises(UserError, match=r"attn_out\.1"), lm.edited("resid_mid.1", torch.zeros_like):
        pass


def test_an_unknown_site_is_answered_with_the_nearest(lm):
    with pytest.raises(
        UserError, match=r"no site 'resid_post\.9'; near it are resid_post(.|\n)*layers \.0 to \.2"
    ):
        lm.capture(*lm.tokenize(TEXTS)[:2], ["resid_post.9"])


def test_an_unknown_module_is_answered_with_the_nearest_and_the_tree(lm):
    with pytest.raises(
        UserError,
        match=r"no module 'model\.layers\.3\.mlp'(.|\n)*near it are(.|\n)*model\.layers\.0\.mlp: Llama",
    ):
        lm.check_sites(["out:model.layers.3.mlp"])


def test_modules_without_a_tensor_or_a_pass_are_named(lm):
    tokens = lm.tokenize(TEXTS)
    with pytest.raises(UserError, match=r"out:model\.rotary_emb has no row for every token"):
        lm.capture(tokens.ids, tokens.mask, ["out:model.rotary_emb"], tokens.mask)
    with pytest.raises(UserError, match=r"did not reach the site out:model\.layers: ModuleList"):
        lm.capture(tokens.ids, tokens.mask, ["out:model.layers"])
    with pytest.raises(UserError, match=r"in:model\.layers\.0\.self_attn\.o_proj\.x"):
        lm.check_sites(["in:model.layers.0.self_attn.o_proj.x"])


def test_loss_is_that_of_transformers_and_unknown_at_padding(any_lm):
    if not any_lm.causal:
        with pytest.raises(UserError, match="does not predict the next token"):
            any_lm.loss(*any_lm.tokenize(TEXTS)[:2])
        return
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


def test_an_encoder_without_a_head_has_no_logits(families):
    lm = families["t5"]
    for asked in (lambda: lm.logits(*lm.tokenize(TEXTS)[:2]), lambda: lm.unembedding):
        with pytest.raises(UserError, match="T5EncoderModel has no head over the vocabulary"):
            asked()
    with pytest.raises(UserError, match="no site 'logits'"):
        lm.check_sites(["logits"])
