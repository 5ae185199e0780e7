"""Tokens of natural text of which it is known what they mean: what monitoring is held against.

tagged   the last token of a word whose sense is known, where a causal LM has read all of the word
filler   tokens of function words, and marks: they name no concept
unknown  all others: untagged words of content may well name a concept, and nobody wrote down which. They are
         read (a text is monitored whole), but count neither for nor against.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import sparse
from torch import Tensor

from hsae.concepts import Taxonomy
from hsae.contexts.function_words import FUNCTION_WORDS
from hsae.contexts.senses import WORD
from hsae.contexts.tagged import Tagged
from hsae.errors import UserError
from hsae.lm import LM
from hsae.lm.batching import by_length
from hsae.lm.tokens import Pieces
from hsae.stats import Csr


@final
@dataclass(frozen=True)
class Labelled:
    """All tokens of some sentences, in their order, float32 on the CPU.

    `sentence` and `document` number where each stands, `named` has the concepts that it was tagged with (none
    where it is no tagged token).
    """

    x: Float[Tensor, "row d"]
    sentence: Int[np.ndarray, " row"]
    document: Int[np.ndarray, " row"]
    named: tuple[tuple[str, ...], ...]
    filler: Bool[np.ndarray, " row"]

    @property
    def tagged(self) -> Bool[np.ndarray, " row"]:
        """Whose concepts are known."""
        return np.array([bool(concepts) for concepts in self.named])

    @property
    def known(self) -> Bool[np.ndarray, " row"]:
        """Tagged or filler."""
        return self.tagged | self.filler


@final
class Truth(NamedTuple):
    """Which of the concepts that are tested for each token is of, as 0 and 1 in sparse matrices.

    `labels` counts a tagged concept and all that stands above it over all parents, `own` the tagged concept
    alone.
    """

    labels: Csr  # [row concept]
    own: Csr  # [row concept]


def truth(labelled: Labelled, taxonomy: Taxonomy, ids: Sequence[str]) -> Truth:
    """The truth about the concepts `ids`, in their order; others are not tested for and leave no label.

    Raises `UserError` where no label is left.
    """
    column = {id: number for number, id in enumerate(ids)}
    above: dict[str, list[int]] = {}
    labels: list[tuple[int, int]] = []
    own: list[tuple[int, int]] = []
    for row, concepts in enumerate(labelled.named):
        for id in concepts:
            if id not in above:
                above[id] = [column[one] for one in _closure(taxonomy, id) if one in column]
            labels += [(row, other) for other in above[id]]
            own += [(row, column[id])] if id in column else []
    if not labels:
        raise UserError(
            f"no tagged token is of a concept that is tested for ({len(ids)} have a prototype).\n"
            "Bootstrap the concepts that the sentences speak of."
        )
    shape = len(labelled.named), len(column)
    return Truth(_matrix(labels, shape), _matrix(own, shape))


def _closure(taxonomy: Taxonomy, id: str) -> set[str]:
    """The concept and all above it, over all parents."""
    found: set[str] = set()
    todo = [id]
    while todo:
        if (one := todo.pop()) not in found:
            found.add(one)
            todo.extend(taxonomy[one].parents)
    return found


def _matrix(places: Sequence[tuple[int, int]], shape: tuple[int, int]) -> Csr:
    row, column = np.array(sorted(set(places)), dtype=np.int64).reshape(-1, 2).T
    return sparse.csr_matrix((np.ones(len(row), dtype=np.int8), (row, column)), shape=shape)


def read(
    lm: LM,
    sentences: Sequence[Tagged],
    site: str,
    *,
    taxonomy: Taxonomy,
    batch_tokens: int,
    passed: Counter[str],
) -> Labelled:
    """The activations of the sentences' own tokens, and what they mean.

    What cannot be read or used is counted in `passed`. Raises `UserError` where no tagged token is left.
    """
    read = list(zip(sentences, lm.reader.pieces([one.text for one in sentences]), strict=True))
    fitting = [(one, piece) for one, piece in read if len(piece.ids) <= lm.room]
    passed["sentences too long for the model"] += len(read) - len(fitting)
    x: list[Tensor] = [torch.empty(0)] * len(fitting)
    around = len(lm.reader.prefix) + len(lm.reader.suffix)
    for batch in by_length([around + len(piece.ids) for _, piece in fitting], tokens=batch_tokens):
        ids, mask = lm.reader.pad([fitting[number][1].ids for number in batch])
        lengths = [len(fitting[number][1].ids) for number in batch]
        own = _own(mask, len(lm.reader.prefix), lengths)
        rows = lm.capture(ids, mask, [site], own)[site].float().cpu()
        for number, some in zip(batch, rows.split(lengths), strict=True):
            x[number] = some
    kinds = [_kinds(one, piece.offsets, taxonomy, passed) for one, piece in fitting]
    if not any(concepts for named, _ in kinds for concepts in named):
        raise UserError(
            f"of {len(sentences)} sentences none has a token whose concept is in the encyclopedia.\n"
            f"Passed over: {', '.join(f'{n} {why}' for why, n in (+passed).items()) or 'nothing'}."
        )
    return _together(fitting, x, kinds)


def _own(
    mask: Bool[Tensor, "batch token"], prefix: int, lengths: Sequence[int]
) -> Bool[Tensor, "batch token"]:
    """The tokens of the texts themselves, without what the reader puts around them."""
    place = torch.arange(mask.shape[1])
    return (place >= prefix) & (place < prefix + torch.tensor(lengths)[:, None])


def _together(
    read: Sequence[tuple[Tagged, Pieces]],
    x: Sequence[Tensor],
    kinds: Sequence[tuple[list[tuple[str, ...]], list[bool]]],
) -> Labelled:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(one.document for one, _ in read))}
    lengths = [len(rows) for rows in x]
    return Labelled(
        x=torch.cat(list(x)),
        sentence=np.repeat(np.arange(len(read)), lengths),
        document=np.repeat(np.array([numbers[one.document] for one, _ in read]), lengths),
        named=tuple(concepts for named, _ in kinds for concepts in named),
        filler=np.array([is_filler for _, filler in kinds for is_filler in filler]),
    )


def _kinds(
    sentence: Tagged, offsets: Sequence[tuple[int, int]], taxonomy: Taxonomy, passed: Counter[str]
) -> tuple[list[tuple[str, ...]], list[bool]]:
    """For each token the concepts that it was tagged with, and whether it is filler."""
    named: list[tuple[str, ...]] = [()] * len(offsets)
    covered = [False] * len(offsets)
    for tag in sentence.tags:
        inside = [at for at, (start, end) in enumerate(offsets) if start < tag.end and end > tag.start]
        for at in inside:
            covered[at] = True
        if tag.concept not in taxonomy.index:
            passed["tags of concepts that the encyclopedia does not have"] += 1
        elif not inside:
            passed["tags without a token"] += 1
        else:
            named[inside[-1]] = tuple(dict.fromkeys((*named[inside[-1]], tag.concept)))
    content = [word.span() for word in WORD.finditer(sentence.text) if word[0].lower() not in FUNCTION_WORDS]
    touches = lambda start, end: any(start < stop and end > begin for begin, stop in content)
    filler = [not here and not touches(*place) for here, place in zip(covered, offsets, strict=True)]
    return named, filler
