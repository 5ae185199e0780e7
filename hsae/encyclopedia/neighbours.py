"""What lies near what: the concepts nearest to a vector, those that a concept is taken for, its card."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hsae.concepts import Taxonomy
from hsae.encyclopedia.prototypes import Prototypes
from hsae.errors import UserError


def find(taxonomy: Taxonomy, word: str) -> list[str]:
    """Ids of the concepts that a word may mean: its id, or a name or lemma of them, case aside.

    Raises `UserError` with what is spelled alike where there is none.
    """
    if word in taxonomy.index:
        return [word]
    wanted = word.casefold().replace("_", " ")
    spelled: dict[str, list[str]] = {}
    for concept in taxonomy:
        for form in {concept.name, *concept.lemmas}:
            spelled.setdefault(form.casefold().replace("_", " "), []).append(concept.id)
    if wanted not in spelled:
        near = get_close_matches(wanted, spelled, n=3)
        hint = f"\nSpelled alike: {', '.join(near)}." if near else ""
        raise UserError(f"none of the {len(taxonomy)} concepts is called {word!r}.{hint}")
    return spelled[wanted]


def nearest(prototypes: Prototypes, x: Float[Tensor, " d"], *, k: int) -> list[dict[str, Any]]:
    """The k concepts with the largest score of an activation (a token's, or a text's mean over tokens)."""
    return _named(prototypes, prototypes.score(x[None])[0].float(), k=k)


def nearest_to(prototypes: Prototypes, id: str, *, k: int) -> list[dict[str, Any]]:
    """The k concepts whose vectors have the largest cosine with a concept's own, itself left out.

    In whitened coordinates; a vector's length, which is how far its concept lies from the average one, does
    not enter.
    """
    row = _row(prototypes, id)
    cosine = (prototypes.rows @ prototypes.rows[row]).float()
    cosine[row] = -torch.inf
    return _named(prototypes, cosine, k=min(k, len(prototypes) - 1))


def confusers(
    prototypes: Prototypes, id: str, *, count: Int[Tensor, " concept"], k: int
) -> list[dict[str, Any]]:
    """The k concepts that contexts of `id` are most easily taken for, with distance, margin and confusion.

        distance  D = |w_c - w_k|, in standard deviations within concepts
        margin    (D^2 / 2 - noise / n_c) / D: how far a new context of c lies, on average, on c's side of the
                  border between the two means
        confusion Phi(-margin): the share of such contexts that would fall on the other side

    Without the term in n_c the distance between two means of few contexts, which is mostly noise, would pass
    for separation. `count` is n of every prototype's mean. Means and spread are taken as Gaussian with one
    covariance. Raises `UserError` for prototypes without a whitener: their distances have no unit.
    """
    if prototypes.whitener is None:
        raise UserError("margins are in units of the spread within concepts: whiten the prototypes.")
    row = _row(prototypes, id)
    cosine = (prototypes.rows.float() @ prototypes.rows[row].float()).double()
    norm = prototypes.norm.double()
    square = norm.square() + norm[row].square() - 2 * norm * norm[row] * cosine
    square[row] = torch.inf
    distance = square.clamp(min=1e-12).sqrt()
    near = distance.topk(min(k, len(prototypes) - 1), largest=False)
    margin = near.values / 2 - prototypes.noise / (int(count[row]) * near.values)
    share = torch.special.ndtr(-margin)
    columns = zip(near.indices.tolist(), near.values.tolist(), margin.tolist(), share.tolist(), strict=True)
    return [
        {"id": prototypes.ids[other], "distance": d, "margin": m, "confusion": p}
        for other, d, m, p in columns
    ]


def card(
    taxonomy: Taxonomy,
    prototypes: Prototypes,
    id: str,
    *,
    count: Int[Tensor, " concept"],
    error: float | None,
    n: Mapping[str, int],
    k: int = 8,
) -> dict[str, Any]:
    """All that is known of a concept, ready for JSON.

    `count` is of the prototypes' rows, `n` the concept's contexts by role, `error` its relative error (None
    below two contexts).
    """
    concept = taxonomy[id]
    row = taxonomy.index[id]
    senses = [other.id for other in taxonomy if other.name == concept.name and other.id != id]
    return {
        "id": id,
        "name": concept.name,
        "gloss": concept.gloss,
        "pos": concept.pos,
        "model": prototypes.model,
        "site": prototypes.site,
        "contexts": dict(n),
        "relative_error": error,
        "path": [taxonomy.concepts[above].name for above in taxonomy.ancestors(row)[::-1]],
        "parents": list(concept.parents),
        "children": [taxonomy.concepts[child].id for child in taxonomy.children[row]],
        "senses": senses,
        "nearest": nearest_to(prototypes, id, k=k),
        "confusers": [] if prototypes.whitener is None else confusers(prototypes, id, count=count, k=k),
    }


def _row(prototypes: Prototypes, id: str) -> int:
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
