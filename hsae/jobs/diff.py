"""Compares two encyclopedias: two stages, two seeds, two models, two layers.

hsae job=diff stage=templates job.other=stage:raw
hsae job=diff layers=all site=resid_post.3 job.other=site:resid_post.0
hsae job=diff model=gpt2 job.other=[model:pythia_160m,layers:last]

How alike are their geometries (CKA, RSA under its noise ceiling, Procrustes on held-out concepts, kept
neighbours), each with an interval and the null of permuted concepts; which concepts moved, and by more than
their means are uncertain; which concepts only one of them knows.
"""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PositiveInt

from hsae import build, json_file
from hsae.artifact import Need
from hsae.config import Config, Listed, Part
from hsae.errors import ConfigError
from hsae.execute import Job
from hsae.lm import files

if TYPE_CHECKING:
    from hsae.encyclopedia.queries.compare import Side

WRITES = "difference"
FORMAT = 1

PAGE = "difference.html"

SHOWN = 10
"""Concepts that moved most, on the terminal."""


class Settings(Part):
    """What the other side is, and how much is compared."""

    name: Literal["diff"]
    other: Annotated[tuple[str, ...], Listed, Field(min_length=1)]
    """Overrides, all else being the same on both sides: `stage:raw`, for Hydra takes `stage=raw` in quotes
    alone, `'job.other="stage=raw"'`."""
    draws: PositiveInt
    most: PositiveInt
    fdr: Annotated[float, Field(gt=0, lt=1)]


def needs(config: Config) -> dict[str, Need]:
    return {"encyclopedia": Need(config.encyclopedia.made_by), "other": _other(config)}


def _other(config: Config) -> Need:
    """The other encyclopedia. Raises ConfigError for what is no override."""
    lines = [word for line in config.job.other for word in shlex.split(line)]
    words = [word if "=" in word else word.replace(":", "=", 1) for word in lines]
    if not words or any("=" not in word for word in words):
        raise ConfigError(
            f"job.other={' '.join(config.job.other)} names no other encyclopedia.\n"
            "Say in what it differs: job.other=stage:raw, or job.other=[model:gpt2,layers:last]"
        )
    return Need("bootstrap", tuple(words))


def choices(config: Config) -> dict[str, object]:
    place = lambda of: files.site_choice(of.model, of.studied.layers)
    return {
        **config.job.model_dump(include={"draws", "most", "fdr"}),
        "site": place(config),
        "other_site": place(build.neighbour(config, _other(config))),
        "seed": config.seed,
    }


def slug(config: Config) -> str:
    place = files.site_label(config.model, config.studied.layers)
    other = build.words(" ".join(config.job.other), most=50)
    of = f"{config.concepts.name}-{config.stage.name}-against-{other}"
    return f"{files.model_name(config.model)}-{place}-{of}"


def estimate(config: Config) -> dict[str, str | int]:
    return {"concepts": f"at most {config.job.most}"}


def run(job: Job) -> dict[str, int | float | str]:
    """Raises UserError for two sides that are the same, or have too little in common."""
    from hsae.encyclopedia.queries.compare import FOUND, compare
    from hsae.report.difference import page

    config, settings = job.config, job.config.job
    first, second = _sides(job)
    found = compare(
        first, second, seed=config.seed, draws=settings.draws, most=settings.most, fdr=settings.fdr
    )
    json_file.write(found, job.out / FOUND)
    (job.out / PAGE).write_text(page(found), encoding="utf-8")
    _say(job, found)
    return _headline(found)


def _sides(job: Job) -> "tuple[Side, Side]":
    """Both, each with a name that tells it from the other."""
    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.queries.compare import Side

    configs = job.config, build.neighbour(job.config, _other(job.config))
    sides = []
    for role, config in zip(("encyclopedia", "other"), configs, strict=True):
        book = Encyclopedia(job.inputs[role].folder)
        site = files.studied_or_last(config, book.sites)
        label = f"{files.model_name(config.model)}, stage {config.stage.name}, {site}"
        sides.append(Side(book, site, label))
    first, second = sides
    if first.label == second.label:
        second = second._replace(label=f"{second.label}, {' '.join(job.config.job.other)}")
    return first, second


def _say(job: Job, found: Mapping[str, Any]) -> None:
    """A summary: the similarities, the ceiling, and what moved."""
    from hsae import console
    from hsae.report.difference import MEANING, ceiling, moved

    said = found["concepts"]
    job.say(f"{found['first']['label']}  against  {found['second']['label']}")
    only = f"{len(found['only_first'])} only in the first, {len(found['only_second'])} only in the second"
    job.say(f"{said['compared']} of {said['common']} common concepts compared; {only}")
    columns = ["space", "similarity", "value", "low", "high", "null", "p"]
    rows = [
        [space, MEANING[name][0], *(one[key] for key in ("value", "low", "high", "null", "p"))]
        for space, ones in found["spaces"].items()
        for name, one in ones.items()
        if name in MEANING
    ]
    console.table("how alike", columns, rows)
    job.log.table("how alike", columns, rows)
    last = list(found["spaces"].values())[-1]
    job.say(ceiling(last["ceiling"]))
    job.say(moved(found["movement"], said["compared"]))
    columns = ["concept", "moved", "low", "high", "q", "kept neighbours"]
    rows = [
        [one["name"], one["moved"], one["low"], one["high"], one["q"], one["kept_neighbours"]]
        for one in found["movement"]["concepts"]
    ]
    console.table("moved most beyond their own uncertainty", columns, rows[:SHOWN])
    job.log.table("moved", columns, rows)


def _headline(found: Mapping[str, Any]) -> dict[str, int | float | str]:
    last, moved = list(found["spaces"].values())[-1], found["movement"]["moved"]
    return {
        "cka": round(last["cka"]["value"], 4),
        "rsa": round(last["rsa"]["value"], 4),
        "procrustes": round(last["procrustes"]["value"], 4),
        "moved": "unknown" if moved is None else f"{moved} of {found['concepts']['compared']}",
    }
