"""Concept vectors from the unembedding: what the words of a concept share in the rows that score them.

With rows g (one per token), centred, S = cov(g) and g_c the mean over the single-token words of c and of all
below it:

    read_c = g_c;   write_c = S^-1 g_c;   metric = S

A logit is x . g, so g_c reads c from an activation x; S^-1 g_c is the direction that moves that reading with
the least change of all others. Source: Park et al. 2024, arXiv:2406.01506, sections 3 and 4. Only directions
are known in the space of activations, so there is no center.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from hsae.errors import UserError
from hsae.geometry.patterns import Patterns, relative_shrinkage
from hsae.geometry.settings import Teaching

FEWEST = 3  # words behind a vector; with fewer it is a word's vector rather than a concept's


class Settings(Teaching):
    """Vectors of the language model's own unembedding."""

    name: Literal["unembedding"]


def estimate(
    rows: Float[Tensor, "token d"],
    words: Sequence[Sequence[int]],
    *,
    parents: Sequence[int],
    names: Sequence[str],
    shrinkage: float,
) -> Patterns:
    """Patterns of the concepts that three tokens or more stand for; `words[c]` are those of c and all below.

    A concept whose parent is left out stands under the nearest one above that is not. Raises UserError where
    no concept has words enough.
    """
    kept = [row for row, tokens in enumerate(words) if len(set(tokens)) >= FEWEST]
    if not kept:
        raise UserError(
            f"no concept has {FEWEST} words that are single tokens of this model.\n"
            "Choose more concepts (concepts.n=...), or teacher=encyclopedia."
        )
    wide = rows.double()
    centred = wide - wide.mean(0)
    spread = relative_shrinkage(centred.T @ centred / len(centred), shrinkage)
    reads = torch.stack([centred[sorted(set(words[row]))].mean(0) for row in kept])
    return Patterns(
        write=torch.linalg.solve(spread, reads.T).T.float(),
        metric=spread.float(),
        parents=torch.tensor(_lifted(parents, kept)),
        names=tuple(names[row] for row in kept),
        center=None,
        left_out=_counted(len(words) - len(kept)),
    )


def _counted(missing: int) -> Mapping[str, int]:
    return Counter({f"fewer than {FEWEST} single-token words": missing}) if missing else {}


def _lifted(parents: Sequence[int], kept: Sequence[int]) -> list[int]:
    """Parents among the kept alone: whoever lost a parent gets the nearest kept one above."""
    place = {row: at for at, row in enumerate(kept)}
    lifted = []
    for row in kept:
        above = parents[row]
        while above >= 0 and above not in place:
            above = parents[above]
        lifted.append(place.get(above, -1))
    return lifted
