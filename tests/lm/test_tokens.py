"""Texts become ids the same way everywhere, and every token knows the characters it stands for."""

import pytest
import torch
from worlds import SENTENCES, random_lm_folder, sentences, tokenizer

from hsae.errors import UserError
from hsae.lm.batching import by_cost, by_length
from hsae.lm.loading import load
from hsae.lm.tokens import Reader


@pytest.mark.parametrize("side", ["left", "right"])
def test_offsets_give_back_the_text_of_every_token(lm, side):
    texts = list(sentences(3))
    tokens = lm.tokenize(texts, side=side)
    for text, ids, special, offsets in zip(texts, tokens.ids, tokens.special, tokens.offsets, strict=True):
        for id, (start, end) in zip(ids[~special].tolist(), offsets[~special].tolist(), strict=True):
            assert lm.tokenizer.decode([id]).strip() == text[start:end].strip()


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_span_holds_the_tokens_of_its_word_and_no_other(lm, side):
    text, word = "the beagle and the hound are dogs", "hound"
    start = text.index(word)
    tokens = lm.tokenize(["a dog", text], side=side)
    within = tokens.within([(2, 5), (start, start + len(word))])
    assert lm.tokenizer.decode(tokens.ids[1][within[1]]).strip() == word
    assert lm.tokenizer.decode(tokens.ids[0][within[0]]).strip() == "dog"


def test_a_span_leaves_out_what_touches_its_word(lm):
    text = 'say "hound", not dog'
    tokens = lm.tokenize([text])
    inside = tokens.ids[0][tokens.within([(5, 10)])[0]]
    assert lm.tokenizer.decode(inside) == "hound"


def test_prefix_and_padding_are_special_and_the_text_is_not(lm):
    tokens = lm.tokenize(["a dog", SENTENCES[1]])
    assert tokens.special[:, 0].all()
    assert torch.equal(tokens.special[:, 1:], ~tokens.mask[:, 1:])


def test_a_special_token_that_the_text_spells_is_special(lm):
    tokens = lm.tokenize(["a dog<|endoftext|> a dog"])
    assert tokens.special.sum() == 2
    assert not tokens.within([(0, 20)]).logical_and(tokens.special).any()


def test_an_unknown_word_is_no_special_token_unless_it_goes_by_the_name_of_one():
    made = tokenizer.__wrapped__()
    made.add_special_tokens({"unk_token": "<|endoftext|>"})  # as GPT-2, Pythia and OPT have it
    assert Reader(made).special == {0}
    made.add_special_tokens({"unk_token": "<unk>"})
    assert Reader(made).special == {0}


def test_every_text_starts_with_the_prefix_that_the_tokenizer_itself_puts_or_else_its_bos():
    from tokenizers.processors import TemplateProcessing

    assert Reader(tokenizer()).prefix == [0]
    own = tokenizer.__wrapped__()
    own.add_special_tokens({"cls_token": "<cls>"})
    id = own.convert_tokens_to_ids("<cls>")
    own.backend_tokenizer.post_processor = TemplateProcessing(
        single="<cls> $A", special_tokens=[("<cls>", id)]
    )
    assert Reader(own).prefix == [id]


@pytest.mark.parametrize(
    ("family", "prefix", "suffix"), [("bert", [0], [2]), ("t5", [], [2]), ("llama", [0], [])]
)
def test_what_the_tokenizer_puts_around_a_text_is_around_every_text_and_no_part_of_it(
    families, family, prefix, suffix
):
    lm, texts = families[family], list(sentences(3))
    assert (lm.reader.prefix, lm.reader.suffix) == (prefix, suffix)
    for side in ("left", "right"):
        tokens = lm.tokenize(texts, side=side)
        for text, ids, mask, special in zip(texts, tokens.ids, tokens.mask, tokens.special, strict=True):
            own = lm.reader.ids([text])[0]
            assert ids[mask].tolist() == [*prefix, *own, *suffix]
            assert ids[~special].tolist() == own
            if family != "llama":  # whose tokenizer puts nothing itself
                assert ids[mask].tolist() == lm.tokenizer(text)["input_ids"]


def test_a_cut_text_keeps_what_is_around_it(families):
    tokens = families["bert"].tokenize([" ".join(SENTENCES)], max_length=10)
    assert tokens.ids.shape == (1, 10)
    assert (int(tokens.ids[0, 0]), int(tokens.ids[0, -1])) == (0, 2)
    assert tokens.special[0].tolist() == [True] + [False] * 8 + [True]


def test_a_tokenizer_without_offsets_is_refused_with_how_to_get_one():
    class Slow:
        is_fast = False

    with pytest.raises(UserError, match=r"Slow gives no character offsets(.|\n)*save_pretrained"):
        Reader(Slow())


def test_a_tokenizer_that_hides_its_special_tokens_in_the_text_is_refused():
    class Mixed:
        is_fast, bos_token_id, eos_token_id = True, 0, 0

        def __call__(self, text, **options):
            return {"input_ids": [5] if options else [0, 6, 0]}

    with pytest.raises(UserError, match=r"Mixed reads the text 'a' as \[5\]"):
        Reader(Mixed())


def test_a_tokenizer_without_any_special_token_works(tmp_path):
    bare = load(str(random_lm_folder(tmp_path, bos=False)))
    assert bare.reader.prefix == []
    for side in ("left", "right"):
        tokens = bare.tokenize(["a dog", SENTENCES[1], ""], side=side)
        assert torch.equal(tokens.special, ~tokens.mask)
        assert not tokens.mask[2].any()
        got = bare.capture(tokens.ids[:2], tokens.mask[:2], ["resid_post.0"])
        assert got["resid_post.0"].isfinite().all()


def test_a_text_longer_than_the_context_is_refused_and_cut_only_on_demand(lm):
    long = " ".join(SENTENCES * 5)
    with pytest.raises(UserError, match="context of 63"):
        lm.tokenize([long])
    tokens = lm.tokenize([long, "a dog"], max_length=10)
    assert tokens.ids.shape == (2, 10)
    assert lm.tokenizer.decode(tokens.ids[0, 1:]) == long[: tokens.offsets[0, -1, 1]]


def test_an_empty_text_has_no_tokens_of_its_own(lm):
    tokens = lm.tokenize(["", "a dog"])
    assert tokens.special[0].all() and not tokens.special[1].all()


@pytest.mark.parametrize("tokens", [1, 10, 37, 1000])
def test_texts_of_like_length_go_together_and_each_goes_once(tokens):
    lengths = [3, 9, 1, 12, 9, 40, 2, 2, 7]
    batches = list(by_length(lengths, tokens=tokens))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    order = [lengths[index] for batch in batches for index in batch]
    assert order == sorted(lengths, reverse=True)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= tokens
    assert len(batches) == 1 or tokens < 1000


@pytest.mark.parametrize("tokens", [1, 10, 37, 1000])
def test_batches_by_cost_hold_each_text_once_and_no_more_tokens_than_they_may(tokens):
    lengths = [3, 9, 1, 12, 9, 40, 2, 2, 7]
    batches = list(by_cost(lengths, tokens=tokens))
    assert [lengths[index] for batch in batches for index in batch] == sorted(lengths, reverse=True)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= tokens
    assert list(by_cost([], tokens=tokens)) == []


@pytest.mark.parametrize("seed", range(5))
def test_no_other_cut_of_the_sorted_lengths_costs_less(seed):
    lengths = torch.randint(1, 30, (9,), generator=torch.Generator().manual_seed(seed)).tolist()
    falling, tokens = sorted(lengths, reverse=True), 64

    def cost(batches):
        return sum(len(batch) * max(batch) + tokens / 32 for batch in batches)

    def cuts(rest):
        if not rest:
            yield []
        for size in range(1, len(rest) + 1):
            if size == 1 or size * rest[0] <= tokens:
                yield from ([rest[:size], *after] for after in cuts(rest[size:]))

    found = cost([[lengths[index] for index in batch] for batch in by_cost(lengths, tokens=tokens)])
    assert found == min(cost(batches) for batches in cuts(falling))
