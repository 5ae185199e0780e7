"""LM + contexts -> one vector per context, site and pooling."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hsae.contexts import Context
from hsae.errors import UserError
from hsae.lm import LM, Tokens
from hsae.lm.batching import by_cost

Pooling = Literal["span", "last", "mean"]

KEPT: dict[Pooling, Callable[[Tokens, Bool[Tensor, "batch token"]], Bool[Tensor, "batch token"]]] = {
    "span": lambda tokens, span: span,  # noqa: ARG005
    "last": lambda tokens, span: span & (span.flip(1).cumsum(1).flip(1) == 1),  # noqa: ARG005
    "mean": lambda tokens, span: ~tokens.special,  # noqa: ARG005
}
"""The tokens whose mean is the vector: those of the concept's word, the last of these, all of the text. None
takes what the tokenizer puts around a text: BOS would weigh the more, the shorter the text."""


@final
class Gathered(NamedTuple):
    """Contexts that the model could read, their vectors in the same order, and those too long for it."""

    contexts: list[Context]
    vectors: dict[tuple[str, str], Float[np.ndarray, "context d"]]
    tokens: list[int]
    """How many of its own each context has."""
    too_long: list[Context]


def gather(
    lm: LM,
    contexts: Sequence[Context],
    sites: Sequence[str],
    *,
    batch_tokens: int,
    poolings: Sequence[Pooling] = ("span",),
) -> Gathered:
    """x = mean over the pooling's tokens of the activation, float32 on the CPU.

    Contexts of like length share a pass. Raises `UserError` for a context whose span holds no token, or whose
    activation is no finite number.
    """
    room, widths = lm.room, lm.widths(sites)
    read = list(zip(contexts, lm.reader.pieces([context.text for context in contexts]), strict=True))
    fitting = [(context, piece) for context, piece in read if len(piece.ids) <= room]
    vectors: dict[tuple[str, str], Tensor] = {
        (site, pooling): torch.empty(len(fitting), widths[site]) for site in sites for pooling in poolings
    }
    around = len(lm.reader.prefix) + len(lm.reader.suffix)
    for batch in by_cost([around + len(piece.ids) for _, piece in fitting], tokens=batch_tokens):
        chosen = [fitting[number][0] for number in batch]
        tokens = lm.reader.tokens([fitting[number][1] for number in batch])
        span = tokens.within([(context.start, context.end) for context in chosen])
        _check(span.any(1), chosen, "no token of the model stands in its span")
        kept = {pooling: KEPT[pooling](tokens, span) for pooling in poolings}
        every = torch.stack([*kept.values()]).any(0)
        for site, rows in lm.capture(tokens.ids, tokens.mask, sites, keep=every).items():
            for pooling, mask in kept.items():
                vectors[site, pooling][batch] = pool(rows.float(), mask, every).cpu()
    for (site, _), x in vectors.items():
        why = f"its activation at {site} is not a finite number"
        _check(x.isfinite().all(1), [context for context, _ in fitting], why)
    return Gathered(
        [context for context, _ in fitting],
        {key: x.numpy() for key, x in vectors.items()},
        [len(piece.ids) for _, piece in fitting],
        [context for context, piece in read if len(piece.ids) > room],
    )


def pool(
    rows: Float[Tensor, "row d"], mask: Bool[Tensor, "batch token"], kept: Bool[Tensor, "batch token"]
) -> Float[Tensor, "batch d"]:
    """The mean over the tokens of each text's mask; `rows` are those of all `kept` tokens, in row-major
    order, and the mask is part of them. The sum runs in the order of the tokens: it is always the same."""
    inside = rows[mask[kept].to(rows.device)]
    return torch.segment_reduce(inside, "mean", lengths=mask.sum(1).to(rows.device), axis=0)


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
