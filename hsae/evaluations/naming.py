"""What to call a latent: the concept that it tells best from all others, scored on contexts not chosen on."""

from collections.abc import Sequence
from typing import Any, NamedTuple, final

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from hsae.concepts import Taxonomy
from hsae.evaluations.labels import Question
from hsae.stats import Csr, Ranks, auroc, auroc_of, rank, wilson

TOGETHER = 1 << 22  # AUROCs in memory at once: 32 MB


@final
class _Best(NamedTuple):
    """For each latent its concept of one question."""

    question: Question
    concept: Int[np.ndarray, " latent"]
    sure: Float[np.ndarray, " latent"]
    """Fit AUROC as if four contexts more had been a toss-up."""
    fit: Float[np.ndarray, " latent"]
    test: Float[np.ndarray, " latent"]
    n: Int[np.ndarray, " latent"]
    """Contexts of the concept on the test side."""


def names(taxonomy: Taxonomy, questions: Sequence[Question], code: Csr) -> list[dict[str, Any]]:
    """A row for each latent: concept, name, gloss, test AUROC with interval; its number if it never fired.

    Concepts as words and as kinds compete by their fit AUROC, shrunk towards chance by four contexts (Agresti
    & Coull 1998), so that a word with five contexts does not beat a kind with a hundred by luck alone.
    """
    found = [_best(question, code) for question in questions]
    fired = np.any([code[one.question.fit.rows].getnnz(0) > 0 for one in found], axis=0)
    rows = []
    for latent in range(code.shape[1]):
        row: dict[str, Any] = {"latent": latent}
        if found and fired[latent]:
            row |= _described(taxonomy, max(found, key=lambda one: one.sure[latent]), latent)
        rows.append(row)
    return rows


def _described(taxonomy: Taxonomy, best: _Best, latent: int) -> dict[str, Any]:
    concept = taxonomy.concepts[best.question.concepts[best.concept[latent]]]
    test, n = float(best.test[latent]), int(best.n[latent])
    low, high = wilson(test * n, n)
    return {
        "concept": concept.id,
        "name": concept.name,
        "gloss": concept.gloss,
        "as": best.question.name,
        "auroc_fit": float(best.fit[latent]),
        "auroc": test,
        "low": low,
        "high": high,
        "n": n,
    }


def _best(question: Question, code: Csr) -> _Best:
    fit, test = rank(code[question.fit.rows]), rank(code[question.test.rows])
    on, off = question.fit.truth(), question.test.truth()
    n_on, n_off = (np.asarray(truth.sum(0)).ravel().astype(np.int64) for truth in (on, off))
    concept, sure, value = [], [], []
    shift, step = fit.shift.tocsc(), max(1, TOGETHER // len(n_on))
    for start in range(0, len(fit.zero), step):
        some = slice(start, start + step)
        table = auroc(Ranks(shift[:, some].tocsr(), fit.zero[some]), on)
        shrunk = (table * n_on[:, None] + 2) / (n_on[:, None] + 4)
        best = shrunk.argmax(0)
        concept.append(best)
        sure.append(shrunk.max(0))
        value.append(table[best, np.arange(table.shape[1])])
    best = np.concatenate(concept)
    tested = auroc_of(test, off, concepts=best, latents=np.arange(len(best)))
    return _Best(question, best, np.concatenate(sure), np.concatenate(value), tested, n_off[best])
