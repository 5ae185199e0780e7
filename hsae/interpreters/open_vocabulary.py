"""Activations mapped onto the vectors of glosses: names concepts that it has never seen an activation of.

    s(c | x) = cos((x - b) W, g_c - g),    W = (X^T X / n + a tr(X^T X / n) / width I)^-1 X^T G / n

X are the centred rows of `fit`, G their concepts' gloss vectors less the mean g over the concepts seen. W
needs an encyclopedia's statistics alone. The temperature is fitted on tune.
Gloss vectors are given (`describe`), or made of the glosses' own words: random signs per word, summed with
the weight log(concepts / glosses that hold it). These know which glosses share words and nothing of meaning.
Source: ridge to label vectors as in Palatucci et al. 2009, "Zero-shot Learning with Semantic Output Codes".
"""

import re
from collections import Counter
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor
from torch.nn.functional import embedding_bag, normalize

from hsae.concepts import Taxonomy
from hsae.config import Part
from hsae.errors import UserError
from hsae.interpreters.classes import Classes
from hsae.interpreters.closed_form import ClosedForm
from hsae.seeding import stream


class Settings(Part):
    """How glosses become vectors, and how firmly the map is held."""

    name: Literal["open_vocabulary"]
    gloss_width: PositiveInt
    """Dimensions of a gloss vector made of words; vectors that are given bring their own."""
    ridge: PositiveFloat
    """a: relative to the mean variance of the activations' units."""


@final
class OpenVocabulary(ClosedForm):
    """One linear map, and a matrix of gloss vectors that may grow."""

    refuses_unseen: ClassVar[bool] = False

    center: Float[Tensor, " width"]
    map: Float[Tensor, "width e"]
    glosses: Float[Tensor, "concept e"]
    middle: Float[Tensor, " e"]

    def __init__(self, settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int):
        super().__init__(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
        self.ridge = settings.ridge
        self.register_buffer("center", torch.zeros(self.width))
        self._widen(settings.gloss_width)

    def _widen(self, e: int) -> None:
        self.register_buffer("map", torch.zeros(self.width, e, device=self.device))
        self.register_buffer("glosses", torch.zeros(self.concepts, e, device=self.device))
        self.register_buffer("middle", torch.zeros(e, device=self.device))

    def describe(self, glosses: Float[Tensor, "concept e"]) -> None:
        """Take these vectors, one for each concept of the taxonomy; before `fit`."""
        self.settings = self.settings.model_copy(update={"gloss_width": glosses.shape[1]})
        self._widen(glosses.shape[1])
        self.glosses.copy_(glosses)

    def scores(self, x: Float[Tensor, "row site d"]) -> Float[Tensor, "row concept"]:
        """Cosines with every gloss of the taxonomy, seen or not."""
        return self._cosines(x, self.glosses)

    @torch.no_grad()
    def log_posterior(
        self, x: Float[Tensor, "row *site d"], candidates: Float[Tensor, "candidate e"] | None = None
    ) -> Float[Tensor, "row candidate"]:
        """log p(candidate | x) among gloss vectors, be they of this taxonomy or not; None: all of its own."""
        if candidates is None:
            return super().log_posterior(x)
        scores = self._cosines(self.shaped(x), candidates.to(self.device))
        return torch.log_softmax(scores / self.temperature, dim=1)

    def _cosines(
        self, x: Float[Tensor, "row site d"], glosses: Float[Tensor, "candidate e"]
    ) -> Float[Tensor, "row candidate"]:
        mapped = (x.flatten(1) - self.center) @ self.map
        return normalize(mapped, dim=1) @ normalize(glosses - self.middle, dim=1).T

    @torch.no_grad()
    def learn(self, known: Classes) -> None:
        """From an encyclopedia's statistics alone, with the vectors of the glosses' words if no others were
        given."""
        if not self.glosses.any():
            self.describe(word_vectors(self.taxonomy, width=self.glosses.shape[1]))
        n = known.count.sum()
        share = (known.count / n).double()[:, None]
        seen = known.count > 0
        glosses = self.glosses.double().cpu()
        middle = glosses[seen].mean(0)
        means = (known.mean - known.center) * seen[:, None]
        variance = known.within * (known.freedom / n) + means.T @ (share * means)
        width = len(variance)
        loaded = variance + self.ridge * variance.trace() / width * torch.eye(width, dtype=torch.float64)
        self.map.copy_(torch.linalg.solve(loaded, means.T @ (share * (glosses - middle))))
        self.middle.copy_(middle)
        self.center.copy_(known.center)
        self.seen.copy_(seen)


def word_vectors(taxonomy: Taxonomy, *, width: int) -> Float[Tensor, "concept width"]:
    """Gloss vectors of the glosses' own words, the same for every seed.

    Raises UserError for a concept without a gloss: it would be named by nothing.
    """
    texts = [Counter(re.findall(r"\w+", concept.gloss.lower())) for concept in taxonomy]
    if missing := [concept.id for concept, words in zip(taxonomy, texts, strict=True) if not words]:
        raise UserError(
            f"interpreter=open_vocabulary reads glosses, and {len(missing):,} of {len(taxonomy):,} concepts "
            f"have none, the first is {missing[0]}.\nTake concepts=wordnet, or another interpreter"
        )
    held = Counter(word for words in texts for word in words)
    row = {word: number for number, word in enumerate(held)}
    signs = torch.stack(
        [torch.randint(2, (width,), generator=stream(0, f"gloss word {word}")) * 2.0 - 1 for word in held]
    )
    rarity = torch.tensor([len(taxonomy) / count for count in held.values()]).log()
    indices = torch.tensor([row[word] for words in texts for word in words])
    counts = torch.tensor([float(count) for words in texts for count in words.values()])
    starts = torch.tensor([0, *(len(words) for words in texts[:-1])]).cumsum(0)
    return embedding_bag(
        indices, signs, starts, mode="sum", per_sample_weights=counts * rarity[indices] / width**0.5
    )


def build(settings: Settings, *, d: int, sites: int, taxonomy: Taxonomy, seed: int) -> OpenVocabulary:
    """Without a map yet."""
    return OpenVocabulary(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
