"""Writes an encyclopedia as an HDF5 file of HatCat's, which its scripts and its interpreters read.

hsae job=export stage=templates job.path=encyclopedia_stage1.h5
hsae job=export stage=templates job.path=encyclopedia_stage1.h5 job.form=samples
hsae job=export encyclopedia.path=old.h5 job.path=new.h5
"""

from pathlib import Path
from typing import Literal

from hsae import artifact, build
from hsae.artifact import Need
from hsae.config import Config, Part
from hsae.errors import ConfigError, UserError
from hsae.execute import Job

WRITES = None
FORMAT = 1


class Settings(Part):
    """What is written where."""

    name: Literal["export"]
    path: str | None
    form: Literal["vectors", "samples"]
    """The mean of each concept, or the raw rows that the encyclopedia keeps, with labels."""
    pooling: str | None
    """One of the encyclopedia's; null: its first."""


def needs(config: Config) -> dict[str, Need]:
    return {"encyclopedia": Need(config.encyclopedia.made_by)}


def steps(config: Config) -> list[Config]:
    """The config of the encyclopedia."""
    return [build.neighbour(config, need) for need in needs(config).values()]


def run(job: Job) -> dict[str, int | float | str]:
    """Raises ConfigError without a path, UserError for one that is taken."""
    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.historical.exporting import export

    config, settings = job.config, job.config.job
    if settings.path is None:
        raise ConfigError("job=export writes a file, and none is named.\nType job.path=encyclopedia.h5")
    path = Path(settings.path).expanduser()
    if path.exists() and not config.force:
        raise UserError(f"job.path={settings.path} is there already.\nName another, or type force=true")
    (of,) = steps(config)
    book = Encyclopedia(artifact.require(build.address(of), config.job.name).folder)
    facts = config.model.facts() if config.encyclopedia.path is None else None
    depth = facts.layers if facts is not None else None
    artifact.make_folder(path.parent)
    with artifact.disk(path.parent):
        done = list(export(book, path, form=settings.form, pooling=settings.pooling, depth=depth))
    if lost := [site for site in book.sites if site not in done]:
        job.say(f"left out, for HatCat reads no such place: {', '.join(lost)}")
    job.say(f"written: {path}")
    size = path.stat().st_size
    return {"concepts": len(book.taxonomy), "sites": len(done), "bytes": size}
