"""A job that looks back at whatever was made before it, as a report does."""

from typing import Literal

from hsae import build
from hsae.artifact import Need
from hsae.config import Config, Part
from hsae.execute import Job

WRITES = "page"
FORMAT = 1


class Settings(Part):
    name: Literal["gather"]
    of: tuple[str, ...]


def needs(config: Config) -> dict[str, Need]:
    return build.needs_of(config.job.of)


def choices(config: Config) -> dict:
    return {}


def slug(config: Config) -> str:
    return f"{len(config.job.of)}-results"


def estimate(config: Config) -> dict:
    return {"results": len(config.job.of)}


def run(job: Job) -> dict[str, int | float | str]:
    lines = [f"{role}: {made.metrics}" for role, made in job.inputs.items()]
    (job.out / "page.html").write_text("\n".join(lines))
    return {"results": len(lines)}
