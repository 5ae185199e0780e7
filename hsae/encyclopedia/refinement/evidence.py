"""What is known of each concept when it is decided whether to read more of it."""

import numpy as np
from jaxtyping import Bool, Float, Int

from hsae.encyclopedia.convergence.curve import RelativeError, effective_dimensions, relative_error
from hsae.encyclopedia.encyclopedia import Encyclopedia, RawRows
from hsae.encyclopedia.refinement.margins import Margins, concept_means, nearest_confusers, retrieval_margins
from hsae.encyclopedia.refinement.senses import senses
from hsae.encyclopedia.refinement.stopping import Evidence, Rule, pseudo_word_p
from hsae.encyclopedia.whitening import discriminants, whitener

DIRECTIONS = 16
"""Of the whitened space, in which senses are looked for: those along which concepts differ most."""


def evidence(
    book: Encyclopedia, site: str, rule: Rule, *, exhausted: Bool[np.ndarray, " concept"]
) -> Evidence:
    """The evidence at one site, from contexts of the roles fit and tune."""
    rows = _whitened(book, site)
    margin = _margins(rows, book, rule.level)
    axes = discriminants(_means(rows, len(exhausted)), min(DIRECTIONS, rows.x.shape[1]))
    error = error_of(book, site, level=rule.level)
    templates, sources = kinds(book)
    return Evidence(
        count=_read(book),
        error=np.sqrt(error.upper),
        margin=margin.lower,
        templates=templates,
        sources=sources,
        split=senses(rows.x @ axes, rows.concept, concepts=len(exhausted)).split,
        null_p=_null_p(book, site),
        exhausted=exhausted,
    )


def margins_of(book: Encyclopedia, site: str, *, level: float = 0.95) -> Margins:
    """How surely each concept is found among its confusers; see `hsae.encyclopedia.refinement.margins`."""
    return _margins(_whitened(book, site), book, level)


def confusers_of(book: Encyclopedia, site: str, *, neighbours: int) -> Int[np.ndarray, "concept neighbour"]:
    """The concepts that each is most easily taken for, nearest first; -1 where there are fewer."""
    rows = _whitened(book, site)
    known = concept_means(rows.x, rows.concept, concepts=len(book.taxonomy))
    return nearest_confusers(known, neighbours=neighbours)


def error_of(book: Encyclopedia, site: str, *, level: float) -> RelativeError:
    """Relative error of each concept's mean, squared and centred, with its upper bound."""
    return relative_error(
        book.count().numpy(),
        book.mean(site).numpy(),
        book.variance(site).double().sum(1).numpy(),
        effective=effective_dimensions(book.covariance(site).numpy()),
        centred=True,
        level=level,
    )


def kinds(
    book: Encyclopedia,
) -> tuple[Int[np.ndarray, " concept"], Int[np.ndarray, " concept"]]:
    """How many different templates, and sources, each concept's contexts of the roles fit and tune have."""
    found = []
    for number in range(len(book.shards)):
        block = book.block(number)
        seen = block.table["role"] < 2
        concept = block.table["concept"][seen].astype(np.int64)
        for name in ("template", "source"):
            pairs = np.unique(np.stack([concept, block.table[name][seen].astype(np.int64)]), axis=1)
            found.append(np.bincount(pairs[0], minlength=len(block.rows)))
    return np.concatenate(found[::2]), np.concatenate(found[1::2])


def _read(book: Encyclopedia) -> Int[np.ndarray, " concept"]:
    return (book.count(role="fit") + book.count(role="tune")).numpy()


def _whitened(book: Encyclopedia, site: str) -> RawRows:
    """Raw rows of the roles fit and tune, whitened."""
    fit, tune = (book.rows(site, role=role) for role in ("fit", "tune"))
    rows = RawRows(*(np.concatenate(pair) for pair in zip(fit, tune, strict=True)))
    freedom = int((book.count() - 1).clamp(min=0).sum())
    w = whitener(book.covariance(site).numpy(), freedom=freedom).astype(np.float32)
    return rows._replace(x=rows.x @ w)


def _margins(rows: RawRows, book: Encyclopedia, level: float) -> Margins:
    known = concept_means(rows.x, rows.concept, concepts=len(book.taxonomy))
    confusers = nearest_confusers(known)
    return retrieval_margins(rows.x, rows.concept, rows.template, confusers, level=level)


def _means(rows: RawRows, concepts: int) -> Float[np.ndarray, "known d"]:
    known = concept_means(rows.x, rows.concept, concepts=concepts)
    return known.mean[known.count > 0]


def _null_p(book: Encyclopedia, site: str) -> Float[np.ndarray, " concept"]:
    """How likely a word without a meaning is to be as reliable, a single context of each."""
    if book.controls is None:
        return np.full(len(book.taxonomy), np.nan)
    concepts, words = (_single(one, site) for one in (book, book.controls))
    pseudo = np.array([concept.id.startswith("control:pseudo_word") for concept in book.controls.taxonomy])
    return pseudo_word_p(concepts, words[pseudo & ~np.isnan(words)])


def _single(book: Encyclopedia, site: str) -> Float[np.ndarray, " concept"]:
    """Reliability of a single context: 1 / (1 + n e^2)."""
    squared = error_of(book, site, level=0.95).squared
    return 1 / (1 + book.count().numpy() * squared)
