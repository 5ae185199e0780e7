"""Whether a posterior means what it says: temperature, calibration, what confidence is worth.

Everything goes over rows a batch at a time; only numbers per row are kept, never [all rows, concepts].
"""

from collections.abc import Callable
from typing import Any, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from hsae.interpreters.base import BATCH, Interpreter, Rows

BOUNDS = 1e-3, 1e3
"""Of the factor on the logits."""

FLAT = 1e-6
"""Slope of the mean loss by the log of the factor, in nats, at which it is found. Where every row of tune is
right, the likelihood has no maximum; it then ends where more would gain no more than that."""


@torch.no_grad()
def fit_temperature(interpreter: Interpreter, tune: Rows, *, batch: int = BATCH) -> float:
    """The temperature T that makes tune likeliest under softmax(scores / T); set, and returned.

    With b = 1/T the loss is convex: its slope is E_p[s] - s_true, its curvature Var_p[s]; Newton steps on b,
    held inside a bracket that every slope narrows.
    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599.
    """
    low, high = BOUNDS
    b = min(max(1 / interpreter.temperature.item(), low), high)
    for _ in range(50):
        slope, curvature = _derivatives(interpreter, tune, b, batch=batch)
        if abs(slope) * b <= FLAT * len(tune.concept):
            break
        low, high = (b, high) if slope < 0 else (low, b)
        newton = b - slope / curvature if curvature > 0 else high
        b = newton if low < newton < high else (low * high) ** 0.5
    interpreter.temperature.fill_(1 / b)
    return 1 / b


def _derivatives(interpreter: Interpreter, rows: Rows, b: float, *, batch: int) -> tuple[float, float]:
    """First and second derivative of the summed loss by b."""
    slope = curvature = 0.0
    for part in rows.batches(batch):
        scores = interpreter.scores(interpreter.shaped(part.x)).double()
        p = torch.softmax(b * scores, dim=1)
        scores = scores.masked_fill(scores.isneginf(), 0.0)  # p is 0 there
        mean = (p * scores).sum(1)
        true = scores.gather(1, part.concept.to(scores.device)[:, None]).squeeze(1)
        slope += (mean - true).sum().item()
        curvature += (p * (scores - mean[:, None]).square()).sum().item()
    return slope, curvature


@final
class Assessment(NamedTuple):
    """What the posterior said of each row, so that intervals can resample templates or concepts."""

    correct: Bool[np.ndarray, " row"]
    """The likeliest concept is the true one."""
    confidence: Float64[np.ndarray, " row"]
    """Probability of the likeliest concept, unless another confidence was asked for."""
    nll: Float64[np.ndarray, " row"]
    """-log p(true concept), in nats; infinite where the true concept was never seen."""
    brier: Float64[np.ndarray, " row"]
    """Sum over concepts of (p - 1[true])^2: 0 to 2."""

    def ece(self, bins: int = 15) -> float:
        """Expected calibration error over bins of equal numbers of rows, sorted by confidence:
        sum over bins of share |accuracy - mean confidence|.

        Biased upwards by about sqrt(bins / rows): compare at equal n. Source: Nixon et al. 2019,
        arXiv:1904.01685.
        """
        gap = (self.correct - self.confidence)[np.argsort(self.confidence, kind="stable")]
        return float(sum(abs(part.sum()) for part in np.array_split(gap, bins)) / len(gap))

    def aurc(self) -> float:
        """Area under risk over coverage: the error rate among the n most confident rows, averaged over n.

        Rows of equal confidence count as if in random order. Source: Geifman et al. 2019, arXiv:1805.08206.
        """
        order = np.argsort(-self.confidence, kind="stable")
        _, start, size = np.unique(-self.confidence[order], return_index=True, return_counts=True)
        wrong = np.add.reduceat((~self.correct[order]).astype(np.float64), start) / size
        risk = np.cumsum(np.repeat(wrong, size)) / np.arange(1, len(order) + 1)
        return float(risk.mean())

    def summary(self) -> dict[str, float]:
        """Means over rows, ready for a table."""
        return {
            "accuracy": float(self.correct.mean()),
            "nll": float(self.nll.mean()),
            "brier": float(self.brier.mean()),
            "ece": self.ece(),
            "aurc": self.aurc(),
        }


def top_probability(log_posterior: Float[Tensor, "row concept"]) -> Float[Tensor, " row"]:
    """max p: the confidence that calibration is about."""
    return log_posterior.amax(1).exp()


@torch.no_grad()
def assess(
    interpreter: Interpreter,
    rows: Rows,
    *,
    confidence: Callable[[Any], Any] = top_probability,
    batch: int = BATCH,
) -> Assessment:
    """Read every row once. `confidence` maps log posteriors to a number per row."""
    columns: list[list[Tensor]] = [[], [], [], []]
    for part in rows.batches(batch):
        log_p = interpreter.log_posterior(part.x)
        concept = part.concept.to(log_p.device)
        true = log_p.gather(1, concept[:, None]).squeeze(1).double()
        p = log_p.double().exp()
        brier = p.square().sum(1) - 2 * true.exp() + 1
        for column, value in zip(
            columns, (log_p.argmax(1) == concept, confidence(log_p).double(), -true, brier), strict=True
        ):
            column.append(value.cpu())
    return Assessment(*(torch.cat(column).numpy() for column in columns))
