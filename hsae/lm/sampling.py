"""Text that a causal language model writes behind prompts, each drawn from a random stream of its own.

torch's global state would make a continuation depend on what stands in the batch; here token t of a prompt is
the inverse distribution function of its t-th own number, so a batch can be formed by length, or formed anew
after an interruption, and the draw stays the same. (What remains is rounding: a pass over a wider rectangle
gives logits that differ in the last bits, which a draw on the very edge between two tokens can feel.)
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from hsae.errors import UserError
from hsae.lm.batching import by_length
from hsae.lm.model import LM
from hsae.seeding import numpy_stream

TOGETHER = 16_384
"""Tokens of one batch, prompts and continuations."""
SCORES = 2**24
"""Logits of one step of a batch: a vocabulary of 256,000 allows 65 rows."""

Stop = Literal["eos", "length", "context", "not finite"]


@final
class Sampled(NamedTuple):
    """One continuation, without its prompt and without the token that ended it."""

    text: str
    tokens: int
    stop: Stop
    """The model ended it (`eos`); it has all the tokens that were asked for (`length`) or that fit into the
    model's context (`context`); its logits were no numbers (`not finite`)."""


def sample(
    lm: LM, prompts: Sequence[str], *, tokens: int, temperature: float, top_p: float, seed: int
) -> list[Sampled]:
    """At most `tokens` tokens behind each prompt, in the prompts' order.

    Token by token from softmax(logits / temperature), cut to the likeliest tokens that together have the
    probability `top_p` (nucleus sampling: Holtzman et al. 2020); temperature 0 takes the likeliest token. The
    draw depends on the seed and the prompt alone: the same prompt twice gives the same text twice.

    A prompt that leaves no room in the model's context gets an empty text and the stop `context`. Raises
    `UserError` for a model that is not causal.
    """
    if not lm.causal:
        raise UserError(
            f"{type(lm.model).__name__} cannot write: it does not predict the next token.\n"
            "Take a causal language model for this."
        )
    if tokens < 1 or temperature < 0 or not 0 < top_p <= 1:
        raise ValueError(f"tokens={tokens}, temperature={temperature}, top_p={top_p} draw nothing")
    rows = [[*lm.reader.prefix, *ids] for ids in lm.reader.ids(prompts)]
    found = [Sampled("", 0, "context")] * len(rows)
    for some, steps in _batches(lm, [len(row) for row in rows], tokens):
        own = [numpy_stream(seed, f"sample {prompts[number]}").random(steps) for number in some]
        draw = Draw(torch.from_numpy(np.stack(own)), temperature=temperature, top_p=top_p)
        written = _write(lm, [rows[number] for number in some], draw)
        limit: Stop = "length" if steps == tokens else "context"
        for number, new, broken_at in zip(some, written, draw.broken_at, strict=True):
            found[number] = _read(lm, rows[number], new, broken_at, limit=limit)
    return found


def _batches(lm: LM, lengths: Sequence[int], tokens: int) -> Iterator[tuple[list[int], int]]:
    """Prompts of like length, and how many tokens fit behind every one of them.

    Those near the end of the context have fewer, and are apart: they must not shorten the others.
    """
    groups: dict[int, list[int]] = {}
    for number, length in enumerate(lengths):
        # without any token there is nothing to predict the next one from
        if (steps := min(tokens, lm.context - length)) > 0 and length > 0:
            groups.setdefault(steps, []).append(number)
    rows = max(1, SCORES // lm.vocabulary)
    for steps, group in groups.items():
        for batch in by_length([lengths[number] + steps for number in group], tokens=TOGETHER):
            for start in range(0, len(batch), rows):
                yield [group[place] for place in batch[start : start + rows]], steps


@final
class Draw(LogitsProcessor):
    """Leaves of each step's logits the token that is drawn, by each row's own uniform numbers [row step]."""

    def __init__(self, uniform: Float64[Tensor, "row step"], *, temperature: float, top_p: float):
        self.uniform, self.temperature, self.top_p = uniform, temperature, top_p
        self.step = 0
        self.broken_at = [sys.maxsize] * len(uniform)
        """The first step of each row whose logits were no numbers."""

    def __call__(  # transformers names the arguments
        self,
        input_ids: Int64[Tensor, "row token"],  # noqa: ARG002
        scores: Float[Tensor, "row vocabulary"],
    ) -> Float[Tensor, "row vocabulary"]:
        broken = ~(scores.amax(-1).isfinite())  # NaN wins every maximum; -inf only rules a token out
        for row in broken.nonzero().flatten().tolist():
            self.broken_at[row] = min(self.broken_at[row], self.step)
        scores = scores.masked_fill(broken[:, None], 0.0)
        if self.temperature > 0:
            token = drawn(scores / self.temperature, self.uniform[:, self.step], top_p=self.top_p)
        else:
            token = scores.argmax(-1)
        self.step += 1
        return torch.full_like(scores, -torch.inf).scatter_(1, token[:, None], 0.0)


def drawn(
    scores: Float[Tensor, "row vocabulary"], point: Float64[Tensor, " row"], *, top_p: float
) -> Int64[Tensor, " row"]:
    """The tokens at which the distribution function passes `point` in [0, 1), in the vocabulary's order.

    The distribution is softmax(scores) on the nucleus, the smallest set of the likeliest tokens that has at
    least the probability `top_p`, normalised.
    """
    chance = scores.softmax(-1)
    if top_p < 1:
        chance = chance * nucleus(chance, top_p=top_p)
    exact = torch.float32 if chance.device.type == "mps" else torch.float64  # which Apple's GPUs lack
    reached = chance.to(exact).cumsum(-1)
    goal = point.to(reached)[:, None] * reached[:, -1:]
    # the first token beyond the goal has a chance above 0; a goal rounded up to 1 must not lead past the last
    return torch.searchsorted(reached, goal, right=True).squeeze(1).clamp(max=scores.shape[1] - 1)


def nucleus(chance: Float[Tensor, "row vocabulary"], *, top_p: float) -> Bool[Tensor, "row vocabulary"]:
    """The likeliest tokens of each row, until those before have `top_p`; of equals, the earlier ones."""
    falling = _falling(chance)
    # a token is in where those before it have not reached top_p, so the likeliest always is
    n = (falling.cumsum(1) - falling < top_p).sum(1, keepdim=True)
    least = falling.gather(1, n - 1)
    above, equal = chance > least, chance == least
    return above | (equal & (equal.cumsum(1) <= n - above.sum(1, keepdim=True)))


def _falling(chance: Float[Tensor, "row vocabulary"]) -> Float[Tensor, "row vocabulary"]:
    """Each row's chances, the largest first."""
    if chance.device.type != "cpu":
        return chance.sort(dim=1, descending=True).values
    # on a CPU NumPy sorts a row some twenty times faster than torch, and sorting was most of the sampling
    return torch.from_numpy(np.sort(chance.numpy(), axis=1)).flip(1)


def _write(lm: LM, rows: Sequence[Sequence[int]], draw: Draw) -> list[list[int]]:
    """The new ids behind each row, the token that ended it (and what fills the rectangle) included."""
    wide = max(len(row) for row in rows)
    ids, mask = torch.full((len(rows), wide), _fill(lm)), torch.zeros(len(rows), wide, dtype=torch.long)
    for number, row in enumerate(rows):  # whatever side the tokenizer pads, prompts must end together
        ids[number, wide - len(row) :] = torch.tensor(row)
        mask[number, wide - len(row) :] = 1
    how = GenerationConfig(
        max_new_tokens=draw.uniform.shape[1],
        do_sample=False,  # `draw` leaves one token
        num_beams=1,
        repetition_penalty=1.0,  # many a checkpoint brings another, which is no part of its distribution
        eos_token_id=sorted(_ends(lm)) or None,
        pad_token_id=_fill(lm),
        use_cache=True,
    )
    out = lm.model.generate(
        ids.to(lm.device),
        attention_mask=mask.to(lm.device),
        generation_config=how,
        logits_processor=LogitsProcessorList([draw]),
    )
    return out[:, wide:].tolist()


def _read(lm: LM, prompt: Sequence[int], new: list[int], broken_at: int, *, limit: Stop) -> Sampled:
    """What was written up to its end, and why it ends."""
    ends = _ends(lm)
    end = next((place for place, id in enumerate(new) if id in ends), len(new))
    stop: Stop = "eos" if end < len(new) else limit
    if broken_at <= end and broken_at < len(new):
        end, stop = broken_at, "not finite"
    # read with its prompt, for many tokenizers drop the space before the first token that they are given
    before = lm.tokenizer.decode(prompt, clean_up_tokenization_spaces=False)
    whole = lm.tokenizer.decode([*prompt, *new[:end]], clean_up_tokenization_spaces=False)
    return Sampled(whole[len(before) :], end, stop)


def _ends(lm: LM) -> set[int]:
    """The tokens at which the model is done: its tokenizer's EOS, and a chat model's end of turn."""
    named = lm.model.generation_config.eos_token_id
    ends = named if isinstance(named, list) else [named]
    return {id for id in (*ends, lm.tokenizer.eos_token_id) if id is not None}


def _fill(lm: LM) -> int:
    return next(id for id in (lm.tokenizer.pad_token_id, lm.tokenizer.eos_token_id, 0) if id is not None)
