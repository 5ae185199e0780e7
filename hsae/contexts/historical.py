"""The twenty templates of HatCat, in its order, for the runs that reproduce its first stage.

HatCat reads the first `n_samples` of them (stage_1_refinement.py), the bare term among them. They are
openings of sentences rather than sentences, and the name stands in them as it is: no article, no capital.
HatCat knew no roles; ours go by the hash of the template, so that the same contexts also serve a held-out
evaluation.
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from hsae.concepts import Taxonomy
from hsae.config import Part
from hsae.contexts.context import Context, Wanted, everything, role_of

TEMPLATES = (
    "{c}",
    "The concept of {c}",
    "An example of {c} is",
    "{c} refers to",
    "When discussing {c}",
    "The meaning of {c}",
    "In the context of {c}",
    "Understanding {c}",
    "{c} can be described as",
    "The nature of {c}",
    "Regarding {c}",
    "With respect to {c}",
    "{c} involves",
    "The essence of {c}",
    "Considering {c}",
    "{c} encompasses",
    "The significance of {c}",
    "Exploring {c}",
    "{c} manifests as",
    "The role of {c}",
)


class Settings(Part):
    """`first`: how many of the templates, in their order."""

    first: Annotated[int, Field(ge=1, le=20)]


def make(
    taxonomy: Taxonomy,
    settings: Settings,
    *,
    seed: int,  # noqa: ARG001  nothing is drawn
    wanted: Wanted | None = None,
) -> Iterator[Context]:
    """The name in each of the templates, in HatCat's order for every concept."""
    rows, have, each, *_ = wanted or everything(taxonomy)
    shelf = list(enumerate(TEMPLATES[: settings.first], start=1))
    for row, before in zip(rows, have, strict=True):
        id, name = taxonomy.concepts[row].id, taxonomy.concepts[row].name
        for number, text in shelf[before : None if each is None else before + each]:
            ahead, behind = text.split("{c}")
            start, end = len(ahead), len(ahead) + len(name)
            template, role = f"historical-{number:02d}", role_of(text)
            yield Context(id, f"{ahead}{name}{behind}", start, end, template, role, "historical")
