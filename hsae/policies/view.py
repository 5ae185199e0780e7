"""What a policy may look at: the encyclopedia as it is now, at one site, and how well it tells its own
contexts apart."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Float, Float32, Int, Int64
from scipy.special import entr, log_softmax

from hsae.encyclopedia import Encyclopedia
from hsae.encyclopedia.encyclopedia import RawRows
from hsae.encyclopedia.refinement.evidence import margins_of
from hsae.encyclopedia.refinement.margins import Margins
from hsae.encyclopedia.whitening import whitener

BATCH = 1024
"""Held-out rows that are compared with all concepts at once."""


@final
class Judged(NamedTuple):
    """Per concept, means over its held-out contexts of what shrinkage LDA says of them; NaN where there is
    none."""

    entropy: Float[np.ndarray, " concept"]
    """Of the posterior, in nats."""
    gap: Float[np.ndarray, " concept"]
    """Between the two likeliest concepts' probabilities."""
    top: Float[np.ndarray, " concept"]
    """Probability of the likeliest concept."""
    right: Float[np.ndarray, " concept"]
    """Probability of the concept itself."""
    accuracy: Float[np.ndarray, " concept"]
    """Share of the contexts of which it is the likeliest."""
    set_size: Float[np.ndarray, " concept"]
    """Concepts in a split-conformal set of level 0.9: p(concept) >= the 0.1 quantile of p(right) over the
    other half of the contexts (Sadinle, Lei & Wasserman 2019)."""


@final
class View:
    """Statistics at `site`; those of other sites through `at`."""

    def __init__(self, book: Encyclopedia, site: str):
        self.book, self.site = book, site
        self.concepts = len(book.taxonomy)
        self.ids: Sequence[str] = [concept.id for concept in book.taxonomy]

    def at(self, site: str) -> "View":
        """The same encyclopedia at another site."""
        return self if site == self.site else View(self.book, site)

    @cached_property
    def count(self) -> Int[np.ndarray, " concept"]:
        """Contexts to fit by."""
        return self.book.count().numpy()

    @cached_property
    def error(self) -> Float[np.ndarray, " concept"]:
        """Relative error of the mean, centred; inf where fewer than two contexts leave it unknown."""
        found = self.book.relative_error(self.site).double().numpy()
        return np.where(np.isnan(found), np.inf, found)

    @cached_property
    def tokens(self) -> Float[np.ndarray, " concept"]:
        """Tokens of a context of each concept, on average; the average of all where it has none."""
        return self.book.mean_tokens()

    @cached_property
    def margins(self) -> Margins:
        """How surely each concept is found among its confusers."""
        return margins_of(self.book, self.site)

    @cached_property
    def held_out(self) -> RawRows:
        """Raw rows of the role tune."""
        return self.book.rows(self.site, role="tune")

    @cached_property
    def judged(self) -> Judged:
        """How the held-out contexts look to shrinkage LDA."""
        parts = [self._judge(log_p, own) for log_p, own in self.posteriors()]
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        sizes = self._set_sizes(columns[3])
        return Judged(*(self.by_concept(column) for column in (*columns, sizes)))

    def posteriors(
        self,
    ) -> Iterator[tuple[Float32[np.ndarray, "row concept"], Int64[np.ndarray, " row"]]]:
        """log p(concept | x) of the held-out rows, some at a time, and whose they are: Gaussians around the
        means of the role fit with one covariance, all concepts equally likely."""
        mean = self.book.mean(self.site).numpy()
        known = np.logical_and.reduce(np.isfinite(mean), axis=1)
        freedom = int(np.maximum(self.count - 1, 0).sum())
        w = whitener(self.book.covariance(self.site).numpy(), freedom=freedom).astype(np.float32)
        center = mean[known].mean(0)
        means = np.where(known[:, None], (mean - center) @ w, 0.0).astype(np.float32)
        bias = np.where(known, -0.5 * np.square(means).sum(1), -np.inf).astype(np.float32)
        for start in range(0, len(self.held_out.x), BATCH):
            x = (self.held_out.x[start : start + BATCH] - center) @ w
            yield log_softmax(x @ means.T + bias, axis=1), self.held_out.concept[start : start + BATCH]

    def guesses(self) -> Int64[np.ndarray, " row"]:
        """The likeliest concept of each held-out row."""
        return np.concatenate([log_p.argmax(1) for log_p, _ in self.posteriors()])

    def _judge(self, log_p: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, ...]:
        p = np.exp(log_p)
        entropy = entr(p).sum(1)
        second, first = np.partition(p, -2, axis=1)[:, -2:].T
        return entropy, first - second, first, p[np.arange(len(p)), own], p.argmax(1) == own

    def _set_sizes(self, right: np.ndarray) -> np.ndarray:
        """Sizes of the sets, each row's threshold taken from the other half of the rows."""
        half = np.arange(len(right)) % 2
        others = [right[half != side] for side in (0, 1)]
        limits = [np.quantile(other, 0.1) if len(other) else 0.0 for other in others]
        sizes, start = np.empty(len(right)), 0
        for log_p, own in self.posteriors():
            rows = slice(start, start + len(own))
            sizes[rows] = (np.exp(log_p) >= np.array(limits)[half[rows], None]).sum(1)
            start += len(own)
        return sizes

    def by_concept(self, value: np.ndarray) -> Float[np.ndarray, " concept"]:
        """Means of a value of held-out rows; NaN for a concept without any."""
        count = np.bincount(self.held_out.concept, minlength=self.concepts)
        total = np.bincount(self.held_out.concept, weights=value.astype(np.float64), minlength=self.concepts)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def unknown_first(score: Float[np.ndarray, " concept"]) -> Float[np.ndarray, " concept"]:
    """Scores in which a concept that nothing is known of comes first."""
    return np.where(np.isnan(score), np.inf, score)
