"""Runs the LM over a corpus once and keeps the activations at all chosen sites.

hsae job=extract model=gpt2 layers=quartiles corpus=wikipedia corpus.tokens=1000000
"""

import time
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from pydantic import Field

from hsae import build
from hsae.artifact import Need
from hsae.build.contents import contents
from hsae.config import Config, Part
from hsae.execute import Job
from hsae.lm import files

WRITES = "store"
FORMAT = 1

BESIDE = 13
"""Bytes of a row beside its activations: token, document, position, split."""


class Settings(Part):
    """How the corpus is read."""

    name: Literal["extract"]
    context: Annotated[int, Field(ge=2)]
    """Tokens that the model sees at once, its prefix token included; a longer document is read in pieces."""


def needs(config: Config) -> dict[str, Need]:  # noqa: ARG001  the corpus and the model come from outside
    return {}


def choices(config: Config) -> dict[str, object]:
    return {
        "model": files.fingerprint(config.model.path, config.model.revision),
        "sites": files.site_choice(config.model, config.layers),
        "corpus": contents("corpus", config.corpus),
        "context": config.job.context,
        "dtype": "float16",
    }


def slug(config: Config) -> str:
    place = files.site_label(config.model, config.layers)
    return f"{files.short_name(config.model.path)}-{place}-{config.corpus.name}-{_rows(config) or 'all'}"


def estimate(config: Config) -> dict[str, str | int]:
    facts, rows = config.model.facts(), _rows(config)
    if facts is None or rows is None:
        return {"rows": rows if rows is not None else "the whole corpus"}
    widths = facts.d * len(config.layers.resolve(facts.layers))
    return {"rows": rows, "bytes": rows * (2 * widths + BESIDE)}


def run(job: Job) -> dict[str, int | float | str]:
    from hsae.activations.harvest import harvest
    from hsae.activations.store import Store, StoreWriter
    from hsae.lm import load

    config = job.config
    corpus, settings = build.plugin("corpus", config.corpus)
    lm = load(
        config.model.path,
        revision=config.model.revision,
        device=config.hardware.device,
        dtype=config.hardware.dtype,
    )
    # seed 0 whatever config.seed: runs with different seeds train on the same activations
    documents = corpus.documents(settings, seed=0)
    writer = StoreWriter(job.out)
    before, start = writer.rows, time.monotonic()
    steps = harvest(
        lm,
        documents,
        writer,
        sites=config.layers.resolve(lm.layers),
        tokens=_rows(config),
        context=config.job.context,
        batch_tokens=config.hardware.batch_tokens,
    )
    for _ in job.progress(
        _thousands(steps), total=(_rows(config) or 0) // 1000 or None, desc="thousand rows"
    ):
        pass
    store, seconds = Store(job.out), time.monotonic() - start
    # what the corpus itself could not read, where it is of files that may be broken
    unread = [tuple(said.split(": ", 1)) for said in getattr(documents, "skipped", ())]
    if skipped := [*unread, *store.skipped]:
        job.say(f"{len(skipped)} documents were skipped, such as {': '.join(skipped[0])}")
        job.log.table("skipped documents", ["document", "why"], skipped)
    if store.count() < (_rows(config) or 0):
        job.say(f"the corpus ended after {store.count():,} of {_rows(config):,} rows")
    return {
        "rows": store.count(),
        "documents": len(store.document_ids()),
        "skipped": len(skipped),
        "tokens_per_second": round((store.count() - before) / seconds, 1),
    }


def _rows(config: Config) -> int | None:
    return config.corpus.tokens


def _thousands(steps: Iterable[int]) -> Iterator[None]:
    """An item for every thousand rows that are done."""
    said = None
    for rows in steps:
        said = rows // 1000 if said is None else said
        for _ in range(said, rows // 1000):
            yield
        said = max(said, rows // 1000)
