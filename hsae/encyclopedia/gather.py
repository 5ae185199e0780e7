"""LM + contexts -> one vector per context and site: the mean activation over the concept's tokens."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hsae.contexts import Context
from hsae.errors import UserError
from hsae.lm import LM
from hsae.lm.batching import by_length


@final
class Gathered(NamedTuple):
    """Contexts that the model could read, their vectors in the same order, and those too long for it."""

    contexts: list[Context]
    vectors: dict[str, Float[Tensor, "context d"]]
    too_long: list[Context]


def gather(lm: LM, contexts: Sequence[Context], sites: Sequence[str], *, batch_tokens: int) -> Gathered:
    """x = 1/|span| sum over the span's tokens of the activation, float32 on the CPU.

    Contexts of like length share a pass. Raises `UserError` for a context whose span holds no token, or whose
    activation is no finite number.
    """
    room, widths = lm.room, lm.widths(sites)
    read = list(zip(contexts, lm.reader.pieces([context.text for context in contexts]), strict=True))
    fitting = [(context, piece) for context, piece in read if len(piece.ids) <= room]
    vectors = {site: torch.empty(len(fitting), widths[site]) for site in sites}
    around = len(lm.reader.prefix) + len(lm.reader.suffix)
    for batch in by_length([around + len(piece.ids) for _, piece in fitting], tokens=batch_tokens):
        chosen = [fitting[number][0] for number in batch]
        tokens = lm.reader.tokens([fitting[number][1] for number in batch])
        span = tokens.within([(context.start, context.end) for context in chosen])
        _check(span.any(1), chosen, "no token of the model stands in its span")
        for site, activations in lm.capture(tokens.ids, tokens.mask, sites).items():
            pooled = pool(activations.float(), span.to(activations.device)).cpu()
            _check(pooled.isfinite().all(1), chosen, f"its activation at {site} is not a finite number")
            vectors[site][batch] = pooled
    too_long = [context for context, piece in read if len(piece.ids) > room]
    return Gathered([context for context, _ in fitting], vectors, too_long)


def pool(
    activations: Float[Tensor, "batch token d"], span: Bool[Tensor, "batch token"]
) -> Float[Tensor, "batch d"]:
    """The mean over the tokens of each row's span; what stands elsewhere, padding too, does not enter."""
    inside = activations.masked_fill(~span[..., None], 0.0)
    return inside.sum(1) / span.sum(1, keepdim=True)


def in_blocks(contexts: Iterable[Context], rows: dict[str, int], *, block: int) -> Iterator[list[Context]]:
    """The contexts of concepts 0 to block-1, block to 2 block-1, ...: one list for every block, some maybe
    empty.

    Raises `UserError` where the maker does not go through the concepts in the taxonomy's order.
    """
    held: list[Context] = []
    number = 0
    for context in contexts:
        row = rows.get(context.concept)
        if row is None or row < number * block:
            raise UserError(
                f"the context {context.text!r} came out of order: its concept {context.concept} "
                + ("is not in the taxonomy." if row is None else "was passed already.")
            )
        while row >= (number + 1) * block:
            yield held
            held, number = [], number + 1
        held.append(context)
    while number * block < len(rows):
        yield held
        held, number = [], number + 1


def _check(fine: Bool[Tensor, " batch"], contexts: Sequence[Context], why: str) -> None:
    if not fine.all():
        context = contexts[int((~fine).nonzero()[0])]
        raise UserError(
            f"the context {context.text!r} of {context.concept} cannot be used: {why} "
            f"(characters {context.start} to {context.end}, template {context.template!r})."
        )
