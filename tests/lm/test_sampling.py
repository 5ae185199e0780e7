"""Continuations: the model's own distribution, and the same text whatever stands beside a prompt."""

import numpy as np
import pytest
import torch
from worlds import random_lm_folder

from hsae.errors import UserError
from hsae.lm.loading import load
from hsae.lm.sampling import drawn, sample
from hsae.lm.sampling import nucleus as fast_nucleus
from hsae.seeding import numpy_stream

PROMPTS = ["a dog is", "the", "she wrote about a dog, and he wrote about the sea and a", "what is music?", ""]
HOW = {"tokens": 12, "temperature": 0.8, "top_p": 0.95, "seed": 3}


@pytest.fixture(scope="module")
def tiny():
    return load("tiny")


@pytest.fixture(scope="module")
def together(tiny):
    return sample(tiny, PROMPTS, **HOW)


def test_a_continuation_is_the_same_whatever_stands_beside_its_prompt(tiny, together):
    assert [sample(tiny, [prompt], **HOW)[0] for prompt in PROMPTS] == together
    assert sample(tiny, PROMPTS[::-1], **HOW) == together[::-1]
    assert len({one.text for one in together}) == len(PROMPTS)


def test_torchs_own_random_state_plays_no_part_and_the_seed_does(tiny, together):
    torch.manual_seed(99)
    assert sample(tiny, PROMPTS, **HOW) == together
    assert sample(tiny, PROMPTS, **HOW | {"seed": 4}) != together


def test_the_side_on_which_the_tokenizer_pads_plays_no_part(tiny, together):
    assert tiny.tokenizer.padding_side == "right"
    tiny.tokenizer.padding_side = "left"
    try:
        assert sample(tiny, PROMPTS, **HOW) == together
    finally:
        tiny.tokenizer.padding_side = "right"


@pytest.mark.parametrize("family", ["gpt2", "llama", "mistral", "gemma3_text", "opt", "tiny"])
def test_temperature_0_is_transformers_own_greedy_search(family, families, tiny):
    lm = tiny if family == "tiny" else families[family]
    for prompt, found in zip(PROMPTS, sample(lm, PROMPTS, **HOW | {"temperature": 0.0}), strict=True):
        ids = torch.tensor([[*lm.reader.prefix, *lm.reader.ids([prompt])[0]]])
        out = lm.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, pad_token_id=0
        )
        text = lm.tokenizer.decode(out[0]).removeprefix(lm.tokenizer.decode(ids[0]))
        ending = lm.tokenizer.eos_token
        assert (found.text, found.stop) == (
            text.removesuffix(ending),
            "eos" if text.endswith(ending) else "length",
        )


def test_sampling_is_one_token_after_another_by_the_definition(tiny, together):
    for prompt, found in zip(PROMPTS, together, strict=True):
        ids, text = [*tiny.reader.prefix, *tiny.reader.ids([prompt])[0]], []
        for u in numpy_stream(HOW["seed"], f"sample {prompt}").random(HOW["tokens"]):
            row = torch.tensor([ids])
            chance = (tiny.logits(row, torch.ones_like(row, dtype=torch.bool))[0, -1] / 0.8).softmax(0)
            chance = nucleus(chance.double().numpy(), HOW["top_p"])
            ids.append(int(np.searchsorted(chance.cumsum(), u * chance.sum(), side="right")))
            if ids[-1] == tiny.tokenizer.eos_token_id:
                break
            text.append(ids[-1])
        assert found.tokens == len(text) and found.text == tiny.tokenizer.decode(text)


def nucleus(chance, top_p):
    """The slow twin: the likeliest one by one, until they have top_p together."""
    kept, total = np.zeros_like(chance), 0.0
    for token in np.argsort(-chance, kind="stable"):
        if total >= top_p:
            break
        kept[token] = chance[token]
        total += chance[token]
    return kept


def test_draws_have_the_distribution_and_leave_the_nucleus_never():
    scores = torch.log(torch.tensor([0.05, 0.5, 0.15, 0.3])).expand(20_000, 4)
    point = torch.from_numpy(numpy_stream(0, "test").random(20_000))
    found = torch.bincount(drawn(scores, point, top_p=1.0), minlength=4) / 20_000
    torch.testing.assert_close(found, torch.tensor([0.05, 0.5, 0.15, 0.3]), atol=0.015, rtol=0)
    found = torch.bincount(drawn(scores, point, top_p=0.9), minlength=4) / 20_000
    torch.testing.assert_close(found, torch.tensor([0, 0.5, 0.15, 0.3]) / 0.95, atol=0.015, rtol=0)
    assert set(drawn(scores, point, top_p=1e-9).tolist()) == {1}


def test_the_nucleus_is_that_of_a_stable_sort_ties_included():
    g = torch.Generator().manual_seed(0)
    sharp = torch.randn(64, 500, generator=g).mul(3).softmax(-1)
    tied = (torch.randint(0, 3, (64, 500), generator=g) + 1).float().log().softmax(-1)
    for chance in (sharp, tied):
        for top_p in (1e-9, 0.3, 0.95, 1.0):
            falling, order = chance.sort(dim=-1, descending=True, stable=True)
            obvious = torch.zeros_like(chance, dtype=torch.bool)
            obvious.scatter_(1, order, falling.cumsum(-1) - falling < top_p)
            assert torch.equal(fast_nucleus(chance, top_p=top_p), obvious)


def test_what_does_not_fit_into_the_context_says_so_and_shortens_nobody_else(tiny, together):
    long, full = "dog " * 60 + "dog dog", "dog " * 500
    both = sample(tiny, [*PROMPTS, long, full], **HOW | {"tokens": 12})
    assert both[: len(PROMPTS)] == together
    assert both[-1] == ("", 0, "context")
    near = "dog" + " dog" * (tiny.room - 5)
    assert len(tiny.reader.ids([near])[0]) == tiny.room - 4
    cut = sample(tiny, [near], **HOW | {"tokens": 50, "temperature": 5.0})[0]
    assert cut.tokens <= 4 and cut.stop in ("context", "eos")


def test_logits_that_are_no_numbers_end_the_text_and_say_so(tmp_path):
    lm = load(random_lm_folder(tmp_path))
    lm.model.get_output_embeddings().weight.fill_(float("nan"))
    assert sample(lm, ["a dog"], **HOW) == [("", 0, "not finite")]


def test_a_model_that_is_not_causal_cannot_write(families):
    with pytest.raises(UserError, match="Take a causal language model"):
        sample(families["bert"], ["a"], **HOW)


@pytest.mark.parametrize("wrong", [{"tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.5}])
def test_impossible_numbers_are_refused(tiny, wrong):
    with pytest.raises(ValueError, match="draw nothing"):
        sample(tiny, ["a"], **HOW | wrong)
