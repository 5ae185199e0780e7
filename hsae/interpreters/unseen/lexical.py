"""What a context's own words would retrieve, without any activation: a baseline of retrieval by gloss."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float32, Float64
from scipy.sparse import csr_matrix, diags
from torch import Tensor

from hsae.interpreters.base import BATCH
from hsae.stats import Csr


def overlap(texts: Sequence[str], glosses: Sequence[str]) -> Iterator[Float32[Tensor, "batch concept"]]:
    """Cosine of each text with each gloss, words weighted by log(glosses / glosses that hold it); a batch of
    texts at a time. A text that shares no word with a gloss scores 0."""
    held = dict.fromkeys(word for gloss in glosses for word in _words(gloss))
    known = {word: place for place, word in enumerate(held)}
    named = _counts(glosses, known)
    rarity = np.log(len(glosses) / np.bincount(named.indices, minlength=len(known)))
    weighted = _unit(named @ diags(rarity))
    for start in range(0, len(texts), BATCH):
        asked = _unit(_counts(texts[start : start + BATCH], known) @ diags(rarity))
        yield torch.from_numpy((asked @ weighted.T).toarray().astype(np.float32))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _counts(texts: Sequence[str], known: dict[str, int]) -> Csr:
    """[text word]; words that no gloss holds are left out."""
    counted = [Counter(known[word] for word in _words(text) if word in known) for text in texts]
    ends = np.cumsum([0, *map(len, counted)])
    places = np.array([place for one in counted for place in one], np.int64)
    times = np.array([n for one in counted for n in one.values()], np.float64)
    return csr_matrix((times, places, ends), shape=(len(texts), len(known)))


def _unit(rows: Csr) -> Csr:
    norm: Float64[np.ndarray, " row"] = np.sqrt(np.asarray(rows.multiply(rows).sum(1)).ravel())
    return diags(1 / np.where(norm > 0, norm, 1)) @ rows
