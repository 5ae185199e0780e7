"""What is known of each concept when it is decided whether to read more of it."""

from functools import lru_cache
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Bool, Int

from hsae.encyclopedia.convergence.curve import (
    RelativeError,
    chance_offset_p,
    effective_dimensions,
    relative_error,
)
from hsae.encyclopedia.encyclopedia import Encyclopedia, RawRows
from hsae.encyclopedia.refinement.margins import (
    Margins,
    MarginSums,
    concept_means,
    margin_sums,
    nearest_confusers,
)
from hsae.encyclopedia.refinement.senses import senses
from hsae.encyclopedia.refinement.stopping import Evidence, Rule
from hsae.encyclopedia.whitening import discriminants, whitener

DIRECTIONS = 16
"""Of the whitened space, in which senses are looked for: those along which concepts differ most."""


def evidence(
    book: Encyclopedia, site: str, rule: Rule, *, exhausted: Bool[np.ndarray, " concept"]
) -> Evidence:
    """The evidence at one site, from contexts of the roles fit and tune."""
    seen, (moments, effective) = _seen(book, site), _moments(book, site)
    error = relative_error(*moments, effective=effective, centred=True, level=rule.level)
    templates, sources = kinds(book)
    return Evidence(
        count=_read(book),
        error=np.sqrt(error.upper),
        margin=seen.margins.margins(rule.level).lower,
        templates=templates,
        sources=sources,
        split=seen.split,
        null_p=chance_offset_p(*moments, effective=effective),
        exhausted=exhausted,
    )


@final
class _Seen(NamedTuple):
    """What all whitened rows together say."""

    margins: MarginSums
    split: Bool[np.ndarray, " concept"]


@lru_cache(maxsize=1)  # the rule, the policy and the makers of contexts ask in turns, of the same book
def _seen(book: Encyclopedia, site: str) -> _Seen:
    rows = _whitened(book, site)
    known = concept_means(rows.x, rows.concept, concepts=len(book.taxonomy))
    axes = discriminants(known.mean[known.count > 0], min(DIRECTIONS, rows.x.shape[1]))
    return _Seen(
        margin_sums(rows.x, rows.concept, rows.template, nearest_confusers(known)),
        senses(rows.x @ axes, rows.concept, concepts=len(book.taxonomy)).split,
    )


def margins_of(book: Encyclopedia, site: str, *, level: float = 0.95) -> Margins:
    """How surely each concept is found among its confusers; see `hsae.encyclopedia.refinement.margins`."""
    return _seen(book, site).margins.margins(level)


def confusers_of(book: Encyclopedia, site: str, *, neighbours: int) -> Int[np.ndarray, "concept neighbour"]:
    """The concepts that each is most easily taken for (`margins.NEIGHBOURS` at most), nearest first; -1 where
    there are fewer."""
    return _seen(book, site).margins.confusers[:, :neighbours]


def error_of(book: Encyclopedia, site: str, *, level: float) -> RelativeError:
    """Relative error of each concept's mean, squared and centred, with its upper bound."""
    moments, effective = _moments(book, site)
    return relative_error(*moments, effective=effective, centred=True, level=level)


def _moments(book: Encyclopedia, site: str) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], float]:
    """Count, mean and total variance of each concept's contexts of the role fit, and the directions that
    contexts scatter in."""
    moments = book.count().numpy(), book.mean(site).numpy(), book.variance(site).double().sum(1).numpy()
    return moments, effective_dimensions(book.covariance(site).numpy())


def kinds(
    book: Encyclopedia,
) -> tuple[Int[np.ndarray, " concept"], Int[np.ndarray, " concept"]]:
    """How many different templates, and sources, each concept's contexts of the roles fit and tune have."""
    found = []
    for number in range(len(book.shards)):
        of, concepts = book.columns(number)
        seen = of["role"] < 2
        concept = of["concept"][seen].astype(np.int64)
        for name in ("template", "source"):
            kind = of[name][seen].astype(np.int64)
            kinds = int(kind.max(initial=0)) + 1
            found.append(np.bincount(np.unique(concept * kinds + kind) // kinds, minlength=concepts))
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
