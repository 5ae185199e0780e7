"""The scores of a fitted interpreter on rows of templates that it never met, with intervals over concepts."""

from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped

from hsae.interpreters.base import Interpreter, Rows
from hsae.interpreters.calibration import Assessment
from hsae.interpreters.conformal import sets, threshold
from hsae.stats import cluster_mean


def interval(
    value: Shaped[np.ndarray, " row"], owner: Int64[np.ndarray, " row"], *, seed: int
) -> dict[str, float]:
    """The mean and its 95 % interval over owners (concepts), ready for JSON."""
    found = cluster_mean(value, owner, seed=seed)
    return {"value": found.value, "low": found.low, "high": found.high}


def scores(
    interpreter: Interpreter, found: Assessment, calibration: Rows, test: Rows, *, miss: float, seed: int
) -> dict[str, Any]:
    """Of an interpreter whose temperature is fitted and which made `found` of the rows `test`; conformal sets
    are calibrated on `calibration`, of templates that neither fit, nor temperature, nor test saw."""
    t = threshold(interpreter, calibration, miss=miss, seed=seed)
    held = sets(interpreter, test, t=t, seed=seed)
    owner = test.concept.numpy()
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
        "chance": 1 / interpreter.concepts,
        "temperature": float(interpreter.temperature),
        "weights": interpreter.weights,
        "ece": found.ece(),
        "aurc": found.aurc(),
        "wanted_coverage": 1 - miss,
        **{name: interval(value, owner, seed=seed) for name, value in values.items()},
    }
