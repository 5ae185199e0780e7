"""What an interpreter made of each test row, so that two that read the same rows are compared row by row."""

from pathlib import Path
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt64

from hsae.errors import UserError
from hsae.journal import whole

FILE = "judged.npz"


@final
class Judged(NamedTuple):
    """One entry for each test row."""

    uid: UInt64[np.ndarray, " row"]
    """Names the context (concept, text and span), in whichever encyclopedia it stands."""
    concept: Int32[np.ndarray, " row"]
    """Row of the taxonomy: the unit that intervals resample."""
    template: Int32[np.ndarray, " row"]
    source: Int32[np.ndarray, " row"]
    """Places in the `templates` and `sources` of the encyclopedia that was judged on."""
    correct: Bool[np.ndarray, " row"]
    nll: Float32[np.ndarray, " row"]
    """-log p(true concept), in nats; infinite where the concept was never seen."""
    confidence: Float32[np.ndarray, " row"]
    """Probability of the likeliest concept."""


def save(judged: Judged, folder: Path) -> None:
    """Beside the scores that were made of it."""
    with whole(Path(folder) / FILE) as draft, draft.open("wb") as file:
        np.savez_compressed(file, **judged._asdict())


def load(folder: Path) -> Judged:
    """Of a result folder of job=interpret. Raises UserError where there is none."""
    path = Path(folder) / FILE
    if not path.is_file():
        raise UserError(
            f"{folder} holds no {FILE}: it was split by concept, or is no result of job=interpret.\n"
            "Make one with hsae job=interpret"
        )
    with np.load(path) as found:
        return Judged(**{name: found[name] for name in Judged._fields})


def matched(one: Judged, other: Judged) -> tuple[Judged, Judged]:
    """The rows that both were asked, in one order. Raises UserError where there is none."""
    _, first, second = np.intersect1d(one.uid, other.uid, return_indices=True)
    if not len(first):
        raise UserError(
            "the two were judged on different contexts.\nJudge both on the same stage: job.judge=templates"
        )
    return _chosen(one, first), _chosen(other, second)


def _chosen(judged: Judged, rows: np.ndarray) -> Judged:
    return Judged(*(column[rows] for column in judged))
