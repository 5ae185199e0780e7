"""Texts as the model reads them: ids in a rectangle, what is padding or special, where each token stood."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, final

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
    """True at padding, at the prefix that every text starts with, at a separator: no part of any concept."""
    offsets: Int[Tensor, "batch token 2"]
    """Characters [start, end) of the text; (0, 0) for what is not in it."""

    def within(self, spans: Sequence[tuple[int, int]]) -> Bool[Tensor, "batch token"]:
        """Which tokens share a character with the text's span [start, end)."""
        start, end = torch.tensor(spans, device=self.ids.device).reshape(-1, 2, 1).unbind(1)
        return (self.offsets[..., 0] < end) & (self.offsets[..., 1] > start) & ~self.special


@final
class Reader:
    """Turns texts into ids the same way for every job: one prefix, no suffix, no silent cut.

    The prefix is what the tokenizer itself puts first; where it puts nothing, its BOS, else its EOS token.
    The first token of a text draws attention from all others and has an activation far from every other's
    (the sink); with a prefix that token is none of the text's own.
    """

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        self.prefix = _prefix(tokenizer)
        # an unknown word is a word: its row stays
        self.special = frozenset(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
        fallbacks = (tokenizer.pad_token_id, tokenizer.eos_token_id)
        self._fill = next((id for id in fallbacks if id is not None), 0)

    def pieces(self, texts: Sequence[str]) -> list[Pieces]:
        """Each text's own tokens, however many, with their characters."""
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
        """Ids with the prefix before each row, and the mask of what is not padding."""
        wide = len(self.prefix) + max((len(row) for row in rows), default=0)
        ids, mask = torch.full((len(rows), wide), self._fill), torch.zeros(len(rows), wide, dtype=torch.bool)
        for number, row in enumerate(rows):
            full = [*self.prefix, *row]
            at = slice(0, len(full)) if side == "right" else slice(wide - len(full), wide)
            ids[number, at] = torch.tensor(full)
            mask[number, at] = True
        return ids, mask

    def tokens(self, pieces: Sequence[Pieces], *, side: Literal["left", "right"] = "right") -> Tokens:
        """A batch of texts that were cut into pieces before."""
        ids, mask = self.pad([piece.ids for piece in pieces], side=side)
        offsets = torch.zeros(*ids.shape, 2, dtype=torch.long)
        for number, piece in enumerate(pieces):
            last = int(mask[number].nonzero()[-1]) + 1
            if piece.offsets:
                offsets[number, last - len(piece.ids) : last] = torch.tensor(piece.offsets)
        return Tokens(ids, mask, self.is_special(ids) | ~mask | self._in_prefix(mask), offsets)

    def _in_prefix(self, mask: Bool[Tensor, "batch token"]) -> Bool[Tensor, "batch token"]:
        return mask & (mask.cumsum(1) <= len(self.prefix))


def _prefix(tokenizer: Any) -> list[int]:
    if not tokenizer.is_fast:
        raise UserError(
            f"the tokenizer {type(tokenizer).__name__} gives no character offsets (no tokenizer.json).\n"
            "Save it as a fast one first: AutoTokenizer.from_pretrained(path).save_pretrained(path)"
        )
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a")["input_ids"]
    first = next((at for at in range(len(full)) if full[at : at + len(bare)] == bare), 0)
    fallback = [id for id in (tokenizer.bos_token_id, tokenizer.eos_token_id) if id is not None][:1]
    return full[:first] or fallback
