"""The list that HatCat read in 2025: 103 words, then numbered strings up to the number that was asked for.

Only for runs that reproduce it. Of its 1,000 concepts 897 were strings such as `concept_000103`, among them
all that it validated and tested on, and 49,897 of its 50,000: what it measured was how well digits are told
apart. A placeholder says so in its id and in its gloss; `is_placeholder` counts them in any result.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import PositiveInt

from hsae.concepts.choose import first
from hsae.concepts.taxonomy import Concept, Taxonomy
from hsae.config import Part

WORDS = Path(__file__).with_suffix(".txt")

SIZE = 50_000
"""The longest list that HatCat ran on."""

_PLACEHOLDER = "hatcat:placeholder:"


class Settings(Part):
    """`n`: how many, words before placeholders (null: all 50,000)."""

    name: Literal["hatcat"]
    n: PositiveInt | None


def load(settings: Settings, *, seed: int) -> Taxonomy:  # noqa: ARG001  every source takes the seed
    """The first `n` of the list, all of them roots. Raises `UserError` where `n` is more than it ever had."""
    taxonomy = Taxonomy([*words(), *placeholders()])
    if settings.n is None:
        return taxonomy
    return first(taxonomy, settings.n, order=range(len(taxonomy)), source="HatCat's list")


def is_placeholder(id: str) -> bool:
    """Whether this is the id of a numbered string that stands in the list in a concept's place."""
    return id.startswith(_PLACEHOLDER)


def words() -> Iterator[Concept]:
    """The 103 words. HatCat knew neither senses nor glosses, so they have none."""
    for line in WORDS.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            pos, *names = line.split()
            for name in names:
                yield Concept(id=f"hatcat:{name}", name=name, pos=pos, lemmas=(name,))


def placeholders() -> Iterator[Concept]:
    """The numbered strings, each with the number of its place in the list (the first place is 0)."""
    for place in range(sum(1 for _ in words()), SIZE):
        name = f"concept_{place:06d}"
        yield Concept(
            id=f"{_PLACEHOLDER}{name}",
            name=name,
            gloss=f"a placeholder: no concept, but place {place} of a list that had run out of words",
            lemmas=(name,),
        )
