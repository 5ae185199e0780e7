"""What lies near what: the concepts nearest to a vector, those that a concept is taken for, its card."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from hsae.concepts import Taxonomy
from hsae.encyclopedia.queries.prototypes import Prototypes
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


@final
class HeldOut(NamedTuple):
    """The mean of n contexts of a concept that its vector knows nothing of (role tune or test)."""

    mean: Float[Tensor, " d"]
    n: int


def confusers(prototypes: Prototypes, id: str, *, held_out: HeldOut | None, k: int) -> list[dict[str, Any]]:
    """The k concepts that contexts of `id` are most easily taken for: nearest by |w_c - w_k|, with margins.

        distance   D = |w_c - w_k|, in standard deviations within concepts
        margin     (z - (w_c + w_k) / 2) . (w_c - w_k) / D with z of the held-out mean: how far contexts that
                   w_c was not made of lie on c's side of the border
        confusion  Phi(-margin sqrt(n / (n - 1))): the share of them on the other side, without bias if they
                   are Gaussian around their mean with the covariance within (Lieberman & Resnikoff 1955)

    Distances between means of few contexts are mostly noise, and the nearest are picked for it: only what was
    held out tells a margin, so without it margin and confusion are None. Raises `UserError` for prototypes
    without a whitener, whose distances have no unit.
    """
    if prototypes.whitener is None:
        raise UserError("margins are in units of the spread within concepts: whiten the prototypes.")
    row = _row(prototypes, id)
    w = prototypes.rows.float() * prototypes.norm[:, None]
    distance = torch.linalg.vector_norm(w - w[row], dim=1)
    distance[row] = torch.inf
    near = distance.topk(min(k, len(prototypes) - 1), largest=False)
    named = [prototypes.ids[other] for other in near.indices.tolist()]
    pairs = zip(named, near.values.tolist(), strict=True)
    if held_out is None:
        return [{"id": other, "distance": d, "margin": None, "confusion": None} for other, d in pairs]
    z = (held_out.mean.to(prototypes.center) - prototypes.center) @ prototypes.whitener
    other = w[near.indices]
    margin = ((z - (w[row] + other) / 2) * (w[row] - other)).sum(1).double() / near.values
    wider = (held_out.n / (held_out.n - 1)) ** 0.5 if held_out.n > 1 else torch.inf
    share = torch.special.ndtr(-margin * wider)
    columns = zip(pairs, margin.tolist(), share.tolist(), strict=True)
    return [{"id": other, "distance": d, "margin": m, "confusion": p} for (other, d), m, p in columns]


def card(
    taxonomy: Taxonomy,
    prototypes: Prototypes,
    id: str,
    *,
    n: Mapping[str, int],
    error: float | None,
    held_out: HeldOut | None,
    k: int = 8,
) -> dict[str, Any]:
    """All that is known of a concept, ready for JSON.

    `n` is the concept's contexts by role, `error` its relative error (None below two contexts), `held_out`
    what margins are taken of. Prototypes without a whitener have no confusers to tell.
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
        "confusers": [] if prototypes.whitener is None else confusers(prototypes, id, held_out=held_out, k=k),
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
