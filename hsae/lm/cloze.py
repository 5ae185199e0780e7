"""What a language model knows of the taxonomy: questions with known answers, and guesses that need no model.

Cloze: after "a beagle is a kind of", is a hypernym among the ten likeliest next words? A word may take
several tokens, so candidates are whole words, found best first:
P(word) = P(its tokens) * P(the next token starts another word).
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

WIDTH = 24  # candidates kept per length: at 48 instead, no score in a sample of 200 questions changed
LENGTH = 3  # tokens in the longest candidate word


class Question(NamedTuple):
    """`answers` are lower-case words, any of which counts as right."""

    prompt: str
    answers: frozenset[str]


class Vocabulary:
    """Which tokens start a word, and which go on with one."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast):
        words = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        self.starts = torch.tensor([word.startswith("Ġ") and word[1:].isalpha() for word in words])
        self.goes_on = torch.tensor([word.isalpha() and word.isascii() for word in words])


@torch.no_grad()
def _next(model: PreTrainedModel, ids: Int[Tensor, "text token"]) -> Float[Tensor, "text vocabulary"]:
    return model(ids, logits_to_keep=1).logits[:, -1].float().log_softmax(-1)


def likeliest_words(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompt: str,
    *,
    count: int,
    vocabulary: Vocabulary,
) -> list[str]:
    """The `count` likeliest next words, likeliest first, lower-case."""
    ids = torch.tensor([tokenizer(prompt)["input_ids"]])
    first = _next(model, ids)[0].masked_fill(~vocabulary.starts, -torch.inf).topk(WIDTH)
    beam, scores = first.indices[:, None], first.values
    found: dict[str, float] = {}
    for length in range(1, LENGTH + 1):
        ahead = _next(model, torch.cat([ids.expand(len(beam), -1), beam], 1))
        goes_on = ahead.masked_fill(~vocabulary.goes_on, -torch.inf)
        ends = torch.log1p(-goes_on.logsumexp(-1).exp().clamp(max=1 - 1e-6))
        for row, score in zip(beam, (scores + ends).tolist(), strict=True):
            word = str(tokenizer.decode(row)).strip().lower()
            found[word] = max(score, found.get(word, -torch.inf))
        if length == LENGTH:
            break
        best = (scores[:, None] + goes_on).flatten().topk(WIDTH)
        row, token = best.indices // goes_on.shape[1], best.indices % goes_on.shape[1]
        beam, scores = torch.cat([beam[row], token[:, None]], 1), best.values
    return sorted(found, key=found.__getitem__, reverse=True)[:count]


def cloze(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    questions: Sequence[Question],
    *,
    among: int = 10,
) -> list[bool]:
    """For every question, whether an answer is among the likeliest next words."""
    vocabulary = Vocabulary(tokenizer)
    model.eval()
    return [
        bool(
            question.answers
            & set(likeliest_words(model, tokenizer, question.prompt, count=among, vocabulary=vocabulary))
        )
        for question in questions
    ]


def constant_guess(
    stated: Sequence[frozenset[str]], questions: Sequence[Question], *, among: int = 10
) -> list[bool]:
    """The same score for answering every question with the commonest answers among what was stated."""
    counts = Counter(word for answers in stated for word in answers)
    guess = {word for word, _ in counts.most_common(among)}
    return [bool(question.answers & guess) for question in questions]


def neighbours_share(
    vectors: Float[Tensor, "word d"], parents: Sequence[int], *, nearest: int = 5
) -> tuple[list[float], float]:
    """Per word, the share of its nearest other words (cosine, mean removed) that have its parent; and the
    chance of it.

    The chance is what random neighbours would give: the mean over words of (same-parent words) / (other
    words).
    """
    centred = vectors - vectors.mean(0)
    unit = centred / centred.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    likeness = (unit @ unit.T).fill_diagonal_(-torch.inf)
    parent = torch.tensor(list(parents))
    same = parent[:, None] == parent[None, :]
    near = likeness.topk(nearest, dim=-1).indices
    share = same.gather(1, near).float().mean(1)
    chance = (same.float().sum(1) - 1) / (len(parent) - 1)
    return share.tolist(), float(chance.mean())


SENTENCES = (
    "{}",
    "I saw {} yesterday.",
    "the {} is here.",
    "what is {}?",
    "this is about {}.",
    "she said that {} was there.",
    "an example of {}.",
    "they talked of {} and of nothing else.",
)


@torch.no_grad()
def mean_vectors(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, words: Sequence[str], *, layer: int
) -> Float[Tensor, "word d"]:
    """A word's activation after `layer` blocks: mean over its tokens, then over eight plain sentences."""
    model.eval()
    vectors = []
    for word in words:
        texts = tokenizer(
            [sentence.format(word) for sentence in SENTENCES],
            padding=True,
            return_tensors="pt",
            return_offsets_mapping=True,
        )
        starts = torch.tensor([sentence.index("{}") for sentence in SENTENCES])[:, None]
        begin, end = texts["offset_mapping"].unbind(-1)
        inside = (end > starts) & (begin < starts + len(word)) & (end > begin)
        hidden = model.base_model(
            input_ids=texts["input_ids"], attention_mask=texts["attention_mask"], output_hidden_states=True
        ).hidden_states[layer]
        pooled = (hidden * inside[..., None]).sum(1) / inside.sum(1, keepdim=True)
        vectors.append(pooled.mean(0))
    return torch.stack(vectors)
