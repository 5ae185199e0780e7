"""What is wrongly called active on a token of known concept: another sense of its word, or another word?

A model that knows the word and not its sense is as active for all senses, and for compounds with that word:
no null over other tokens can tell these from the truth, so their share is told beside the rate.
"""

from collections.abc import Sequence

import numpy as np

from hsae.concepts import Concept, Taxonomy
from hsae.encyclopedia.queries.detection import Monitored, is_true
from hsae.encyclopedia.queries.labelled import Labelled, Truth
from hsae.stats import Interval, cluster_mean


def of_the_same_word(
    found: Monitored, labelled: Labelled, truth: Truth, *, taxonomy: Taxonomy, ids: Sequence[str], seed: int
) -> Interval | None:
    """Of the false discoveries on tagged tokens, the share of concepts with a word in common with one that
    the token was tagged with; over documents. None where no discovery is false."""
    said = found.by_token & ~is_true(found.concept, truth.labels) & labelled.tagged[:, None]
    row, rank = np.nonzero(said)
    if not len(row):
        return None
    words = {concept.id: _words(concept) for concept in taxonomy}
    called = [words[ids[int(concept)]] for concept in found.concept[row, rank]]
    tagged = [frozenset().union(*(words[id] for id in labelled.named[place])) for place in row.tolist()]
    same = np.array([not one.isdisjoint(other) for one, other in zip(called, tagged, strict=True)])
    return cluster_mean(same, labelled.document[row], seed=seed)


def _words(concept: Concept) -> frozenset[str]:
    return frozenset(word for name in (concept.name, *concept.lemmas) for word in name.lower().split())
