"""All that an encyclopedia knows of a concept, ready for JSON and for a page.

What concerns all concepts (prototypes, errors, norms) is computed once for each site, one site at a time; the
contexts and raw rows of a concept are read from its own shard alone.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hsae import json_file
from hsae.encyclopedia.contexts_table import ContextTable
from hsae.encyclopedia.convergence.curve import RelativeError
from hsae.encyclopedia.convergence.reliability import contexts_for, reliability
from hsae.encyclopedia.encyclopedia import Encyclopedia, RawRows
from hsae.encyclopedia.queries.confusion import HeldOut, confusers, found, separation
from hsae.encyclopedia.queries.neighbours import cosines, kinship
from hsae.encyclopedia.queries.prototypes import Prototypes
from hsae.encyclopedia.refinement.evidence import error_of
from hsae.encyclopedia.refinement.rounds import earlier_decisions
from hsae.encyclopedia.statistics import ROLES

CARDS = "card.json"

LEVEL = 0.95
TARGET = 0.9
"""Reliability that the number of contexts is told for."""


@final
class Site(NamedTuple):
    """What holds for all concepts at one site."""

    name: str
    prototypes: Prototypes
    """Whitened where any concept has two contexts to fit by; of the role fit."""
    plain: Prototypes
    """Only centred."""
    error: RelativeError
    norms: dict[str, dict[str, Float[np.ndarray, " concept"]]]
    """Pooling -> `mean`, the length of each concept's mean, and `rms`, that of its rows."""


def load(folder: Path) -> list[dict[str, Any]]:
    """The cards in a result folder of `job=card`."""
    return json_file.read(Path(folder) / CARDS)


def at_site(book: Encyclopedia, name: str, *, shrinkage: float) -> Site:
    """What all cards share at one site. `shrinkage` is of the covariance within; see `Prototypes`."""
    mean, several = book.mean(name), bool((book.count() > 1).any())
    ids = [concept.id for concept in book.taxonomy]
    of = lambda within: Prototypes.of(
        mean, within, ids=ids, shrinkage=shrinkage, dtype="float32", kind="discriminant", site=name
    )
    unknown = np.full(len(ids), np.nan)
    return Site(
        name,
        of(book.covariance(name) if several else None),
        of(None),
        error_of(book, name, level=LEVEL) if several else RelativeError(unknown, unknown),
        {pooling: _norms(book, name, pooling) for pooling in book.poolings},
    )


def cards(
    book: Encyclopedia,
    ids: Sequence[str],
    *,
    site: str,
    neighbours: int = 8,
    contexts: int = 6,
    shrinkage: float = 0.1,
) -> list[dict[str, Any]]:
    """The card of each concept: see `card` for what stands on one. `site` is where its neighbours are looked
    for; its profile runs over all sites. Raises `UserError` for a site that the encyclopedia has not."""
    book.d(site)
    wells = [_Well(book, id) for id in ids]
    profiles: dict[str, list[dict[str, Any]]] = {id: [] for id in ids}
    near: dict[str, dict[str, Any]] = {}
    for name in book.sites:
        here = at_site(book, name, shrinkage=shrinkage)
        for well in wells:
            profiles[well.id].append(_place(book, here, well))
            if name == site:
                near[well.id] = _near(book, here, well, asked=ids, k=neighbours)
    return [
        {**_identity(book, well.id), "model": book.model, "site": site, "contexts": well.counts(book)}
        | {"status": _status(book, well.id), **near[well.id], "profile": profiles[well.id]}
        | {"examples": well.examples(book, contexts)}
        for well in wells
    ]


@final
class _Well:
    """What is read of one concept out of its shard."""

    def __init__(self, book: Encyclopedia, id: str):
        self.id, self.row = id, book.taxonomy.index[id]
        number = self.row // book.block_size
        self._shard = Encyclopedia(book.folder, shards=[book.shards[number]])
        self._table = book.table(number)
        self._own = np.flatnonzero(self._table["concept"] == self.row - number * book.block_size)

    def held_out(self, site: str) -> tuple[HeldOut | None, Float[Tensor, "other d"]]:
        """Raw rows of the roles tune and test: the concept's, and those of the others in its shard."""
        parts = [self._shard.rows(site, role=role) for role in ROLES[1:]]
        rows = RawRows(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        own, x = rows.concept == self.row, torch.from_numpy(rows.x)
        held_out = HeldOut(x[own], rows.template[own]) if own.any() else None
        return held_out, x[~own]

    def counts(self, book: Encyclopedia) -> dict[str, Any]:
        """How many contexts the concept has in each role, from each source, of each stage."""
        table, own = self._table, self._own
        stages = {stage["number"]: stage["stage"] for stage in book.stages}
        names = {
            "role": [ROLES[role] for role in table["role"][own]],
            "source": [table.names["source"][source] for source in table["source"][own]],
            "stage": [stages[int(number)] for number in table["stage"][own]],
        }
        order = [*ROLES, *stages.values()]
        place = lambda name: (order.index(name) if name in order else -1, name)
        counted = {kind: Counter(said) for kind, said in names.items()}
        return {
            "total": len(own),
            "templates": len(set(table["template"][own].tolist())),
            "tokens": float(table["tokens"][own].mean()) if len(own) else None,
            **{kind: {name: n[name] for name in sorted(n, key=place)} for kind, n in counted.items()},
        }

    def examples(self, book: Encyclopedia, most: int) -> list[dict[str, Any]]:
        """Some of its contexts: of each stage in turn, the lowest names in bits first, which is as good as
        drawn."""
        table, stages = self._table, {stage["number"]: stage["stage"] for stage in book.stages}
        by_stage: dict[int, list[int]] = {number: [] for number in stages}
        for row in self._own[np.argsort(table["uid"][self._own])].tolist():
            by_stage[int(table["stage"][row])].append(row)
        turns = sorted((turn, -n, row) for n, rows in by_stage.items() for turn, row in enumerate(rows))
        return [_example(table, row, stages) for _, _, row in turns[:most]]


def _example(table: ContextTable, row: int, stages: dict[int, str]) -> dict[str, Any]:
    return {
        "text": table.text[row],
        "start": int(table["start"][row]),
        "end": int(table["end"][row]),
        "role": ROLES[table["role"][row]],
        "stage": stages[int(table["stage"][row])],
        "template": table.names["template"][table["template"][row]],
        "source": table.names["source"][table["source"][row]],
    }


def _identity(book: Encyclopedia, id: str) -> dict[str, Any]:
    """What the taxonomy says."""
    tree, concept = book.taxonomy, book.taxonomy[id]
    row, words = tree.index[id], {concept.name, *concept.lemmas}
    named = lambda other: {"id": other.id, "name": other.name, "gloss": other.gloss}
    return {
        "id": id,
        "name": concept.name,
        "gloss": concept.gloss,
        "pos": concept.pos,
        "lemmas": list(concept.lemmas),
        "concepts": len(tree),
        "path": [named(tree.concepts[above]) for above in tree.ancestors(row)[::-1]],
        "parents": [named(tree[parent]) for parent in concept.parents],
        "children": [named(tree.concepts[child]) for child in tree.children[row]],
        "senses": [named(one) for one in tree if one.id != id and words & {one.name, *one.lemmas}],
    }


def _status(book: Encyclopedia, id: str) -> dict[str, str] | None:
    """What the stopping rule said, where the encyclopedia was refined."""
    decided, row = earlier_decisions(book), book.taxonomy.index[id]
    return None if decided is None else {"status": decided.status[row], "reason": decided.reason[row]}


def _near(book: Encyclopedia, here: Site, well: _Well, *, asked: Sequence[str], k: int) -> dict[str, Any]:
    """Nearest concepts, the others that were `asked` for, confusers, and what is typical of any concept."""
    tree, prototypes, id = book.taxonomy, here.prototypes, well.id
    if id not in prototypes.index:
        return {"nearest": [], "among": [], "typical": None, "confusers": [], "found": None}
    told = lambda other: {"id": other, "name": tree[other].name, **kinship(tree, id, other)}
    whitened, centred = (cosines(one, id) for one in (prototypes, here.plain))
    other = torch.arange(len(prototypes)) != prototypes.index[id]
    best = whitened.masked_fill(~other, -torch.inf).topk(min(k, len(prototypes) - 1)).indices.tolist()
    held_out, _ = well.held_out(here.name)
    able = prototypes.whitener is not None
    near = confusers(prototypes, id, held_out=held_out, k=k) if able else []
    fared = None if held_out is None else found(prototypes, id, held_out)
    if fared is not None:
        fared["taken_for"] = [{**told(one["id"]), "n": one["n"]} for one in fared["taken_for"]]
    both = lambda at: {"cosine": float(whitened[at]), "centred": float(centred[at])}
    others = [prototypes.index[one] for one in asked if one != id and one in prototypes.index]
    return {
        "nearest": [{**told(prototypes.ids[at]), **both(at)} for at in best],
        "among": [{**told(prototypes.ids[at]), **both(at)} for at in others],
        "typical": {
            "median": float(whitened[other].median()),
            "high": float(whitened[other].quantile(0.95)),
            "n": int(other.sum()),
        },
        "confusers": [{**told(one["id"]), **one} for one in near],
        "found": fared,
    }


def _place(book: Encyclopedia, here: Site, well: _Well) -> dict[str, Any]:
    """One site of the profile."""
    row, n = well.row, book.count().numpy()
    squared, upper = (float(side[row]) for side in here.error)
    wanted = float(contexts_for(here.error.squared, n, target=TARGET)[row])
    place = {
        "site": here.name,
        "error": squared**0.5,
        "upper": upper**0.5,
        "reliability": float(reliability(np.array([squared]))[0]),
        "least_reliability": float(reliability(np.array([upper]))[0]),
        "contexts_for_reliability": wanted,
        **_apart(here, well),
        "norms": {
            pooling: {
                **{name: float(norm[row]) for name, norm in norms.items()},
                "typical": float(np.nanmedian(norms["rms"])),
            }
            for pooling, norms in here.norms.items()
        },
    }
    return json_file.finite(place)


def _apart(here: Site, well: _Well) -> dict[str, Any]:
    """How held-out contexts of the concept are told from others at one site; None is what cannot be known."""
    held_out, others = well.held_out(here.name)
    if held_out is None or well.id not in here.prototypes.index:
        return {"found": None, "margin": None, "separation": None}
    fared, able = found(here.prototypes, well.id, held_out), here.prototypes.whitener is not None
    nearest = confusers(here.prototypes, well.id, held_out=held_out, k=1) if able else []
    return {
        "found": {key: value for key, value in fared.items() if key != "taken_for"},
        "margin": nearest[0]["margin"] if nearest else None,
        "separation": separation(here.prototypes, well.id, held_out, others) if len(others) else None,
    }


def _norms(book: Encyclopedia, site: str, pooling: str) -> dict[str, Float[np.ndarray, " concept"]]:
    """|mean| and sqrt(mean over rows of |x|^2) = sqrt(|mean|^2 + T (n - 1) / n), of the role fit."""
    n = book.count().numpy()
    length = book.mean(site, pooling=pooling).double().norm(dim=1).numpy()
    total = np.nan_to_num(book.variance(site, pooling=pooling).double().sum(1).numpy())
    return {"mean": length, "rms": np.sqrt(length**2 + total * (n - 1).clip(min=0) / np.maximum(n, 1))}
