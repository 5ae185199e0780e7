"""Fitted on one source of contexts, asked on another: does what is learned from definitions hold for scenes?

By shrinkage LDA, whatever the interpreter: one source alone has few contexts.
"""

from collections.abc import Mapping
from typing import Any

from hsae.concepts import Taxonomy
from hsae.interpreters import lda
from hsae.interpreters.base import Rows
from hsae.interpreters.calibration import assess
from hsae.interpreters.classes import classes
from hsae.interpreters.judging.assessment import interval


def matrix(
    fit: Mapping[str, Rows], test: Mapping[str, Rows], *, taxonomy: Taxonomy, seed: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """A line for every pair of sources, with the accuracy on the concepts that both have; and the sources
    that have one context a concept, which leaves no covariance to fit."""
    lines, poor = [], []
    for learned, rows in fit.items():
        known = classes(rows, concepts=len(taxonomy))
        if known.freedom < 1:
            poor.append(learned)
            continue
        fitted = _blank(rows, taxonomy)
        fitted.learn(known)
        for read, others in test.items():
            asked = others.chosen(fitted.seen[others.concept])
            if len(asked.concept):
                correct = assess(fitted, asked).correct
                accuracy = interval(correct, asked.concept.numpy(), asked.template.numpy(), seed=seed)
                lines.append({"fit": learned, "test": read, "n": len(correct), **accuracy})
    return lines, poor


def _blank(rows: Rows, taxonomy: Taxonomy) -> lda.LDA:
    sites = 1 if rows.x.ndim == 2 else rows.x.shape[1]
    settings = lda.Settings(name="lda", shrinkage=None)
    return lda.build(settings, d=rows.x.shape[-1], sites=sites, taxonomy=taxonomy, seed=0)
