"""The texts behind an encyclopedia's raw rows: what a baseline without activations reads."""

from collections.abc import Sequence
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from hsae.concepts import Taxonomy
from hsae.encyclopedia import Encyclopedia
from hsae.encyclopedia.sampled import sampled_of
from hsae.interpreters.base import Rows
from hsae.interpreters.judging.controls import trigrams


@final
class Texts(NamedTuple):
    """Contexts of two roles and the words that stand at their spans, in the order of the raw rows."""

    test: Sequence[str]
    fit_words: Sequence[str]
    test_words: Sequence[str]

    @classmethod
    def of(cls, book: Encyclopedia) -> "Texts":
        fit, test = (sampled_of(book, role).contexts for role in ("fit", "test"))
        words = [[one.text[one.start : one.end] for one in contexts] for contexts in (fit, test)]
        return cls([one.text for one in test], *words)

    def quoting(self, taxonomy: Taxonomy, concept: Int64[Tensor, " row"]) -> Bool[Tensor, " row"]:
        """Which rows of test quote their own concept's gloss."""
        said = [taxonomy.concepts[row].gloss for row in concept.tolist()]
        return torch.tensor([quotes(text, gloss) for text, gloss in zip(self.test, said, strict=True)])

    def letters(self, fit: Rows, test: Rows, *, width: int) -> tuple[Rows, Rows]:
        """The rows with trigrams of their words in the place of activations."""
        return fit._replace(x=trigrams(self.fit_words, width)), test._replace(
            x=trigrams(self.test_words, width)
        )


def quotes(text: str, gloss: str) -> bool:
    """Whether a context quotes a gloss up to its first semicolon, as definitions do: whoever asks for the
    gloss of such a context asks whether it can be copied."""
    said = gloss.split(";")[0].strip().rstrip(".").casefold()
    return bool(said) and said in text.casefold()
