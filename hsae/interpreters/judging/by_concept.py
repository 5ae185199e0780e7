"""The split of 2025, kept to show what it does: whole concepts go to training, validation and test.

Training never shows a closed softmax a row of the others, so their outputs are never a target and are only
pushed down: the accuracy on them is 0 by construction, whatever the activations hold.
"""

from typing import NamedTuple, final

from hsae.interpreters.base import Rows

TRAIN, VALIDATION = 0.8, 0.1
"""Shares of the concepts, in the taxonomy's order; the rest is the test."""

WHY = (
    "The split is by concept: no concept of validation or test has a row in training, so outputs for them "
    "are never a target and weight decay and cross entropy push them down. Accuracy on them is 0 by "
    "construction, and says nothing about the activations. Split by template (job.split=role) to ask them."
)


@final
class ByConcept(NamedTuple):
    """Rows of disjoint concepts."""

    train: Rows
    validation: Rows
    test: Rows


def by_concept(rows: Rows, *, concepts: int) -> ByConcept:
    """The first eight tenths of the concepts, the next, and the last."""
    first, second = round(TRAIN * concepts), round((TRAIN + VALIDATION) * concepts)
    of = rows.concept
    return ByConcept(
        *(rows.chosen(part) for part in (of < first, (of >= first) & (of < second), of >= second))
    )
