"""The bare term, and the term after its gloss.

The gloss stands first because a causal LM reads from left to right: after the term it could not change the
activation there, and the second context would count the first one twice.
"""

from collections.abc import Iterator

from hsae.concepts import Taxonomy
from hsae.config import Part
from hsae.contexts.context import Context, Wanted, everything
from hsae.contexts.sentence import Sentence, facts_of

TERM = ("raw-01", Sentence("{x}"))
EXPLAINED = ("raw-02", Sentence("{Gloss}: {x}"))


class Settings(Part):
    """`gloss`: also give the term with its gloss."""

    gloss: bool


def make(
    taxonomy: Taxonomy,
    settings: Settings,
    *,
    seed: int,  # noqa: ARG001  nothing is drawn
    wanted: Wanted | None = None,
) -> Iterator[Context]:
    """One or two contexts for each concept, all with the role `fit`: two texts cannot be split three ways."""
    rows, have, each, *_ = wanted or everything(taxonomy)
    facts = facts_of(taxonomy)
    for row, before in zip(rows, have, strict=True):
        chosen = (TERM, EXPLAINED) if settings.gloss and facts[row].has_gloss else (TERM,)
        for template, sentence in chosen[before : None if each is None else before + each]:
            filled = sentence.fill(facts[row])
            yield Context(taxonomy.concepts[row].id, *filled, template=template, role="fit", source="raw")
