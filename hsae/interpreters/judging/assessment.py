"""The scores of a fitted interpreter on rows of templates that it never met, with intervals over concepts and
templates at once: over concepts alone, they would hold for just these templates."""

from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped

from hsae.interpreters.base import Interpreter, Rows
from hsae.interpreters.calibration import Assessment
from hsae.interpreters.judging.conformal import sets, threshold
from hsae.interpreters.judging.crossed import crossed
from hsae.stats import cluster_mean, wilson


def interval(
    value: Shaped[np.ndarray, " row"],
    owner: Int64[np.ndarray, " row"],
    template: Int64[np.ndarray, " row"] | None = None,
    *,
    seed: int,
) -> dict[str, float]:
    """The mean and its 95 % interval over owners (concepts), and at once over templates where these are given
    and more than one (and values finite, which no draw may multiply by 0); ready for JSON.

    All right or all wrong, a bootstrap would be sure of it; Wilson's interval is not, as if there were one
    row for each owner.
    """
    if template is None or len(np.unique(template)) < 2 or not np.isfinite(value).all():
        found = cluster_mean(value, owner, seed=seed)
    else:
        found = crossed(value.astype(np.float64), owner, template, seed=seed).interval()
    low, high = found.low, found.high
    if value.dtype == bool and found.value in (0, 1):
        owners = len(np.unique(owner))
        low, high = wilson(found.value * owners, owners)
    return {"value": found.value, "low": low, "high": high}


def scores(
    interpreter: Interpreter, found: Assessment, calibration: Rows, test: Rows, *, miss: float, seed: int
) -> dict[str, Any]:
    """Of an interpreter whose temperature is fitted and which made `found` of the rows `test`; conformal sets
    are calibrated on `calibration`, of templates that neither fit, nor temperature, nor test saw."""
    t = threshold(interpreter, calibration, miss=miss, seed=seed)
    held = sets(interpreter, test, t=t, seed=seed)
    owner, template = test.concept.numpy(), test.template.numpy()
    values = {
        "accuracy": found.correct,
        "nll": found.nll,
        "brier": found.brier,
        "coverage": held.covered,
        "set_size": held.size,
    }
    return {
        "n": len(owner),
        "concepts": len(set(owner.tolist())),
        "templates": len(set(template.tolist())),
        "chance": 1 / interpreter.concepts,
        "temperature": float(interpreter.temperature),
        "weights": interpreter.weights,
        "ece": found.ece(),
        "aurc": found.aurc(),
        "wanted_coverage": 1 - miss,
        **{name: interval(value, owner, template, seed=seed) for name, value in values.items()},
    }
