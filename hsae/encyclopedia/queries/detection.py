"""What monitoring finds in natural text, held against what is known of it.

A token is of its tagged concept and of all that stands above it, so it has many labels. What monitoring calls
significant on it is true if it is among them, else false; on filler everything is false.

    FDR        mean over tokens of false / max(1, significant), what Benjamini-Hochberg bounds by its rate;
               over texts: the same where the tests of all known tokens of a sentence are one family
    precision  true / significant, recall  true / labels: sums over all tokens
    recall@k   share of a sentence's labels among the k concepts whose largest z over its tokens is largest

Intervals resample documents. Source: Benjamini & Hochberg 1995.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import sparse

from hsae import json_file
from hsae.encyclopedia.queries.labelled import Labelled, Truth
from hsae.encyclopedia.queries.monitoring import Monitor, discoveries
from hsae.encyclopedia.queries.ranking import Ranking
from hsae.seeding import numpy_stream
from hsae.stats import Csr, Interval, cluster_bootstrap, cluster_mean, cluster_sums

TABLE = "detect.json"

ROWS = 4096
"""Tokens that are monitored at once."""


@final
class Monitored(NamedTuple):
    """The concepts of the largest z of each token, z falling along `rank`, and whether they are significant:
    within the token, and within the known tokens of its sentence."""

    concept: Int[np.ndarray, "row rank"]
    z: Float[np.ndarray, "row rank"]
    by_token: Bool[np.ndarray, "row rank"]
    by_text: Bool[np.ndarray, "row rank"]


def monitored(monitor: Monitor, labelled: Labelled, *, fdr: float, top: int) -> Monitored:
    """Every token, as `job=monitor` reads it."""
    device = monitor.prototypes.center.device
    found = [monitor.active(some.to(device), fdr=fdr, top=top) for some in labelled.x.split(ROWS)]
    concept, z, p, significant = (
        torch.cat([getattr(one, name) for one in found]).cpu()
        for name in ("concept", "z", "p", "significant")
    )
    by_text = np.zeros(p.shape, dtype=bool)
    known = labelled.known
    for rows in _sentences(labelled):
        rows = rows[known[rows]]
        family = p[torch.from_numpy(rows)]
        order = family.flatten().argsort(stable=True)
        passed = discoveries(
            family.flatten()[order][None], tests=len(rows) * len(monitor.prototypes), rate=fdr
        )
        here = np.zeros(family.numel(), dtype=bool)
        here[order.numpy()] = passed[0].numpy()
        by_text[rows] = here.reshape(family.shape)
    return Monitored(concept.numpy(), z.numpy(), significant.numpy(), by_text)


def _sentences(labelled: Labelled) -> list[Int[np.ndarray, " row"]]:
    """The rows of each sentence."""
    edges = np.flatnonzero(np.diff(labelled.sentence)) + 1
    return np.split(np.arange(len(labelled.sentence)), edges)


def load(folder: Path) -> dict[str, Any]:
    """What `job=detect` found."""
    return json_file.read(Path(folder) / TABLE)


def is_true(concept: Int[np.ndarray, "row rank"], labels: Csr) -> Bool[np.ndarray, "row rank"]:
    """Which of the concepts are labels of their rows."""
    row = np.repeat(np.arange(len(concept)), concept.shape[1])
    return np.asarray(labels[row, concept.ravel()], dtype=bool).reshape(concept.shape)


def rates(
    found: Monitored, labelled: Labelled, truth: Truth, *, at: Sequence[int], seed: int
) -> dict[str, Any]:
    """False discovery rates, precision, recall and recall@k, each an `Interval` (None where nothing was
    significant: precision is then unknown); `chance_at` is the recall@k of concepts that are drawn."""
    true, tagged, document = is_true(found.concept, truth.labels), labelled.tagged, labelled.document
    share = _false_share(found.by_token, true)
    mean = lambda rows: cluster_mean(share[rows], document[rows], seed=seed)
    labels = np.asarray(truth.labels.sum(1)).ravel()
    own = is_true(found.concept, truth.own)
    hit, said = (true & found.by_token).sum(1), found.by_token.sum(1)
    over = lambda top, bottom: _ratio(top[tagged], bottom[tagged], document[tagged], seed)
    return {
        "fdr": {
            "tagged": mean(tagged),
            "filler": mean(labelled.filler) if labelled.filler.any() else None,
            "known": mean(labelled.known),
            "texts": _by_text(found.by_text, true, labelled, seed),
        },
        "precision": over(hit, said),
        "recall": over(hit, labels),
        "recall_of_the_tagged": over((own & found.by_token).sum(1), np.asarray(truth.own.sum(1)).ravel()),
        "discoveries": int(said[labelled.known].sum()),
        "chance_at": {str(k): min(1.0, k / truth.labels.shape[1]) for k in at},
        "recall_at": {str(k): recall_at(found, labelled, truth.labels, k=k, seed=seed) for k in at},
    }


def _false_share(
    said: Bool[np.ndarray, "row rank"], true: Bool[np.ndarray, "row rank"]
) -> Float[np.ndarray, " row"]:
    return (said & ~true).sum(1) / np.maximum(1, said.sum(1))


def _ratio(
    top: Int[np.ndarray, " row"],
    bottom: Int[np.ndarray, " row"],
    document: Int[np.ndarray, " row"],
    seed: int,
) -> Interval | None:
    if not bottom.sum():
        return None
    return cluster_bootstrap(cluster_sums(np.stack([top, bottom], 1), document), seed=seed)


def _by_text(
    said: Bool[np.ndarray, "row rank"], true: Bool[np.ndarray, "row rank"], labelled: Labelled, seed: int
) -> Interval:
    """The FDR where all tests of a sentence are one family."""
    known = labelled.known
    sentences = [rows for rows in _sentences(labelled) if known[rows].any()]
    share = [(said & ~true)[rows].sum() / max(1, said[rows].sum()) for rows in sentences]
    return cluster_mean(np.array(share), labelled.document[[rows[0] for rows in sentences]], seed=seed)


def recall_at(found: Monitored, labelled: Labelled, labels: Csr, *, k: int, seed: int) -> Interval | None:
    """Recall@k over the sentences that have labels; k is at most the number of ranks that were kept, or all
    concepts were."""
    hits, documents = [], []
    for rows in _sentences(labelled):
        wanted = set(labels[rows].indices.tolist())
        if wanted:
            hits.append(len(wanted & set(_best(found.concept[rows], found.z[rows], k))) / len(wanted))
            documents.append(labelled.document[rows[0]])
    return cluster_mean(np.array(hits), np.array(documents), seed=seed)


def _best(concept: Int[np.ndarray, "row rank"], z: Float[np.ndarray, "row rank"], k: int) -> list[int]:
    """The k concepts whose largest z is largest: each stands among the k first of the token it is largest at,
    or k others do better there."""
    order = np.argsort(-z[:, :k], axis=None, kind="stable")
    return list(dict.fromkeys(concept[:, :k].ravel()[order].tolist()))[:k]


def macro(found: Ranking, own: Csr, *, fewest: int, seed: int) -> dict[str, Any]:
    """Means over concepts with at least `fewest` positives, intervals over concepts; `named` are those that
    tokens were tagged with, `above` those that are true only of what stands below them."""
    enough = found.positives >= fewest
    is_named = np.asarray(own.sum(0)).ravel()[found.concept] > 0
    groups = {"all": enough, "named": enough & is_named, "above": enough & ~is_named}
    told: dict[str, Any] = {}
    for name, rows in groups.items():
        if rows.any():
            mean = lambda values, rows=rows: cluster_mean(values[rows], found.concept[rows], seed=seed)
            told[name] = {
                "ap": mean(found.ap),
                "chance": float(found.prevalence[rows].mean()),
                "auroc": mean(found.auroc),
            }
    return told


def shuffled(truth: Truth, *, seed: int) -> Truth:
    """The truth that prototypes in a drawn order would be held against: each under another concept's name.

    Estimates stay what they are; see `permuted` for the null that makes them anew.
    """
    order = numpy_stream(seed, "shuffled prototypes").permutation(truth.labels.shape[1])
    return Truth(*(sparse.csr_matrix(part[:, order]) for part in truth))
