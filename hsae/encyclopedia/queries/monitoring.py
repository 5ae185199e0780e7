"""Which concepts are active at each token: one product over all concepts, p-values, most specific first."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hsae.concepts import Taxonomy
from hsae.encyclopedia.queries.largest import Largest
from hsae.encyclopedia.queries.nulls import Background, Nulls, standardised
from hsae.encyclopedia.queries.nulls import fit as fit_nulls
from hsae.encyclopedia.queries.nulls import load as load_nulls
from hsae.encyclopedia.queries.prototypes import Prototypes
from hsae.encyclopedia.queries.prototypes import load as load_prototypes


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
        self._largest = Largest(*standardised(prototypes, self.nulls.mean, self.nulls.std))

    def z(self, x: Float[Tensor, "row d"]) -> Float[Tensor, "row concept"]:
        """Standardised scores of every row and concept, (s - mean) / std."""
        return (self.prototypes.score(x) - self.nulls.mean) / self.nulls.std

    def largest(
        self, x: Float[Tensor, "row d"], k: int
    ) -> tuple[Float[Tensor, "row k"], Int[Tensor, "row k"]]:
        """The k largest z of each row (all where there are fewer concepts), falling, and their concepts."""
        features = self.prototypes.features(x).to(self.prototypes.compute)
        return self._largest(features, min(k, len(self.prototypes)))

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


def fit(
    prototypes: Prototypes, background: Float[Tensor, "row d"], own: Int[Tensor, " row"] | None = None
) -> Monitor:
    """A monitor whose nulls are the scores of some tokens, each left out of the null of its `own` concept.

    p speaks of tokens like these alone: against running text, most of which names nothing, any word of
    content seems significant. Where `own` is not known, p can only be too large.
    """
    known = torch.full((len(background),), -1) if own is None else own
    return Monitor(prototypes, fit_nulls(prototypes, lambda: [Background(background, known)]))


def load(folder: Path) -> Monitor:
    """The monitor in a result folder of `job=monitor`, for another text."""
    return Monitor(load_prototypes(folder), load_nulls(folder))


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
