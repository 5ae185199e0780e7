"""Says which concepts lie nearest to a text, to its last token, and to any part of it in [[brackets]].

hsae job=nearest 'job.text="a small furry pet"'
hsae job=nearest 'job.text="the bank of the [[river]] was steep"' site=resid_post.2

nearest.json has them with their cosines; hsae.encyclopedia.queries.text.nearest_to_text is the same in
Python.
"""

from hashlib import sha256
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from hsae import json_file
from hsae.artifact import Need
from hsae.config import Config, Part
from hsae.errors import ConfigError
from hsae.execute import Job
from hsae.lm import files

WRITES = "nearest"
FORMAT = 1


class Settings(Part):
    """What is read, and how many concepts are told."""

    name: Literal["nearest"]
    text: str | None
    neighbours: PositiveInt
    shrinkage: Annotated[float, Field(ge=0, le=1)]


def needs(config: Config) -> dict[str, Need]:
    """Raises ConfigError without a text."""
    if not (config.job.text or "").strip():
        raise ConfigError(
            "job=nearest reads a text, and none is given.\nType 'job.text=\"a small [[furry pet]]\"'"
        )
    return {"encyclopedia": Need(config.encyclopedia.made_by)}


def choices(config: Config) -> dict[str, object]:
    return {
        **config.job.model_dump(exclude={"name"}),
        "site": files.site_choice(config.model, config.studied.layers),
    }


def slug(config: Config) -> str:
    place = files.site_label(config.model, config.studied.layers)
    read = sha256(str(config.job.text).encode()).hexdigest()[:8]
    return f"{files.model_name(config.model)}-{place}-{config.concepts.name}-{config.stage.name}-{read}"


def estimate(config: Config) -> dict[str, str | int]:
    return {"concepts": getattr(config.concepts, "n", None) or "all of the source"}


def run(job: Job) -> dict[str, int | float | str]:
    from hsae import console
    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.queries.text import NEAREST, nearest_to_text
    from hsae.lm import chosen_lm

    config, settings = job.config, job.config.job
    lm = chosen_lm(config)
    book = Encyclopedia(job.inputs["encyclopedia"].folder, model=lm.fingerprint)
    site = files.studied_or_last(config, book.sites)
    found = nearest_to_text(
        lm, book, settings.text, site=site, k=settings.neighbours, shrinkage=settings.shrinkage
    )
    json_file.write(found, job.out / NEAREST)
    columns = ["concept", "id", "cosine", "path"]
    for one in found["pooled"]:
        rows = [
            [near["name"], near["id"], near["cosine"], " › ".join(near["path"])] for near in one["nearest"]
        ]
        title = f"{one['pooling']} of {one['text']!r} (95 % of all concepts are below {one['typical']:.3f})"
        console.table(title, columns, rows)
        job.log.table(title, columns, rows)
    first = found["pooled"][-1]
    return {
        "concepts": found["concepts"],
        "nearest": ", ".join(near["name"] for near in first["nearest"][:3]),
        "cosine": round(first["nearest"][0]["cosine"], 4),
    }
