"""Trains a small causal LM from nothing: its tokenizer, its weights, and the questions it is asked
afterwards.

The architecture is Llama's as transformers has it, so that what comes out is an ordinary model folder.
Matrices inside the blocks are trained with Muon (Jordan 2024; in PyTorch since 2.9), everything else with
AdamW: on this text and size Muon reaches a given held-out loss in fewer tokens. The learning rate warms up
and then falls linearly to zero.

Everything is computed where the model's parameters are. They and the optimisers' moments are float32 whatever
the forward pass is computed in, and so is what is measured on held-out text. A CPU gives the same bits every
time; a GPU adds the gradients of the embeddings in no fixed order, so two runs on it differ by rounding.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from hsae.journal import whole
from hsae.seeding import numpy_stream, stream

BOS, PAD = "<|bos|>", "<|pad|>"
CHECKPOINT = "checkpoint.pt"


def train_tokenizer(texts: Iterable[str], *, vocabulary: int, context: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer (Sennrich et al. 2016): no text is out of its vocabulary.

    A word has the same tokens at the start of a text as inside it, and every text starts with BOS.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[BOS, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=True),
            processors.TemplateProcessing(
                single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
            ),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=BOS, pad_token=PAD, model_max_length=context
    )


def new_model(
    *,
    vocabulary: int,
    d: int,
    layers: int,
    heads: int,
    mlp: int,
    context: int,
    seed: int,
    device: str = "cpu",
) -> LlamaForCausalLM:
    """A Llama-shaped model with tied embeddings and random weights, the same ones on every device."""
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=d,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, "lm weights").initial_seed())
        model: Any = LlamaForCausalLM(config)  # transformers hides the type of its `to`
    return model.to(device)


class Tokenised(NamedTuple):
    """Documents end to end: document i is `ids[starts[i] : starts[i + 1]]`, BOS first."""

    ids: np.ndarray
    starts: np.ndarray

    def shuffled(self, *, seed: int, purpose: str) -> np.ndarray:
        """All ids with the documents in another order."""
        order = numpy_stream(seed, purpose).permutation(len(self.starts) - 1)
        lengths = np.diff(self.starts)[order]
        into = np.concatenate([[0], np.cumsum(lengths)])
        gather = (
            np.arange(into[-1]) - np.repeat(into[:-1], lengths) + np.repeat(self.starts[:-1][order], lengths)
        )
        return self.ids[gather]


def tokenise(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> Tokenised:
    """All texts as one row of ids."""
    tokenizer.backend_tokenizer.no_padding()  # a padded call leaves it on, here and in what is saved
    encoded = tokenizer.backend_tokenizer.encode_batch(texts)
    lengths = np.array([len(text.ids) for text in encoded], dtype=np.int64)
    ids = np.concatenate([np.asarray(text.ids, dtype=np.int32) for text in encoded])
    return Tokenised(ids, np.concatenate([[0], np.cumsum(lengths)]))


def windows(
    tokens: Tokenised, *, context: int, batch: int, seed: int, skip: int
) -> Iterator[Int[Tensor, "batch window"]]:
    """Batches of windows of `context + 1` ids for ever: every epoch shuffles the documents anew.

    `skip` batches are passed over, without reading them: where a resumed run goes on.
    """
    step = 0
    epoch = 0
    while True:
        ids = tokens.shuffled(seed=seed, purpose=f"pretraining order, epoch {epoch}")
        count = (len(ids) - 1) // context
        rows = np.lib.stride_tricks.sliding_window_view(ids, context + 1)[::context][:count]
        for start in range(0, count - batch + 1, batch):
            if step >= skip:
                yield torch.from_numpy(rows[start : start + batch].astype(np.int64))
            step += 1
        epoch += 1


def next_token_loss(model: LlamaForCausalLM, ids: Int[Tensor, "batch window"]) -> Tensor:
    """Mean negative log likelihood of every id but the first, in nats."""
    logits = model(ids[:, :-1]).logits
    return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


@torch.no_grad()
def held_out_loss(
    model: LlamaForCausalLM, tokens: Tokenised, *, context: int, batch: int, limit: int
) -> float:
    """Mean negative log likelihood in nats over the first `limit` tokens, in windows of `context`."""
    ids = tokens.ids[: limit + 1]
    count = (len(ids) - 1) // context
    rows = np.lib.stride_tricks.sliding_window_view(ids, context + 1)[::context][:count]
    total = 0.0
    model.eval()
    for start in range(0, count, batch):
        part = torch.from_numpy(rows[start : start + batch].astype(np.int64)).to(model.device)
        total += float(next_token_loss(model, part)) * len(part)
    model.train()
    return total / count


class Optimiser:
    """Muon for the matrices of the blocks, AdamW for embeddings and norms, one schedule for both.

    lr(t) = peak * min(t / warm-up, 1 - t / steps), per optimiser.
    """

    def __init__(self, model: LlamaForCausalLM, *, lr: float, weight_decay: float = 0.01, steps: int):
        inside = [p for name, p in model.named_parameters() if p.ndim == 2 and ".layers." in name]
        known = {id(p) for p in inside}
        rest = [p for p in model.parameters() if id(p) not in known]
        # match_rms_adamw gives both optimisers updates of one size, so that one peak serves both (Liu et
        # al. 2025)
        self.parts = [
            torch.optim.Muon(inside, lr, weight_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(rest, lr, weight_decay=weight_decay, betas=(0.9, 0.95), fused=True),
        ]
        self.lr, self.steps, self.warm_up = lr, steps, max(1, min(200, steps // 10))

    def step(self, number: int) -> None:
        """One update; `number` counts from 0 and decides the learning rate."""
        lr = self.lr * min((number + 1) / self.warm_up, 1 - number / self.steps)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = lr
            part.step()
            part.zero_grad(set_to_none=True)


class Step(NamedTuple):
    number: int
    tokens: int
    loss: Float[Tensor, ""]
    """On the model's device: to read it is to wait for the GPU."""


def fit(
    model: LlamaForCausalLM,
    batches: Iterable[Int[Tensor, "batch window"]],
    optimiser: Optimiser,
    *,
    start: int,
    clip: float,
    dtype: torch.dtype = torch.float32,
) -> Iterator[Step]:
    """The training loop, from step `start` to the optimiser's last; whoever drives it logs, saves and
    stops.

    With `dtype=bfloat16` the forward pass runs under autocast: its matrix products are in bfloat16.
    """
    model.train()
    for number, ids in zip(range(start, optimiser.steps), batches, strict=False):
        with torch.autocast(model.device.type, dtype=dtype, enabled=dtype != torch.float32):
            loss = next_token_loss(model, ids.to(model.device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimiser.step(number)
        yield Step(number + 1, (number + 1) * ids.shape[0] * (ids.shape[1] - 1), loss.detach())


def save_checkpoint(folder: Path, model: LlamaForCausalLM, optimiser: Optimiser, *, step: int) -> None:
    """Everything that the next step depends on, in one file, at once or not at all."""
    moments = [part.state_dict() for part in optimiser.parts]
    with whole(folder / CHECKPOINT) as draft:
        torch.save({"step": step, "model": model.state_dict(), "optimiser": moments}, draft)


def load_checkpoint(folder: Path, model: LlamaForCausalLM, optimiser: Optimiser) -> int:
    """Restores the last checkpoint in place and says how many steps it had made; 0 where there is none.

    A run that began on a GPU may go on without one, and the other way round.
    """
    if not (file := folder / CHECKPOINT).is_file():
        return 0
    state = torch.load(file, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    for part, saved in zip(optimiser.parts, state["optimiser"], strict=True):
        part.load_state_dict(saved)
    return int(state["step"])
