"""How well each concept's score tells its tokens from all others: average precision and AUROC.

Both are of the standardised scores z of `Monitor`, over the known tokens. Every positive of a concept counts,
be it tagged with the concept or with what stands below it.
"""

from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import sparse
from torch.nn import functional

from hsae.encyclopedia.queries.labelled import Labelled, Truth
from hsae.encyclopedia.queries.monitoring import Monitor
from hsae.encyclopedia.queries.nulls import standardised
from hsae.stats import Csr, separation, wilson

BLOCK = 256
"""Concepts whose scores are held at once."""


@final
class Ranking(NamedTuple):
    """For each concept that has a positive and a negative, by its column."""

    concept: Int[np.ndarray, " concept"]
    positives: Int[np.ndarray, " concept"]
    prevalence: Float[np.ndarray, " concept"]
    """Share of positives among the known tokens: the average precision of a random order."""
    ap: Float[np.ndarray, " concept"]
    auroc: Float[np.ndarray, " concept"]


def ranking(monitor: Monitor, labelled: Labelled, labels: Csr) -> Ranking:
    """Average precision and AUROC of every concept with positives, over the known tokens."""
    known = labelled.known
    truth = labels[known].tocsc()
    positives = np.asarray(truth.sum(0), dtype=np.int64).ravel()
    chosen = np.flatnonzero((positives > 0) & (positives < truth.shape[0]))
    device = monitor.prototypes.center.device
    rows = labelled.x[torch.from_numpy(known)].to(device)
    features = monitor.prototypes.features(rows).to(monitor.prototypes.compute)
    weights, bias = standardised(monitor.prototypes, monitor.nulls.mean, monitor.nulls.std)
    found: list[tuple[float, float]] = []
    for start in range(0, len(chosen), BLOCK):
        some = torch.from_numpy(chosen[start : start + BLOCK]).to(device)
        z = functional.linear(features, weights[some], bias[some]).float().cpu().numpy()
        of = truth[:, chosen[start : start + BLOCK]].toarray().astype(bool)
        found += [
            (average_precision(z[:, at], of[:, at]), separation(z[:, at], of[:, at]))
            for at in range(z.shape[1])
        ]
    ap, auroc = np.array(found).reshape(-1, 2).T
    return Ranking(chosen, positives[chosen], positives[chosen] / truth.shape[0], ap, auroc)


def average_precision(scores: Float[np.ndarray, " row"], positive: Bool[np.ndarray, " row"]) -> float:
    """The mean over positives of the share of positives among what scores at least as much.

    Equal scores are one step, so no order of the rows makes it better.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], positive[order]
    last = np.r_[ranked[1:] != ranked[:-1], True]  # where a step of equal scores ends
    reached = hits.cumsum()[last]
    precision = reached / (np.flatnonzero(last) + 1)
    return float((precision * np.diff(reached, prepend=0)).sum() / reached[-1])


@final
class ByConcept(NamedTuple):
    """What is known of one concept; `named` counts the tokens that were tagged with it itself. Precision is
    None where it was never called significant. Intervals are Wilson's, as if each document had one token."""

    column: int
    positives: int
    named: int
    documents: int
    prevalence: float
    ap: float
    auroc: float
    auroc_low: float
    auroc_high: float
    significant: int
    precision: float | None
    precision_low: float | None
    precision_high: float | None
    recall: float
    recall_low: float
    recall_high: float


def by_concept(
    ranked: Ranking,
    labelled: Labelled,
    truth: Truth,
    concept: Int[np.ndarray, "row rank"],
    significant: Bool[np.ndarray, "row rank"],
) -> list[ByConcept]:
    """One entry for each concept of the ranking; `concept` and `significant` are of every token, as
    `Monitored` has them, and count on the known ones.

    The AUROC is a mean over positives of the share of negatives that each outscores, so its interval is that
    of a rate over the documents that the positives stand in; the negatives, which are many, count as fixed.
    """
    said = _significant(concept, significant, shape=truth.labels.shape)
    known = labelled.known
    count = lambda of: np.asarray(of[known].sum(0)).ravel().tolist()
    hits, calls, named = count(truth.labels.multiply(said).tocsr()), count(said), count(truth.own)
    positive, active = truth.labels.tocsc(), said.tocsc()
    found = []
    for at, column in enumerate(ranked.concept.tolist()):
        documents = len(np.unique(labelled.document[positive[:, column].indices]))
        calling = active[:, column].indices
        places = len(np.unique(labelled.document[calling[known[calling]]]))
        positives, area = int(ranked.positives[at]), float(ranked.auroc[at])
        hit, called = int(hits[column]), int(calls[column])
        found.append(
            ByConcept(
                column,
                positives,
                int(named[column]),
                documents,
                float(ranked.prevalence[at]),
                float(ranked.ap[at]),
                area,
                *wilson(area * documents, documents),
                called,
                *((hit / called, *wilson(hit / called * places, places)) if called else (None, None, None)),
                hit / positives,
                *wilson(hit / positives * documents, documents),
            )
        )
    return found


def _significant(
    concept: Int[np.ndarray, "row rank"], significant: Bool[np.ndarray, "row rank"], *, shape: tuple[int, int]
) -> Csr:
    row, rank = np.nonzero(significant)
    ones = np.ones(len(row), dtype=np.int8)
    return sparse.csr_matrix((ones, (row, concept[row, rank])), shape=shape)
