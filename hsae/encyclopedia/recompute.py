"""Some concepts read again from the texts that an encyclopedia keeps, and compared with what it says of them.

If the vector x of every context comes out within a share t of its length, then for each concept, role, site
and pooling, with A = sum |x|^2 = n |mean|^2 + sum of m2 over units,

    | mean' - mean |              <= t sqrt(A / n)
    | sqrt(m2') - sqrt(m2) |      <= t sqrt(A)              (the root of each unit)

the second because sqrt(m2) of a unit is the length of that unit's column of deviations, and centring makes
no difference longer. What is further off was not computed from these texts by this model. Forward passes of
other sizes than the writer's change a float32 vector by about 1e-6 of its length, a half-precision one by
1e-2.
"""

import math
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Int64

from hsae.contexts import Context
from hsae.encyclopedia.block import Block
from hsae.encyclopedia.contexts_table import ContextTable, uid
from hsae.encyclopedia.encyclopedia import Encyclopedia
from hsae.encyclopedia.gather import gather
from hsae.encyclopedia.statistics import ROLES, Moments
from hsae.errors import UserError
from hsae.lm import LM

FEWEST = 4
"""Concepts that are read again at least, as far as there are."""


@final
class Difference(NamedTuple):
    """Something that is not what the texts give."""

    concept: str
    place: str
    """Site, pooling and role; empty where the contexts themselves are not what was read."""
    what: str


@final
class Recomputed(NamedTuple):
    """What came of the concepts of one shard."""

    concepts: int
    contexts: int
    largest: float
    """The largest deviation, in shares of the length of a context's vector (t above)."""
    found: list[Difference]


def tolerance_of(dtype: torch.dtype) -> float:
    """The share t that forward passes of another size may make, by what the model computes in."""
    return 1e-4 if dtype in (torch.float32, torch.float64) else 2e-2


def chosen(book: Encyclopedia, *, share: float, seed: int) -> Int64[np.ndarray, " some"]:
    """Rows of the share of concepts whose ids hash lowest, ascending: the same for all stages."""
    ids = [concept.id for concept in book.taxonomy]
    key = [blake2b(f"{seed}\0{id}".encode(), digest_size=8).digest() for id in ids]
    wanted = min(len(ids), max(FEWEST, math.ceil(share * len(ids))))
    return np.sort(np.array(sorted(range(len(ids)), key=key.__getitem__)[:wanted], np.int64))


def recompute(
    lm: LM,
    book: Encyclopedia,
    rows: Int64[np.ndarray, " some"],
    *,
    tolerance: float,
    batch_tokens: int,
) -> Iterator[Recomputed]:
    """Read the concepts in `rows` again, shard by shard; a shard that cannot be read is a difference too."""
    for number in np.unique(rows // book.block_size).tolist():
        mine = rows[rows // book.block_size == number]
        try:
            block = book.block(number)
            contexts = block.table.contexts([book.taxonomy.concepts[row].id for row in block.rows])
        except (UserError, ValueError, IndexError) as problem:  # a text that is no UTF-8, a row of nothing
            name, why = book.shards[number].name, str(problem).splitlines()[0].rpartition("damaged: ")[2]
            why = "a row points out of its table" if isinstance(problem, IndexError) else why
            said = f"{name} cannot be read ({why}), and with it {len(mine):,} concepts"
            yield Recomputed(len(mine), 0, math.inf, [Difference("", name, said)])
        else:
            concepts = np.searchsorted(block.rows, mine)
            yield _of_block(lm, book, block, contexts, concepts, tolerance, batch_tokens)


def _of_block(
    lm: LM,
    book: Encyclopedia,
    block: Block,
    contexts: Sequence[Context],
    concepts: Int64[np.ndarray, " some"],
    tolerance: float,
    batch_tokens: int,
) -> Recomputed:
    ids = [book.taxonomy.concepts[row].id for row in block.rows]
    wanted = np.flatnonzero(np.isin(block.table["concept"], concepts))
    every = [contexts[row] for row in wanted.tolist()]
    found = list(_altered(every, block.table["uid"][wanted]))
    altered = {difference.concept for difference in found}
    fine = [context for context in every if context.concept not in altered]
    again = _again(lm, book, fine, concepts, {id: row for row, id in enumerate(ids)}, batch_tokens)
    largest = 0.0
    for place, concept in enumerate(concepts.tolist()):
        if ids[concept] in altered:
            continue
        for key in block.places:
            stored, read = (
                _of_concept(of.places[key].statistics.moments, row)
                for of, row in ((block, concept), (again, place))
            )
            off, differences = _compared(ids[concept], key, stored, read, tolerance)
            largest = max(largest, off)
            found += differences
    return Recomputed(len(concepts), len(fine), largest, found)


def _altered(contexts: Sequence[Context], names: np.ndarray) -> Iterator[Difference]:
    """Concepts of which a context is not the one that its 64 bits name."""
    for context, name in zip(contexts, names.tolist(), strict=True):
        if uid(context) != name:
            said = f"the context {context.text!r} ({context.template}) is not the one that was read"
            yield Difference(context.concept, "", said)


def _again(
    lm: LM,
    book: Encyclopedia,
    contexts: Sequence[Context],
    concepts: Int64[np.ndarray, " some"],
    index: dict[str, int],
    batch_tokens: int,
) -> Block:
    """The block of these concepts alone, from their texts."""
    poolings: Any = book.poolings
    read = gather(lm, contexts, book.sites, batch_tokens=batch_tokens, poolings=poolings)
    place = np.searchsorted(
        concepts, np.array([index[context.concept] for context in read.contexts], np.int64)
    )
    table = ContextTable.of(read.contexts, place, tokens=read.tokens, stage=0)
    return Block.of(concepts, table, read.vectors, sample=0)


def _of_concept(moments: Moments, concept: int) -> Moments:
    mine = slice(concept * len(ROLES), (concept + 1) * len(ROLES))
    return Moments(moments.count[mine], moments.mean[mine], moments.m2[mine])


def _compared(
    id: str, key: tuple[str, str], stored: Moments, read: Moments, tolerance: float
) -> tuple[float, list[Difference]]:
    """The largest deviation in any role, and what is beyond the tolerance."""
    found, largest = [], 0.0
    for number, role in enumerate(ROLES):
        place = f"{key[0]}, {key[1]}, {role}"
        n = int(read.count[number])
        if n != stored.count[number]:
            said = f"{stored.count[number]} contexts are counted, and {n} are kept"
            found.append(Difference(id, place, said))
        elif n:
            off = _deviations(n, *((of.mean[number], of.m2[number]) for of in (stored, read)))
            for what, by in zip(("mean", "m2"), off, strict=True):
                if not by <= tolerance:  # NaN is beyond it too
                    said = f"the {what} is off by {by:.2g} of a context's length; {tolerance:g} is allowed"
                    found.append(Difference(id, place, said))
            largest = max(largest, *(by if by == by else math.inf for by in off))
    return largest, found


Pair = tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]


def _deviations(n: int, stored: Pair, read: Pair) -> tuple[float, float]:
    """How far off mean and m2 are, as shares t of the length of a context's vector."""
    total = math.sqrt(n * float(np.square(read[0]).sum()) + float(read[1].sum()))
    mean = float(np.linalg.norm(stored[0] - read[0]))
    with np.errstate(invalid="ignore"):  # a negative m2 is found as NaN
        spread = float(np.linalg.norm(np.sqrt(stored[1]) - np.sqrt(read[1])))
    return mean * math.sqrt(n) / total, spread / total
