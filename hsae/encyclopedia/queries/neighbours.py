"""What lies near what: the concept that a word means, the concepts nearest to a vector or a concept."""

from difflib import get_close_matches
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hsae.concepts import Taxonomy
from hsae.encyclopedia.queries.prototypes import Prototypes
from hsae.errors import UserError

LISTED = 12
"""Senses of a word that are told; a word of more has them in concepts.jsonl."""


def find(taxonomy: Taxonomy, word: str) -> list[str]:
    """Ids of the concepts that a word may mean: its id, with or without the source in front (`dog.n.01` of
    `wn30:dog.n.01`), or else a name or lemma of them, case aside.

    Raises `UserError` with what is spelled alike where there is none.
    """
    if word in taxonomy.index:
        return [word]
    bare = [concept.id for concept in taxonomy if concept.id.partition(":")[2] == word]
    if bare:
        return bare
    wanted = _plain(word)
    spelled: dict[str, list[str]] = {}
    for concept in taxonomy:
        for form in {_plain(said) for said in (concept.name, *concept.lemmas)}:
            spelled.setdefault(form, []).append(concept.id)
    if wanted not in spelled:
        near = get_close_matches(wanted, spelled, n=3) or get_close_matches(wanted, spelled, n=1, cutoff=0.0)
        hint = f"\nSpelled alike: {', '.join(near)}." if near else ""
        raise UserError(f"none of the {len(taxonomy)} concepts is called {word!r}.{hint}")
    return spelled[wanted]


def sense(taxonomy: Taxonomy, word: str, *, key: str = "job.concept") -> str:
    """The only concept that a word means. Raises `UserError` with the senses of one that means several, and
    what to type for each (`key=id`)."""
    found = find(taxonomy, word)
    if len(found) == 1:
        return found[0]
    lines = [f"  {key}={_short(id)}   {taxonomy[id].gloss or taxonomy[id].name}" for id in found[:LISTED]]
    more = [f"  and {len(found) - LISTED} more"] if len(found) > LISTED else []
    raise UserError("\n".join([f"{word!r} means {len(found)} concepts here. Type one of:", *lines, *more]))


def _short(id: str) -> str:
    """An id as it may be typed: a colon would have to be quoted."""
    return id.partition(":")[2] or id


def _plain(word: str) -> str:
    return word.casefold().replace("_", " ")


def nearest(prototypes: Prototypes, x: Float[Tensor, " d"], *, k: int) -> list[dict[str, Any]]:
    """The k concepts with the largest score of an activation (a token's, or a text's mean over tokens)."""
    return _named(prototypes, prototypes.score(x[None])[0].float(), k=k)


def nearest_to(prototypes: Prototypes, id: str, *, k: int) -> list[dict[str, Any]]:
    """The k concepts whose vectors have the largest cosine with a concept's own, itself left out.

    In whitened coordinates; a vector's length, which is how far its concept lies from the average one, does
    not enter.
    """
    cosine = cosines(prototypes, id)
    cosine[row_of(prototypes, id)] = -torch.inf
    return _named(prototypes, cosine, k=min(k, len(prototypes) - 1))


def cosines(prototypes: Prototypes, id: str) -> Float[Tensor, " concept"]:
    """Of a concept's vector with those of all, its own (1) among them."""
    return (prototypes.rows @ prototypes.rows[row_of(prototypes, id)]).float()


def kinship(taxonomy: Taxonomy, id: str, other: str) -> dict[str, Any]:
    """How another concept is related: `edges` of the shortest way between the two `over` an ancestor of both
    (through any parent; None where they have none), and a word for it, `kin`."""
    up, across = _heights(taxonomy, id), _heights(taxonomy, other)
    shared = [(up[row] + across[row], up[row], row) for row in up.keys() & across.keys()]
    if not shared:
        return {"edges": None, "over": None, "kin": "unrelated"}
    edges, above, row = min(shared)
    return {"edges": edges, "over": taxonomy.concepts[row].id, "kin": _word(above, edges - above)}


def _heights(taxonomy: Taxonomy, id: str) -> dict[int, int]:
    """Row of each ancestor, the concept itself among them, and how many edges it stands above."""
    height, frontier = {taxonomy.index[id]: 0}, [id]
    step = 0
    while frontier:
        step += 1
        above = {parent for one in frontier for parent in taxonomy[one].parents}
        frontier = [parent for parent in above if taxonomy.index[parent] not in height]
        height |= {taxonomy.index[parent]: step for parent in frontier}
    return height


def _word(up: int, down: int) -> str:
    """What stands `up` edges up and `down` down again is called."""
    words = {(0, 0): "itself", (1, 0): "parent", (0, 1): "child", (1, 1): "sibling"}
    if (up, down) in words:
        return words[up, down]
    if not up or not down:
        return "ancestor" if up else "descendant"
    return {(2, 1): "aunt", (1, 2): "niece", (2, 2): "cousin"}.get((up, down), f"{up} up, {down} down")


def row_of(prototypes: Prototypes, id: str) -> int:
    """The row of a concept's vector. Raises `UserError` for one that has none."""
    if id not in prototypes.index:
        raise UserError(
            f"the concept {id!r} has no vector at {prototypes.site or 'this site'}: "
            "it is unknown, or has no context yet."
        )
    return prototypes.index[id]


def _named(prototypes: Prototypes, score: Float[Tensor, " concept"], *, k: int) -> list[dict[str, Any]]:
    best = score.topk(min(k, len(score)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [{"id": prototypes.ids[row], "score": value} for row, value in pairs]
