"""The concepts that a configuration chooses."""

from hsae import build
from hsae.concepts.taxonomy import Taxonomy
from hsae.config import Config


def chosen_taxonomy(config: Config) -> Taxonomy:
    """With seed 0 whatever `config.seed` is: runs of different seeds speak of the same concepts."""
    source, settings = build.plugin("concepts", config.concepts)
    return source.load(settings, seed=0)
