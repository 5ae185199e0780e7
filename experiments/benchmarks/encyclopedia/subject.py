"""What is read: the synsets of WordNet, the model inside the package, and five sites of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, final

from experiments.benchmarks.harvest import worlds
from hsae.concepts import Taxonomy, builtin, wordnet
from hsae.contexts import raw, templates
from hsae.encyclopedia.encyclopedia import Encyclopedia
from hsae.encyclopedia.writer import Reading, Stage, write
from hsae.lm import LM, load

SAMPLE = 8
FAMILIES = ("definition", "scene", "category", "dialogue")


@final
class Subject(NamedTuple):
    """A model and how it is read."""

    name: str
    lm: LM
    sites: Sequence[str]
    batch_tokens: int

    @property
    def reading(self) -> Reading:
        """As a bootstrap reads by default."""
        return Reading(self.sites, ("span",), SAMPLE, self.batch_tokens)


def tiny() -> Subject:
    """The trained model: what goes into its four layers, and what comes out of each."""
    lm = load("tiny", device="cpu")
    sites = ["resid_pre.0", *(f"resid_post.{layer}" for layer in range(lm.layers))]
    return Subject("tiny", lm, sites, 8192)


def of_shape(shape: str, *, device: str, dtype: str, batch_tokens: int) -> Subject:
    """A model of random weights and five of its layers."""
    world = worlds.random(shape, rows=1, batch_tokens=batch_tokens, device=device, dtype=dtype)
    return Subject(shape, world.lm, world.layers(5), batch_tokens)


def synsets(n: int) -> Taxonomy:
    """So many noun synsets of WordNet, the frequent ones first, and what stands above them."""
    settings = wordnet.Settings(name="wordnet", n=n, pos=("n",), order="frequency", instances=False)
    return wordnet.load(settings, seed=0)


def concepts(n: int) -> Taxonomy:
    """So many of the concepts inside the package: for a look at whether it all runs."""
    return builtin.load(builtin.Settings(name="builtin", n=n), seed=0)


def read_raw(subject: Subject, taxonomy: Taxonomy, folder: Path) -> int:
    """Stage raw; how many tokens of the contexts' own it read."""
    contexts = raw.make(taxonomy, raw.Settings(gloss=True), seed=0)
    stage = Stage("raw", 0)
    for _ in write(subject.lm, taxonomy, contexts, folder, reading=subject.reading, stage=stage):
        pass
    return Encyclopedia(folder).stages[-1]["tokens"]


def read_templates(subject: Subject, taxonomy: Taxonomy, folder: Path) -> Encyclopedia:
    """Stage templates without stage raw: of each concept some contexts to fit by and some to be tested on."""
    settings = templates.Settings(families=FAMILIES, per_concept=16)
    contexts = templates.make(taxonomy, settings, seed=0)
    stage = Stage("templates", 1)
    for _ in write(subject.lm, taxonomy, contexts, folder, reading=subject.reading, stage=stage):
        pass
    return Encyclopedia(folder)
