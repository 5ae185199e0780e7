"""Moving a running language model along a direction, and the directions that concepts give.

HatCat (phase 6) removed as many principal components from concept vectors as there were vectors, rescaled the
rounding noise that was left to norm 1 and steered by that; and its sign was turned, so that a negative
strength amplified. Here what is left of a direction must be more than noise, and a positive strength means
more of the concept.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from hsae.errors import UserError
from hsae.lm import LM

LEAST = 1e-3
"""What must remain of a vector's norm after something was taken out of it."""


def contrast(vector: Float[Tensor, " d"], others: Float[Tensor, "other d"]) -> Float[Tensor, " d"]:
    """What tells a concept from others: its vector without its projection on their span, of norm 1.

    Raises `UserError` where less than `LEAST` of its norm lies outside.
    """
    if not len(others):
        return unit(vector[None])[0]
    return removed(vector[None], basis(others, len(others)))[0]


def basis(vectors: Float[Tensor, "vector d"], components: int) -> Float[Tensor, "component d"]:
    """The orthonormal directions in which the vectors, as they are, extend most: their first right singular
    vectors; fewer than asked where they span less.

    Not centred: k centred vectors span k - 1 dimensions, and the k-th component is rounding noise.
    """
    _, size, rows = torch.linalg.svd(vectors.double(), full_matrices=False)
    kept = int((size > size.max() * max(vectors.shape) * torch.finfo(vectors.dtype).eps).sum())
    return rows[: min(components, kept)].to(vectors.dtype)


def removed(
    vectors: Float[Tensor, "vector d"], basis: Float[Tensor, "component d"]
) -> Float[Tensor, "vector d"]:
    """The vectors without their part in the span of an orthonormal basis, each of norm 1.

    v - B^T B v, over its norm. Raises `UserError` for a vector of which less than `LEAST` remains: to rescale
    that would be to steer by rounding.
    """
    within = vectors.double() @ basis.double().T @ basis.double()
    rest = vectors.double() - within
    share = rest.norm(dim=1) / vectors.double().norm(dim=1)
    if (lost := (~(share >= LEAST)).nonzero().flatten()).numel():
        row = int(lost[0])
        raise UserError(
            f"of {len(vectors)} directions {lost.numel()} lie in the {len(basis)} components that were to be "
            f"removed: {float(share[row]):.1e} of the norm of direction {row} is left, below {LEAST}.\n"
            "What is left is rounding, and no direction. Remove fewer components."
        )
    return unit(rest).to(vectors.dtype)


def unit(vectors: Float[Tensor, "vector d"]) -> Float[Tensor, "vector d"]:
    """Each over its norm. Raises `UserError` for a vector of zeros, or one that is not finite."""
    norm = vectors.norm(dim=1, keepdim=True)
    if not ((norm > 0) & norm.isfinite()).all():
        raise UserError("a vector of zeros, or one that is not finite, has no direction to steer in.")
    return vectors / norm


@contextmanager
def steered(lm: LM, site: str, direction: Float[Tensor, " d"], strength: float) -> Iterator[None]:
    """Inside the `with`, every activation h at the site is h + strength |h| v, v the direction of norm 1.

    The strength is relative to each token's own norm, so that one number means alike at all sites and for all
    models; above 0 it is more of the concept, below 0 less.
    """
    v = unit(direction[None].float())[0]

    def change(h: Float[Tensor, "batch token d"]) -> Float[Tensor, "batch token d"]:
        along = v.to(h.device, h.dtype)
        return h + strength * h.norm(dim=-1, keepdim=True) * along

    with lm.edited(site, change):
        yield
