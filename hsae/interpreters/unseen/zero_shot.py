"""Concepts are named by their glosses, through a map that was fitted on other concepts' activations.

A score means something only beside what the same estimation gives where activations say nothing:

    permuted    glosses shuffled over all concepts, the map fitted anew: the null, several times
    overlap     words of the context against words of the glosses: no activation, no map
    characters  letters of the concept's word in the place of its activation
    embedding   activations before the first layer, where the encyclopedia has that site
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Int64

from hsae.interpreters import open_vocabulary
from hsae.interpreters.base import Rows
from hsae.interpreters.classes import classes
from hsae.interpreters.open_vocabulary import OpenVocabulary
from hsae.interpreters.unseen import retrieval
from hsae.interpreters.unseen.kin import Tree
from hsae.interpreters.unseen.lexical import overlap
from hsae.interpreters.unseen.retrieval import Found, answers, find, harmonic, judged, mean
from hsae.seeding import stream
from hsae.stats import permutation_p

Scores = dict[str, Any]


@final
class Question(NamedTuple):
    """Who is asked for, and among whom."""

    seen: Bool[np.ndarray, " concept"]
    group: Int64[np.ndarray, " concept"]
    """Groups of kin, whole ones of which were held out."""
    tree: Tree
    seed: int

    def judged(self, found: Found, rows: Rows, *, candidates: int) -> Scores:
        """All scores of what was found for some rows."""
        concept = rows.concept.numpy()
        return judged(found, concept, tree=self.tree, group=self.group, candidates=candidates, seed=self.seed)


def zero_shot(fitted: OpenVocabulary, ask: Question, new: Rows, old: Rows) -> Scores:
    """Scores on rows of held-out concepts (`new`), and against those on other rows of seen ones (`old`)."""
    named = lambda rows, among: find(answers(fitted, rows.x), rows.concept, among=among, seed=ask.seed)
    concept, n = new.concept.numpy(), fitted.concepts
    found, known = named(new, None), named(old, None)
    sides = (known.within(1), old.concept.numpy()), (found.within(1), concept)
    share = float(ask.seen.mean())
    return {
        "rows": len(concept),
        "concepts": len(np.unique(concept)),
        "among_all": ask.judged(found, new, candidates=n),
        "among_held_out": ask.judged(named(new, ~ask.seen), new, candidates=int((~ask.seen).sum())),
        "harmonic": harmonic(*sides, candidates=n, seed=ask.seed),
        "taken_for_seen": mean(ask.seen[found.best], concept, ask.group, chance=share, seed=ask.seed),
    }


def permuted(fitted: OpenVocabulary, ask: Question, fit: Rows, new: Rows, *, times: int) -> Scores:
    """Mean reciprocal rank where each concept was given another's gloss before the map was fitted, and how
    often that is at least the true one's (one-sided p). `fit`: rows of seen concepts. The interpreter is
    fitted anew and left as it was."""
    glosses, known = fitted.glosses.clone(), classes(fit, concepts=fitted.concepts)
    concept, kept = new.concept.numpy(), {name: value.clone() for name, value in fitted.state_dict().items()}
    mrr = lambda: float(
        retrieval.of_concepts(find(answers(fitted, new.x), new.concept, seed=ask.seed).reciprocal, concept)[
            1
        ].mean()
    )
    true, null = mrr(), []
    for number in range(times):
        order = torch.randperm(len(glosses), generator=stream(ask.seed, f"permuted glosses {number}"))
        fitted.describe(glosses[order])
        fitted.learn(known)
        null.append(mrr())
    fitted.load_state_dict(kept)
    return {"mrr": null, "mean": float(np.mean(null)), "p": permutation_p(true, null), "times": times}


def by_overlap(ask: Question, glosses: Sequence[str], texts: Sequence[str], new: Rows) -> Scores:
    """Retrieval by the contexts' own words."""
    found = find(overlap(texts, glosses), new.concept, seed=ask.seed)
    return ask.judged(found, new, candidates=len(glosses))


def by_other(ask: Question, make: Callable[[int, int], OpenVocabulary], fit: Rows, new: Rows) -> Scores:
    """Retrieval through a map of the same kind from other numbers than activations; `make` takes their
    width and number of sites."""
    sites = 1 if fit.x.ndim == 2 else fit.x.shape[1]
    fitted = make(fit.x.shape[-1], sites)
    fitted.describe(open_vocabulary.word_vectors(fitted.taxonomy, width=fitted.glosses.shape[1]))
    fitted.learn(classes(fit, concepts=fitted.concepts))
    found = find(answers(fitted, new.x), new.concept, seed=ask.seed)
    return ask.judged(found, new, candidates=fitted.concepts)
