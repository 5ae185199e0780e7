"""The space in which contexts of one concept scatter equally in all directions: for comparing concepts."""

import numpy as np
from jaxtyping import Float


def whitener(within: Float[np.ndarray, "d d"], *, freedom: int) -> Float[np.ndarray, "d d"]:
    """W = S^(-1/2), symmetric, of the pooled covariance within concepts shrunk to a multiple of the identity.

    Rows become x @ W. The amount of shrinkage follows from the covariance and its degrees of freedom
    (contexts minus concepts): oracle approximating shrinkage, Chen, Wiesel, Eldar & Hero 2010. Directions
    without any variance count as having a millionth of the average, or they would swallow all others.
    Raises `ValueError` where contexts do not vary at all.
    """
    d, total = len(within), float(np.trace(within))
    if not total > 0 or freedom < 1:
        raise ValueError(f"a covariance of trace {total} from {freedom} degrees of freedom cannot whiten")
    squares = float(np.square(within).sum())
    spread = squares - total**2 / d
    share = ((1 - 2 / d) * squares + total**2) / ((freedom + 1 - 2 / d) * spread) if spread > 0 else 1.0
    share = min(1.0, share)
    values, axes = np.linalg.eigh(within.astype(np.float64))
    values = (1 - share) * np.maximum(values, 1e-6 * total / d) + share * total / d
    return (axes / np.sqrt(values)) @ axes.T


def discriminants(
    whitened: Float[np.ndarray, "concept d"], directions: int
) -> Float[np.ndarray, "d direction"]:
    """The orthogonal directions along which whitened concepts' means spread most (LDA's, Fisher 1936; Rao
    1948).

    Rows become x @ W @ D. Where contexts are few and d is large, look for senses here, not in all d.
    """
    centred = whitened.astype(np.float64) - whitened.mean(0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    return np.ascontiguousarray(axes[:, ::-1][:, :directions])
