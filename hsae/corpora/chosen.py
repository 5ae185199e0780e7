"""The corpus that a configuration chooses."""

from collections.abc import Callable, Iterable
from functools import partial

from hsae import build
from hsae.config import Config
from hsae.corpora.document import Document, Skipped


def chosen_corpus(config: Config) -> Callable[[], Iterable[Document | Skipped]]:
    """Gives the corpus from its beginning, each time it is called.

    With seed 0 whatever `config.seed` is: runs of different seeds read the same text.
    """
    corpus, settings = build.plugin("corpus", config.corpus)
    return partial(corpus.documents, settings, seed=0)
