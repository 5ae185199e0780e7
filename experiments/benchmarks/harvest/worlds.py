"""What everybody is measured on: the same models, the same texts, the same context."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple, final

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from hsae.activations.harvest import Reading
from hsae.activations.windows import chunks
from hsae.corpora import Document, builtin
from hsae.lm import LM, load
from hsae.lm.batching import by_length
from hsae.model_facts import ModelFacts
from hsae.seeding import numpy_stream

CONTEXT = 128

SHAPES: dict[str, dict[str, Any]] = {
    "gpt2-small": {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12},
    "gemma-2-2b": {
        "model_type": "gemma2",
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "vocab_size": 256_000,
    },
    "gemma-3-270m": {
        "model_type": "gemma3_text",
        "hidden_size": 640,
        "intermediate_size": 2048,
        "num_hidden_layers": 18,
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "head_dim": 256,
        "vocab_size": 262_144,
    },
    "toy": {"model_type": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 6}
    | {"num_attention_heads": 4, "vocab_size": 8192},
}
"""Models of random weights: how fast a model is follows from its shape."""


class Batch(NamedTuple):
    """One forward pass: ids and mask [batch token], and which tokens give rows."""

    ids: Tensor
    mask: Tensor
    keep: Tensor
    rows: int


@final
@dataclass(frozen=True)
class World:
    """A model and how it is read. `rows` are measured at once, or wait in a pool: some seconds of work."""

    name: str
    lm: LM
    rows: int
    batch_tokens: int

    def of(self, rows: int) -> "World":
        """The same model, more rows at once."""
        return replace(self, rows=rows)

    @property
    def facts(self) -> ModelFacts:
        """The shape as the model's configuration tells it."""
        found = ModelFacts.of(self.lm.model.config.to_dict())
        assert found is not None
        return found

    def layers(self, count: int) -> list[str]:
        """The residual stream behind `count` layers, spread evenly, the last one among them."""
        deep = self.lm.layers
        return [f"resid_post.{deep * number // count - 1}" for number in range(1, count + 1)]

    @property
    def middle(self) -> str:
        """The one site that SAEs are most often trained at."""
        return f"resid_post.{(self.lm.layers - 1) // 2}"

    def several(self, count: int) -> list[str]:
        """As many sites as are asked for: layers while there are enough, else what they are the sum of,
        too."""
        if count <= self.lm.layers:
            return self.layers(count)
        roles = ("attn_out", "mlp_out", "resid_post")
        every = [f"{role}.{layer}" for layer in range(self.lm.layers) for role in roles]
        return every[-count:]

    def reading(self, *sites: str, dtype: str = "float16", tokens: int | None = None) -> Reading:
        """How the corpus is read for these sites."""
        return Reading(
            sites=sites, context=CONTEXT, tokens=tokens, dtype=dtype, batch_tokens=self.batch_tokens
        )

    @cache  # noqa: B019  worlds live as long as the run
    def batches(self, rows: int) -> list[Batch]:
        """The forward passes that a harvest of so many rows makes."""
        reading = self.reading(self.middle, tokens=rows)
        chunk = next(chunks(reading.windows(self.lm, documents()), rows=rows, most=rows))
        found = []
        for numbers in by_length([len(window.ids) for window in chunk.windows], tokens=self.batch_tokens):
            ids, mask = self.lm.reader.pad([chunk.windows[number].ids.tolist() for number in numbers])
            keep = mask & ~self.lm.reader.is_special(ids)
            there = [part.to(self.lm.device) for part in (ids, mask, keep)]
            found.append(Batch(there[0], there[1], there[2], int(keep.sum())))
        return found


def tiny(*, rows: int, device: str = "cpu") -> World:
    """The trained model inside the package."""
    return World("tiny", load("tiny", device=device), rows, 8192)


def random(shape: str, *, rows: int, batch_tokens: int, device: str = "cpu", dtype: str = "float32") -> World:
    """A model of the shape with random weights, and the tokenizer of the model inside the package."""
    said: Mapping[str, Any] = SHAPES[shape]
    special = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
    config = AutoConfig.for_model(**said, **special)
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    return World(shape, LM(model, load("tiny").tokenizer, fingerprint=f"random {shape}"), rows, batch_tokens)


@cache
def texts() -> tuple[str, ...]:
    """A million tokens of text in documents as long as those of the web: lognormal, median 245 words."""
    settings = builtin.Settings(name="builtin", tokens=1)  # only a job looks at how many tokens it wants
    said = (document.text for document in builtin.documents(settings, seed=0) if hasattr(document, "text"))
    words = " ".join(said).split(" ")
    draw = numpy_stream(0, "lengths of the benchmark's documents")
    found, start = [], 0
    while start < len(words):
        length = max(1, int(draw.lognormal(5.5, 1.0)))
        found.append(" ".join(words[start : start + length]))
        start += length
    return tuple(found)


def documents() -> Iterator[Document]:
    """The texts as a corpus of nine million tokens: each of them eight times."""
    return (
        Document(f"document {copy}.{number}", text)
        for copy in range(8)
        for number, text in enumerate(texts())
    )
