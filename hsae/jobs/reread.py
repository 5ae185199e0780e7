"""Reads the contexts of an encyclopedia's raw rows again, for the controls of job=interpret.

hsae job=reread stage=templates

Twice: at the token embeddings of the same model, before positions are added to them (how much is the token
alone?), and by the same model with random weights of this seed (how much is the architecture?).
"""

from typing import TYPE_CHECKING, Literal

from hsae.artifact import Need
from hsae.config import Config, Part
from hsae.execute import Job
from hsae.lm import cost, files

if TYPE_CHECKING:
    from hsae.encyclopedia import Encyclopedia
    from hsae.lm import LM

WRITES = "rereading"
FORMAT = 1


class Settings(Part):
    """The encyclopedia is named by the choices that made it."""

    name: Literal["reread"]


def needs(config: Config) -> dict[str, Need]:
    return {"encyclopedia": Need(config.encyclopedia.made_by)}


def choices(config: Config) -> dict[str, object]:
    """The seed of the random weights; the rest is the encyclopedia's."""
    return {"seed": config.seed}


def slug(config: Config) -> str:
    place = files.site_label(config.model, config.layers)
    of = f"{config.concepts.name}-{config.stage.name}-seed{config.seed}"
    return f"{files.model_name(config.model)}-{place}-{of}"


def estimate(config: Config) -> dict[str, str | int]:
    facts, concepts = config.model.facts(), getattr(config.concepts, "n", None)
    if facts is None or concepts is None:
        return {"concepts": concepts or "all of the source"}
    rows = 3 * concepts * config.encyclopedia.sample  # at most: of three roles
    return {
        "concepts": concepts,
        "bytes": 2 * facts.d * rows * (1 + len(config.layers.resolve(facts.layers))),
        **cost.passes(config, rows * cost.CONTEXT),
    }


def run(job: Job) -> dict[str, int | float | str]:
    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.rereading import EMBED, EMBEDDING, UNTRAINED
    from hsae.lm import chosen_lm

    lm = chosen_lm(job.config)
    book = Encyclopedia(job.inputs["encyclopedia"].folder, model=lm.fingerprint)
    if EMBED in lm.site_names():
        _read(job, book, EMBEDDING, [EMBED], lm)
    else:
        job.say(f"{job.config.model.path} has no site {EMBED}: without token embeddings")
    untrained = job.config.model.model_copy(update={"untrained": True})
    _read(job, book, UNTRAINED, book.sites, chosen_lm(job.config.model_copy(update={"model": untrained})))
    return {"concepts": len(book.taxonomy), "sites": len(book.sites), "shards": len(book.shards)}


def _read(job: Job, book: "Encyclopedia", reader: str, sites: list[str], lm: "LM") -> None:
    from hsae.encyclopedia.rereading import reread

    tokens = job.config.hardware.batch_tokens
    steps = reread(lm, book, job.out, reader=reader, sites=sites, batch_tokens=tokens)
    for _ in job.progress(steps, total=len(book.shards), desc=reader):
        pass
