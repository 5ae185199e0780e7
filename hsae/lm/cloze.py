"""What a language model knows of the taxonomy: questions with known answers, and guesses that need no model.

Cloze: after "a beagle is a kind of", is a hypernym among the ten likeliest next words? A word may take
several tokens, so candidates are whole words, found best first:
P(word) = P(its tokens) * P(the next token starts another word).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

WIDTH = 24  # candidates kept per length: at 48 instead, no score in a sample of 200 questions changed
LENGTH = 3  # tokens in the longest candidate word
TOGETHER = 32  # prompts, or words, in one forward pass


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
    (found,) = _next_words(model, tokenizer, ids, vocabulary)
    return _best(found, count)


def _best(found: dict[str, float], count: int) -> list[str]:
    return sorted(found, key=found.__getitem__, reverse=True)[:count]


def _next_words(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Int[Tensor, "prompt token"],
    vocabulary: Vocabulary,
) -> list[dict[str, float]]:
    """For every prompt, words that may come next and log P(word): those that a beam search meets."""
    ids, starts = prompts.to(model.device), vocabulary.starts.to(model.device)
    later = vocabulary.goes_on.to(model.device)
    first = _next(model, ids).masked_fill(~starts, -torch.inf).topk(WIDTH)
    beams, scores = first.indices[..., None], first.values
    found: list[dict[str, float]] = [{} for _ in prompts]
    for length in range(1, LENGTH + 1):
        texts = torch.cat([ids[:, None].expand(-1, WIDTH, -1), beams], -1)
        goes_on = _next(model, texts.flatten(0, 1)).masked_fill(~later, -torch.inf).unflatten(0, scores.shape)
        ends = torch.log1p(-goes_on.logsumexp(-1).exp().clamp(max=1 - 1e-6))
        for words, tokens, of in zip(found, beams.tolist(), (scores + ends).tolist(), strict=True):
            for word, score in zip(map(tokenizer.decode, tokens), of, strict=True):
                word = str(word).strip().lower()
                words[word] = max(score, words.get(word, -torch.inf))
        if length < LENGTH:
            best = (scores[..., None] + goes_on).flatten(1).topk(WIDTH)
            row, token = best.indices // goes_on.shape[-1], best.indices % goes_on.shape[-1]
            kept = beams.gather(1, row[..., None].expand(-1, -1, length))
            beams, scores = torch.cat([kept, token[..., None]], -1), best.values
    return found


def cloze(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    questions: Sequence[Question],
    *,
    among: int = 10,
) -> list[bool]:
    """For every question, whether an answer is among the likeliest next words.

    Prompts of as many tokens are read together, so that none is padded.
    """
    vocabulary = Vocabulary(tokenizer)
    model.eval()
    prompts = [tokenizer(question.prompt)["input_ids"] for question in questions]
    by_length: dict[int, list[int]] = defaultdict(list)
    for number, ids in enumerate(prompts):
        by_length[len(ids)].append(number)
    right = [False] * len(questions)
    for alike in by_length.values():
        for start in range(0, len(alike), TOGETHER):
            numbers = alike[start : start + TOGETHER]
            ids = torch.tensor([prompts[number] for number in numbers])
            words = _next_words(model, tokenizer, ids, vocabulary)
            for number, found in zip(numbers, words, strict=True):
                right[number] = not questions[number].answers.isdisjoint(_best(found, among))
    return right


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
    starts = torch.tensor([sentence.index("{}") for sentence in SENTENCES])
    vectors = []
    for first in range(0, len(words), TOGETHER):
        some = words[first : first + TOGETHER]
        texts = tokenizer(
            [sentence.format(word) for word in some for sentence in SENTENCES],
            padding=True,
            return_tensors="pt",
            return_offsets_mapping=True,
        )
        start = starts.repeat(len(some))[:, None]
        stop = start + torch.tensor([len(word) for word in some]).repeat_interleave(len(SENTENCES))[:, None]
        begin, end = texts.pop("offset_mapping").unbind(-1)
        inside = ((end > start) & (begin < stop) & (end > begin)).to(model.device)
        read = texts.to(model.device)
        hidden = model.base_model(
            input_ids=read["input_ids"], attention_mask=read["attention_mask"], output_hidden_states=True
        ).hidden_states[layer]
        pooled = (hidden * inside[..., None]).sum(1) / inside.sum(1, keepdim=True)
        vectors.append(pooled.unflatten(0, (len(some), len(SENTENCES))).mean(1).cpu())
    return torch.cat(vectors)
