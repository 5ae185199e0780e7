"""Packs an encyclopedia into one prototype a concept, and says what the rounding costs.

hsae job=pack stage=templates
hsae job=pack stage=adversarial job.dtype=int8 job.pooling=last

A folder of a few files: vectors (safetensors), ids, names, parents. retrieval.json has the bytes by component
and, for each precision, how many held-out rows find their concept.
"""

import json
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from hsae.artifact import Need
from hsae.config import Config, Part
from hsae.execute import Job
from hsae.lm import files

if TYPE_CHECKING:
    from hsae.encyclopedia.queries.packed import Cost

WRITES = "prototypes"
FORMAT = 1

TOLD = "retrieval.json"


class Settings(Part):
    """What is kept of a concept."""

    name: Literal["pack"]
    dtype: Literal["float32", "float16", "int8"]
    pooling: str | None
    """One of the encyclopedia's; null: its first."""
    whiten: bool
    """Whether prototypes are discriminants, read through the covariance within concepts, or plain means."""
    shrinkage: Annotated[float, Field(ge=0, le=1)]


def needs(config: Config) -> dict[str, Need]:
    return {"encyclopedia": Need(config.encyclopedia.made_by)}


def choices(config: Config) -> dict[str, object]:
    return {
        **config.job.model_dump(exclude={"name"}),
        "site": files.site_choice(config.model, config.studied.layers),
        "seed": config.seed,
    }


def slug(config: Config) -> str:
    place = files.site_label(config.model, config.studied.layers)
    of = f"{config.concepts.name}-{config.stage.name}-{config.job.dtype}"
    return f"{files.model_name(config.model)}-{place}-{of}"


def estimate(config: Config) -> dict[str, str | int]:
    facts, concepts = config.model.facts(), getattr(config.concepts, "n", None)
    if facts is None or concepts is None:
        return {"concepts": concepts or "all of the source"}
    size = {"float32": 4, "float16": 2, "int8": 1}[config.job.dtype]
    # about: a norm, the words, and half the whitening map
    return {"concepts": concepts, "bytes": (size * facts.d + 4 + 12) * concepts + 2 * facts.d**2}


def run(job: Job) -> dict[str, int | float | str]:
    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.queries import packed
    from hsae.encyclopedia.queries.prototypes import CARD, IDS, TENSORS

    config, settings = job.config, job.config.job
    book = Encyclopedia(job.inputs["encyclopedia"].folder)
    site = files.studied_site(config, book.sites)
    shrinkage = settings.shrinkage if settings.whiten else None
    exact = packed.packed(book, site, pooling=settings.pooling, dtype="float32", shrinkage=shrinkage)
    for why, n in exact.left_out.items():
        job.say(f"{n} concepts are left out: {why}")
    made = exact.rounded(settings.dtype)
    made.save(job.out)
    packed.write_words(made, book.taxonomy, job.out)
    size = packed.sizes(job.out, made, [CARD, IDS, TENSORS, packed.NAMES, packed.PARENTS])
    found = packed.costs(book, exact, pooling=settings.pooling, seed=config.seed)
    told = {
        "pooling": settings.pooling or book.poolings[0],
        "bytes": size,
        "precision": {dtype: _plain(cost) for dtype, cost in found.items()},
    }
    (job.out / TOLD).write_text(json.dumps(told, indent=1) + "\n")
    columns = ["precision", "accuracy", "low", "high", "lost", "lost low", "lost high", "rows"]
    lines = [
        [dtype, *(round(value, 4) for value in (*cost.accuracy[:3], *cost.lost[:3])), cost.rows]
        for dtype, cost in found.items()
    ]
    job.log.table("nearest prototype of held-out rows", columns, lines)
    return {
        "concepts": len(made),
        "bytes_per_concept": size["each"],
        "bytes_shared": size["shared"],
        **_headline(job, found.get(settings.dtype)),
    }


def _plain(cost: "Cost") -> dict[str, object]:
    return {"accuracy": cost.accuracy._asdict(), "lost": cost.lost._asdict(), "rows": cost.rows}


def _headline(job: Job, cost: "Cost | None") -> dict[str, float | str]:
    if cost is None:
        job.say(
            "what rounding costs is unknown: there are no rows of the role test (stage=templates has some)"
        )
        return {"accuracy": "unknown"}
    return {
        "accuracy": round(cost.accuracy.value, 4),
        "lost": round(cost.lost.value, 5),
        "lost_low": round(cost.lost.low, 5),
        "lost_high": round(cost.lost.high, 5),
    }
