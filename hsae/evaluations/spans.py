"""What the LM holds of a concept at the place where its word ends."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from hsae.contexts import Context
from hsae.errors import UserError
from hsae.lm import LM
from hsae.lm.batching import by_length


def word_ends(lm: LM, contexts: Sequence[Context]) -> list[list[int]]:
    """The ids of each context up to the last token of its concept's span, without the prefix.

    Nothing behind that token can reach it in a causal LM, so nothing behind it need be read. Raises
    `UserError` for a span without a token, and for a context that is too long for the LM.
    """
    room = lm.room
    found = []
    for context, piece in zip(contexts, lm.reader.pieces([c.text for c in contexts]), strict=True):
        inside = [
            at for at, (start, end) in enumerate(piece.offsets) if start < context.end and end > context.start
        ]
        if not inside or inside[-1] >= room:
            why = "has no token" if not inside else f"ends behind the {room} tokens that the LM can read"
            raise UserError(
                f"the word of {context.concept} in {context.text[:60]!r} {why}.\n"
                "Leave out the template or the concept that made it."
            )
        found.append(piece.ids[: inside[-1] + 1])
    return found


_captured: dict[tuple[object, ...], Tensor] = {}


def capture_words(
    lm: LM, site: str, contexts: Sequence[Context], *, tokens: int
) -> Float[Tensor, "context d"]:
    """The activation at the last token of each context's concept, float32, on the LM's device.

    `tokens` is the most that go through the LM at once. The last result is kept: the many SAEs of one site
    that a pipeline judges one after the other share the contexts, and with them the longest pass of an
    evaluation.
    """
    key = (lm.fingerprint, lm.device, lm.model.dtype, site, tuple(contexts), tokens)
    if key not in _captured:
        found = _capture(lm, site, contexts, tokens)
        _captured.clear()
        _captured[key] = found
    return _captured[key]


@torch.no_grad()
def _capture(lm: LM, site: str, contexts: Sequence[Context], tokens: int) -> Float[Tensor, "context d"]:
    rows = word_ends(lm, contexts)
    prefix = len(lm.reader.prefix)
    found = torch.empty(len(rows), lm.widths([site])[site], device=lm.device)
    for batch in by_length([prefix + len(ids) for ids in rows], tokens=tokens):
        ids, mask = lm.reader.pad([rows[at] for at in batch])
        last = torch.zeros_like(mask)
        last[torch.arange(len(batch)), [prefix + len(rows[at]) - 1 for at in batch]] = True
        found[torch.tensor(batch, device=lm.device)] = lm.capture(ids, mask, [site], last)[site].float()
    return found
