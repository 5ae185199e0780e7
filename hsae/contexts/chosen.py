"""The contexts that a configuration's stage reads."""

from collections.abc import Iterator

from hsae import build
from hsae.concepts import Taxonomy
from hsae.config import Config
from hsae.contexts.context import Context, Wanted


def chosen_contexts(config: Config, taxonomy: Taxonomy, wanted: Wanted | None = None) -> Iterator[Context]:
    """All of the stage's makers, concept after concept.

    A stage that reads all of them does so with seed 0 whatever `config.seed` is: runs of different seeds
    learn from the same contexts, and what was held out in one is held out in all. A refinement depends on the
    seed, so that policies can be compared over several.
    """
    streams, seed = [], config.seed if config.stage.rounds else 0
    for name in config.stage.contexts:
        maker, settings = build.plugin("contexts", config.contexts[name], name=name)
        streams.append(maker.make(taxonomy, settings, seed=seed, wanted=wanted))
    return _by_concept(streams, taxonomy)


def _by_concept(streams: list[Iterator[Context]], taxonomy: Taxonomy) -> Iterator[Context]:
    """Streams that each go through the concepts in the taxonomy's order, as one that does."""
    if len(streams) == 1:
        yield from streams[0]
        return
    heads = [next(stream, None) for stream in streams]
    while any(heads):
        row = min(taxonomy.index[head.concept] for head in heads if head)
        for number, stream in enumerate(streams):
            while (head := heads[number]) and taxonomy.index[head.concept] == row:
                yield head
                heads[number] = next(stream, None)
