"""Small worlds for tests: random language models in Hugging Face folders, texts, concepts in contexts."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

SENTENCES = (
    "a dog is a kind of animal",
    "the old house stands near the river",
    "an oak is a tall tree with hard wood",
    "people use a hammer to drive a nail into wood",
    "the beagle and the hound are dogs that hunt",
    "water runs over the stones of the river bed",
)
"""What the tests' tokenizer was trained on, and what a tiny corpus can be made of."""

WIDTH, LAYERS, CONTEXT, VOCABULARY = 32, 3, 64, 420

FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": 4, "n_positions": CONTEXT},
    "gpt_neox": {},
    "llama": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2, "sliding_window": 8},
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 8},
    "gemma2": {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 8},
    "gemma3_text": {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 8},
    "phi": {},
    "phi3": {"num_key_value_heads": 2},
    "olmo": {"num_key_value_heads": 2},
    "olmo2": {"num_key_value_heads": 2},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": WIDTH},
    "bert": {},
    "roberta": {"max_position_embeddings": CONTEXT + 2},  # two of them are for padding
    "t5": {"d_model": WIDTH, "d_kv": 8, "d_ff": 64, "num_layers": LAYERS, "num_heads": 4},
}
"""The text models of the site table, each with what its configuration needs beyond the common widths."""

FRAMED = {"bert": ("<s>", "</s>"), "roberta": ("<s>", "</s>"), "t5": ("", "</s>")}
"""What the tokenizers of encoders put before and behind a text."""

COMMON = {
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
}


def random_lm_folder(folder: Path, family: str = "llama", *, seed: int = 0, bos: bool = True) -> Path:
    """A folder that the real loader reads: config.json, model.safetensors and tokenizer of a random model.

    Three layers of width 32, a context of 64 tokens and a byte-level BPE vocabulary of 420; `bos=False`
    leaves the tokenizer without any special token, as some models' are.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, T5EncoderModel

    shape = FAMILIES[family] if family in ("gpt2", "t5") else COMMON | FAMILIES[family]
    pad, eos = (1, 2) if family in FRAMED else (None, 0)
    specials = {"bos_token_id": 0, "eos_token_id": eos, "pad_token_id": pad}
    kinds = {"bert": AutoModelForMaskedLM.from_config, "roberta": AutoModelForMaskedLM.from_config}
    kind = (kinds | {"t5": T5EncoderModel}).get(family, AutoModelForCausalLM.from_config)
    config = AutoConfig.for_model(family, vocab_size=VOCABULARY, **shape, **specials)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind(config)
        for name, weight in model.named_parameters():
            # biases and norms start as 0 and 1; a site that skips one of them would go unseen
            weight.data = weight.data + 0.1 * torch.randn_like(weight) * (1 if "norm" in name else 0.5)
    path = folder / f"{family}-{seed}{'' if bos else '-bare'}"
    model.save_pretrained(path)
    (framed_tokenizer(*FRAMED[family]) if family in FRAMED else tokenizer(bos)).save_pretrained(path)
    return path


@cache
def tokenizer(bos: bool = True) -> Any:  # noqa: FBT001  a test helper with one switch
    """A byte-level BPE tokenizer, trained on the spot: GPT-2's kind, with `<|endoftext|>` as its one special
    token."""
    from transformers import PreTrainedTokenizerFast

    special = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"} if bos else {}
    return PreTrainedTokenizerFast(tokenizer_object=_trained(["<|endoftext|>"] if bos else []), **special)


@cache
def framed_tokenizer(prefix: str, suffix: str) -> Any:
    """One that itself puts a token before or behind every text: BERT's kind, or T5's with `""` as prefix."""
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    raw = _trained(["<s>", "<pad>", "</s>"])
    around = [token for token in (prefix, suffix) if token]
    raw.post_processor = TemplateProcessing(
        single=f"{prefix} $A {suffix}".strip(),
        special_tokens=[(token, raw.token_to_id(token)) for token in around],
    )
    bos = {"bos_token": prefix} if prefix else {}
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", pad_token="<pad>", **bos)


def _trained(special_tokens: list[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special_tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(SENTENCES, trainer)
    return raw


def sentences(count: int) -> Iterator[str]:
    """Texts of different lengths, no two alike."""
    for number in range(count):
        joined = ", and ".join(SENTENCES[(number + step) % len(SENTENCES)] for step in range(1 + number % 3))
        yield f"{number} times {joined}."


NOUNS = (
    "animal",
    "dog",
    "hound",
    "beagle",
    "tree",
    "oak",
    "house",
    "river",
    "hammer",
    "nail",
    "wood",
    "water",
    "stone",
)


def toy_taxonomy(count: int) -> Any:
    """`count` concepts in chains of three: each noun stands under the one before it, every third is a
    root."""
    from hsae.concepts import Concept, Taxonomy

    def concept(number: int) -> Any:
        name = NOUNS[number % len(NOUNS)] + ("" if number < len(NOUNS) else f" {number // len(NOUNS)}")
        parents = (f"toy:{number - 1}",) if number % 3 else ()
        return Concept(
            f"toy:{number}", name, f"gloss of {name}", parents=parents, depth=number % 3, lemmas=(name,)
        )

    return Taxonomy(map(concept, range(count)))


TEMPLATES = {
    "the {}": "fit",
    "a {} stands near": "fit",
    "what is a {}": "fit",
    "I like every {} here": "tune",
    "{} is": "test",
}


def toy_contexts(taxonomy: Any) -> Iterator[Any]:
    """Five contexts for every concept: three to fit, one to tune, one to test."""
    from hsae.contexts import Context

    for concept in taxonomy:
        for template, role in TEMPLATES.items():
            start = template.index("{}")
            yield Context(
                concept=concept.id,
                text=template.format(concept.name),
                start=start,
                end=start + len(concept.name),
                template=template,
                role=role,
                source="toy",
            )
