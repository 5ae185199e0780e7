"""Which concepts are active at each token: one product over all concepts, p-values, most specific first."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from hsae.concepts import Taxonomy
from hsae.encyclopedia.nulls import MOST, Nulls, standardised
from hsae.encyclopedia.prototypes import Prototypes

GROUP = 32
"""Concepts that share a maximum while the largest scores are sought."""


@final
class Active(NamedTuple):
    """The largest scores of each row, z falling along `rank`; `significant` is what the false discovery rate
    allows, a number of first ranks in each row."""

    concept: Int[Tensor, "row rank"]
    score: Float[Tensor, "row rank"]
    z: Float[Tensor, "row rank"]
    p: Float[Tensor, "row rank"]
    significant: Bool[Tensor, "row rank"]


@final
class Monitor:
    """Scores rows by prototypes, against each concept's own null. Lives where the prototypes lie."""

    def __init__(self, prototypes: Prototypes, nulls: Nulls):
        if len(nulls.mean) != len(prototypes):
            raise ValueError(f"nulls of {len(nulls.mean)} concepts, prototypes of {len(prototypes)}")
        self.prototypes = prototypes
        self.nulls = nulls.to(prototypes.center.device)
        weights, bias = standardised(prototypes, self.nulls.mean, self.nulls.std)
        # whole groups: what fills them up scores minus infinity, and is never among the largest
        missing = -len(weights) % GROUP
        self._weights = functional.pad(weights, (0, 0, 0, missing))
        self._bias = functional.pad(bias, (0, missing), value=-torch.inf)

    def z(self, x: Float[Tensor, "row d"]) -> Float[Tensor, "row concept"]:
        """Standardised scores of every row and concept."""
        return self._product(x)[:, : len(self.prototypes)]

    def largest(
        self, x: Float[Tensor, "row d"], k: int
    ) -> tuple[Float[Tensor, "row k"], Int[Tensor, "row k"]]:
        """The k largest z of each row, falling, and their concepts. Rows go through in blocks."""
        k = min(k, len(self.prototypes))
        found = [largest_of(self._product(some), k) for some in self._blocks(x)]
        return torch.cat([z for z, _ in found]), torch.cat([concept for _, concept in found])

    def active(self, x: Float[Tensor, "row d"], *, fdr: float, top: int) -> Active:
        """At most `top` concepts of each row, and which of them are significant at the false discovery rate.

        Benjamini-Hochberg within each row over all its concepts, looking at its `top` smallest p alone: the
        most k <= top with p_(k) <= fdr k / concepts. Where `top` is too small that is fewer than the whole
        procedure would find, never more; the rate holds (Benjamini & Hochberg 1995, and 2001 for
        positively dependent tests; Blanchard & Roquain 2008 for subsets of this form).
        """
        z, concept = self.largest(x, top)
        p = self.nulls.p(z)
        score = z.float() * self.nulls.std[concept] + self.nulls.mean[concept]
        return Active(concept, score, z.float(), p, discoveries(p, tests=len(self.prototypes), rate=fdr))

    def _blocks(self, x: Float[Tensor, "row d"]) -> Iterator[Float[Tensor, "some d"]]:
        yield from x.split(max(1, MOST // len(self._weights)))

    def _product(self, x: Float[Tensor, "row d"]) -> Float[Tensor, "row padded"]:
        features = self.prototypes.features(x).to(self._weights)
        return functional.linear(features, self._weights, self._bias)


def largest_of(
    scores: Float[Tensor, "row concept"], k: int
) -> tuple[Float[Tensor, "row k"], Int[Tensor, "row k"]]:
    """`scores.topk(k)`, the same numbers in a fraction of the time; the concepts are a multiple of GROUP.

    The k largest stand in the k groups with the largest maxima, since each of these has at least one score
    as large as whatever is left. Only the maxima are gone through for all concepts.
    """
    rows, concepts = scores.shape
    columns = concepts // GROUP
    if k >= columns:
        best = scores.topk(k)
        return best.values, best.indices
    # a group is every columns-th concept: neighbours in memory are compared side by side
    groups = scores.view(rows, GROUP, columns).amax(1).topk(k, sorted=False).indices
    members = (groups[:, :, None] + columns * torch.arange(GROUP, device=scores.device)).flatten(1)
    z, place = scores.gather(1, members).topk(k)
    return z, members.gather(1, place)


def discoveries(p: Float[Tensor, "row rank"], *, tests: int, rate: float) -> Bool[Tensor, "row rank"]:
    """Benjamini-Hochberg on p that rise along `rank`, the smallest of `tests` in each row."""
    rank = torch.arange(1, p.shape[1] + 1, device=p.device)
    below = p <= rate * rank / tests
    return below.flip(1).cummax(1).values.flip(1)


def describe(
    active: Active,
    tokens: Sequence[str],
    *,
    ids: Sequence[str],
    taxonomy: Taxonomy,
    positions: Sequence[int] | None = None,
) -> list[dict[str, Any]]:
    """One dict a token, ready for JSON: token, position, concepts, and whether `top` cut some off.

    A concept is a dict of id, name, score, z, p, path (names from the root down to it) and above: of its
    ancestors those that are significant too, nearest first, in the same form without their own. Such an
    ancestor is told there and nowhere else, so the most specific stand in the list, by falling z.
    """
    table = Active(*(part.cpu() for part in active))
    place = range(len(tokens)) if positions is None else positions
    said = []
    for number, (token, position) in enumerate(zip(tokens, place, strict=True)):
        row = Active(*(part[number] for part in table))
        entries = _entries(row, ids, taxonomy)
        cut = bool(row.significant.all()) and len(row.significant) < len(ids)
        said.append(
            {"token": token, "position": position, "concepts": _folded(entries, taxonomy), "cut": cut}
        )
    return said


def _entries(row: Active, ids: Sequence[str], taxonomy: Taxonomy) -> dict[int, dict[str, Any]]:
    """The significant concepts of one row by their row in the taxonomy, by falling z."""
    entries = {}
    for rank in range(int(row.significant.sum())):
        number = taxonomy.index[ids[int(row.concept[rank])]]
        names = [taxonomy.concepts[above].name for above in [number, *taxonomy.ancestors(number)]]
        entries[number] = {
            "id": taxonomy.concepts[number].id,
            "name": names[0],
            "score": float(row.score[rank]),
            "z": float(row.z[rank]),
            "p": float(row.p[rank]),
            "path": names[::-1],
        }
    return entries


def _folded(entries: Mapping[int, dict[str, Any]], taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """The concepts that have no significant descendant, each with its significant ancestors."""
    above = {row: [a for a in taxonomy.ancestors(row) if a in entries] for row in entries}
    covered = {a for ancestors in above.values() for a in ancestors}
    return [
        {**entry, "above": [dict(entries[a]) for a in above[row]]}
        for row, entry in entries.items()
        if row not in covered
    ]
