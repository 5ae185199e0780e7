"""Which contexts count as a concept's, where a latent may be chosen and where it is scored.

word  Is there a latent for the concept's own word? A context is positive for the concept it was written for.
      Latents are chosen on some templates and scored on others.
kind  Is there a latent for the concept as a kind? A context is positive for its own concept and all above it.
      Latents are chosen on some words and templates and scored on other words in other templates: knowing
      that beagles are dogs has to carry over to hounds. Contexts that say before the word what is meant ("a
      kind of dog is the beagle") are left out: there, reading is enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, final

import numpy as np
from jaxtyping import Bool, Int
from scipy import sparse

from hsae.concepts import Taxonomy
from hsae.contexts import Context
from hsae.seeding import split_of, unit_interval
from hsae.stats import Csr

WORDS = {"fit": 0.6, "test": 0.4}


@final
class Side(NamedTuple):
    """Contexts to choose on, or to score on. Units (contexts or words) bear labels and are permuted."""

    rows: Int[np.ndarray, " row"]
    """Of all contexts, those that are here."""
    unit: Int[np.ndarray, " row"]
    labels: Csr  # [unit concept]

    def truth(self) -> Csr:
        """Labels of the rows [row concept]."""
        return self.labels[self.unit]

    def permuted(self, rng: np.random.Generator) -> Csr:
        """The same labels on other units: as many positives, and nothing to be found."""
        return self.labels[rng.permutation(self.labels.shape[0])][self.unit]


@final
@dataclass(frozen=True)
class Question:
    """Concepts (rows of the taxonomy) and two sides. Intervals resample `clusters`: siblings go together."""

    name: Literal["word", "kind"]
    concepts: Int[np.ndarray, " concept"]
    clusters: Int[np.ndarray, " concept"]
    fit: Side
    test: Side


def drawn(contexts: Sequence[Context], *, most: int) -> list[Context]:
    """At most so many contexts of each concept on either side, others for each concept."""
    waiting: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for row, context in enumerate(contexts):
        if context.role in WORDS:
            place = unit_interval(f"{context.concept}/{context.template}", salt="contexts of an evaluation")
            waiting.setdefault((context.concept, context.role), []).append((place, row))
    return [
        contexts[row] for row in sorted(row for some in waiting.values() for _, row in sorted(some)[:most])
    ]


def words(taxonomy: Taxonomy, contexts: Sequence[Context]) -> Question:
    """Every concept with contexts on both sides, against all others."""
    owner = _owners(taxonomy, contexts)
    sides = {}
    for role in ("fit", "test"):
        rows = _with_role(contexts, role)
        sides[role] = Side(rows, np.arange(len(rows)), _one_hot(owner[rows], len(taxonomy)))
    return _question("word", taxonomy, sides, fewest=1)


def kinds(taxonomy: Taxonomy, contexts: Sequence[Context], *, fewest: int) -> Question:
    """Every concept with at least `fewest` words under it on both sides, and as many that are not."""
    owner = _owners(taxonomy, contexts)
    half = np.array([split_of(concept.name, salt="word split", shares=WORDS) for concept in taxonomy])
    neutral = _neutral(taxonomy, contexts)
    sides = {}
    for role in ("fit", "test"):
        rows = _with_role(contexts, role)
        rows = rows[(half[owner[rows]] == role) & neutral[rows]]
        units, unit = np.unique(owner[rows], return_inverse=True)
        sides[role] = Side(rows, unit, _closure(taxonomy)[units])
    return _question("kind", taxonomy, sides, fewest=fewest)


def _question(
    name: Literal["word", "kind"], taxonomy: Taxonomy, sides: dict[str, Side], *, fewest: int
) -> Question:
    """Only the concepts that both sides can decide: an AUROC needs positives and negatives."""
    enough = np.ones(len(taxonomy), dtype=bool)
    for side in sides.values():
        positive = np.asarray(side.labels.sum(0)).ravel()
        enough &= (positive >= fewest) & (side.labels.shape[0] - positive >= fewest)
    concepts = np.flatnonzero(enough)
    parents = np.asarray(taxonomy.parents, dtype=np.int64)[concepts]
    kept = {role: side._replace(labels=side.labels[:, concepts].tocsr()) for role, side in sides.items()}
    # roots have no siblings: each is its own cluster
    return Question(name, concepts, np.where(parents < 0, concepts, parents), kept["fit"], kept["test"])


def _owners(taxonomy: Taxonomy, contexts: Sequence[Context]) -> Int[np.ndarray, " row"]:
    return np.array([taxonomy.index[context.concept] for context in contexts], dtype=np.int64)


def _with_role(contexts: Sequence[Context], role: str) -> Int[np.ndarray, " row"]:
    return np.array([row for row, context in enumerate(contexts) if context.role == role], dtype=np.int64)


def _neutral(taxonomy: Taxonomy, contexts: Sequence[Context]) -> Bool[np.ndarray, " row"]:
    """Contexts whose text up to the word also stands before words of other parents, and so names none."""
    before = [_without_article(context.text[: context.start]) for context in contexts]
    parents: dict[str, set[int]] = {}
    for text, owner in zip(before, _owners(taxonomy, contexts), strict=True):
        parents.setdefault(text, set()).add(taxonomy.parents[owner])
    return np.array([len(parents[text]) > 1 for text in before], dtype=bool)


def _without_article(text: str) -> str:
    words = text.rstrip().rsplit(" ", 1)
    return words[0] if words[-1].lower() in ("a", "an", "the") and len(words) == 2 else text.rstrip()


def _one_hot(column: Int[np.ndarray, " row"], columns: int) -> Csr:
    ones = np.ones(len(column))
    return sparse.csr_matrix((ones, (np.arange(len(column)), column)), shape=(len(column), columns))


def _closure(taxonomy: Taxonomy) -> Csr:
    """[concept concept]: 1 where the column is the row itself or stands above it, on any path."""
    above: list[set[int]] = []
    for row, concept in enumerate(taxonomy):
        above.append({row}.union(*(above[taxonomy.index[parent]] for parent in concept.parents)))
    pairs = np.array([(row, column) for row, columns in enumerate(above) for column in sorted(columns)])
    return sparse.csr_matrix((np.ones(len(pairs)), pairs.T), shape=(len(taxonomy), len(taxonomy)))
