"""What to call a latent: the concept that it tells best from all others, scored on contexts not chosen on."""

from collections.abc import Sequence
from typing import Any, NamedTuple, final

import numpy as np
from jaxtyping import Float, Int

from hsae.concepts import Taxonomy
from hsae.evaluations.labels import Question
from hsae.seeding import numpy_stream
from hsae.stats import Csr, Ranks, auroc, auroc_of, rank, wilson

TOGETHER = 1 << 22  # AUROCs in memory at once: 32 MB
LUCK = 0.05
"""Share of latents that would get a name from labels which mean nothing."""


@final
class _Best(NamedTuple):
    """For each latent its concept of one question."""

    question: Question
    concept: Int[np.ndarray, " latent"]
    sure: Float[np.ndarray, " latent"]
    """Fit AUROC as if four contexts more had been a toss-up, less what luck reaches."""
    fit: Float[np.ndarray, " latent"]
    test: Float[np.ndarray, " latent"]
    n: Int[np.ndarray, " latent"]
    """Contexts of the concept on the test side."""


def names(taxonomy: Taxonomy, questions: Sequence[Question], code: Csr, *, seed: int) -> list[dict[str, Any]]:
    """A row for each latent: concept, name, gloss, test AUROC with interval; its number alone if nameless.

    Concepts as words and as kinds compete by their fit AUROC, shrunk towards chance by four contexts (Agresti
    & Coull 1998), so that a word with five contexts does not beat a kind with a hundred by luck alone. The
    best of a thousand concepts is good by luck: a name takes more than 95 % of the latents reach when the
    labels are permuted.
    """
    found = [_best(question, code, seed=seed) for question in questions]
    rows = []
    for latent in range(code.shape[1]):
        row: dict[str, Any] = {"latent": latent}
        surest = max(found, key=lambda one: one.sure[latent], default=None)
        if surest and surest.sure[latent] > 0:
            row |= _described(taxonomy, surest, latent)
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


def _best(question: Question, code: Csr, *, seed: int) -> _Best:
    fit, test = rank(code[question.fit.rows]), rank(code[question.test.rows])
    fired = code[question.fit.rows].getnnz(0) > 0
    concept, sure, value = _choose(fit, question.fit.truth())
    rng = numpy_stream(seed, f"naming, permuted labels, {question.name}")
    _, lucky, _ = _choose(fit, question.fit.permuted(rng))
    luck = np.quantile(lucky[fired], 1 - LUCK) if fired.any() else np.inf
    off = question.test.truth()
    tested = auroc_of(test, off, concepts=concept, latents=np.arange(len(concept)))
    return _Best(question, concept, sure - luck, value, tested, _positives(off)[concept])


def _choose(
    ranks: Ranks, truth: Csr
) -> tuple[Int[np.ndarray, " latent"], Float[np.ndarray, " latent"], Float[np.ndarray, " latent"]]:
    """Each latent's concept, its shrunk AUROC, and its AUROC."""
    n = _positives(truth)[:, None]
    shift, step = ranks.shift.tocsc(), max(1, TOGETHER // len(n))
    concept, sure, value = [], [], []
    for start in range(0, len(ranks.zero), step):
        some = slice(start, start + step)
        table = auroc(Ranks(shift[:, some].tocsr(), ranks.zero[some]), truth)
        shrunk = (table * n + 2) / (n + 4)
        best, each = shrunk.argmax(0), np.arange(table.shape[1])
        concept.append(best)
        sure.append(shrunk[best, each])
        value.append(table[best, each])
    return np.concatenate(concept), np.concatenate(sure), np.concatenate(value)


def _positives(truth: Csr) -> Int[np.ndarray, " concept"]:
    return np.asarray(truth.sum(0)).ravel().astype(np.int64)
