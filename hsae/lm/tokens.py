"""Texts as the model reads them: ids in a rectangle, what is padding or special, where each token stood."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hsae.errors import UserError


class Pieces(NamedTuple):
    """One text without special tokens: ids, and the characters [start, end) that each stands for."""

    ids: list[int]
    offsets: list[tuple[int, int]]


@final
class Tokens(NamedTuple):
    """A padded batch of texts."""

    ids: Int[Tensor, "batch token"]
    mask: Bool[Tensor, "batch token"]
    """False at padding."""
    special: Bool[Tensor, "batch token"]
    """True at padding, at the prefix and suffix around every text, at a separator: no part of any concept."""
    offsets: Int[Tensor, "batch token 2"]
    """Characters [start, end) of the text; (0, 0) for what is not in it."""

    def within(self, spans: Sequence[tuple[int, int]]) -> Bool[Tensor, "batch token"]:
        """Which tokens share a character with the text's span [start, end)."""
        start, end = torch.tensor(spans, device=self.ids.device).reshape(-1, 2, 1).unbind(1)
        return (self.offsets[..., 0] < end) & (self.offsets[..., 1] > start) & ~self.special


@final
class Reader:
    """Turns texts into ids the same way for every job: one prefix, one suffix, no silent cut.

    The prefix and the suffix are what the tokenizer itself puts first and last; where it puts nothing at all,
    the prefix is its BOS, else its EOS token. The first token of a text draws attention from all others and
    has an activation far from every other's (the sink); with a prefix that token is none of the text's own.
    """

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        self.prefix, self.suffix = _around(tokenizer)
        self.special = _special(tokenizer)
        fallbacks = (tokenizer.pad_token_id, tokenizer.eos_token_id)
        self._fill = next((id for id in fallbacks if id is not None), 0)

    def pieces(self, texts: Sequence[str]) -> list[Pieces]:
        """Each text's own tokens, however many, with their characters."""
        if not texts:  # which tokenizers do not take
            return []
        found = self.tokenizer(
            list(texts),
            add_special_tokens=False,
            return_attention_mask=False,
            return_offsets_mapping=True,
            verbose=False,
        )
        return [Pieces(*pair) for pair in zip(found["input_ids"], found["offset_mapping"], strict=True)]

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Each text's own tokens, however many."""
        return self.tokenizer(
            list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False
        )["input_ids"]

    def is_special(self, ids: Int[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
        """Which ids are special tokens, even where the text itself spells them."""
        return torch.isin(ids, torch.tensor(sorted(self.special), dtype=ids.dtype))

    def pad(
        self, rows: Sequence[Sequence[int]], *, side: Literal["left", "right"] = "right"
    ) -> tuple[Int[Tensor, "batch token"], Bool[Tensor, "batch token"]]:
        """Ids with prefix and suffix around each row, and the mask of what is not padding."""
        around = len(self.prefix) + len(self.suffix)
        full = [(*self.prefix, *row, *self.suffix) for row in rows]
        at = _places([len(row) for row in full], max(map(len, full), default=around), side=side)
        ids = torch.full(at.shape, self._fill)
        ids[at] = torch.from_numpy(np.fromiter(chain.from_iterable(full), np.int64))
        return ids, at

    def tokens(self, pieces: Sequence[Pieces], *, side: Literal["left", "right"] = "right") -> Tokens:
        """A batch of texts that were cut into pieces before."""
        ids, mask = self.pad([piece.ids for piece in pieces], side=side)
        own = _places(
            [len(piece.ids) for piece in pieces], ids.shape[1] - len(self.prefix + self.suffix), side=side
        )
        own = torch.nn.functional.pad(own, (len(self.prefix), len(self.suffix)))
        offsets = torch.zeros(*ids.shape, 2, dtype=torch.long)
        flat = np.fromiter(chain.from_iterable(chain.from_iterable(p.offsets for p in pieces)), np.int64)
        offsets[own] = torch.from_numpy(flat).view(-1, 2)
        return Tokens(ids, mask, self.is_special(ids) | ~own, offsets)


def _places(lengths: Sequence[int], wide: int, *, side: str) -> Bool[Tensor, "row token"]:
    """Which places of a rectangle rows of these lengths take."""
    length, column = torch.tensor(lengths, dtype=torch.long)[:, None], torch.arange(wide)
    return column < length if side == "right" else column >= wide - length


def _special(tokenizer: Any) -> frozenset[int]:
    """The ids that stand for no part of a text. An unknown word is a word, and no special token, but where
    the tokenizer knows all words it may name its BOS or EOS token as the unknown one (GPT-2, Pythia, OPT)."""
    around = {getattr(tokenizer, f"{role}_token_id", None) for role in ("bos", "eos", "cls", "sep")}
    return frozenset(tokenizer.all_special_ids) - ({tokenizer.unk_token_id} - around)


def _around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer puts before and behind a text."""
    if not tokenizer.is_fast:
        raise UserError(
            f"the tokenizer {type(tokenizer).__name__} gives no character offsets (no tokenizer.json).\n"
            "Save it as a fast one first: AutoTokenizer.from_pretrained(path).save_pretrained(path)"
        )
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a")["input_ids"]
    starts = (at for at in range(len(full)) if full[at : at + len(bare)] == bare)
    if (first := next(starts, None)) is None:
        raise UserError(
            f"the tokenizer {type(tokenizer).__name__} reads the text 'a' as {bare}, and with its special "
            f"tokens as {full}: it does not put them around the text.\n"
            "Mend the post_processor in its tokenizer.json."
        )
    prefix, suffix = full[:first], full[first + len(bare) :]
    fallback = [id for id in (tokenizer.bos_token_id, tokenizer.eos_token_id) if id is not None][:1]
    return prefix if prefix or suffix else fallback, suffix
