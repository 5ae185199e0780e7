"""Config -> address: where a job's artifact lies, and where those lie that it is made from."""

import shlex
from importlib import import_module
from pathlib import Path
from types import ModuleType

from hsae.artifact import Address, Need, fingerprint, plain
from hsae.build.compose import compose
from hsae.build.lines import key, keys, without
from hsae.config import Config

RUN_ONLY = ("job", "force", "dry_run", "steps")
"""Keys that say what this run does, not what the artifacts it reads are made of."""


def job_module(config: Config) -> ModuleType:
    """The file in hsae/jobs that the config's job is named after."""
    return import_module(f"hsae.jobs.{config.job.name}")


def address(config: Config) -> Address:
    """The address of the artifact that this config's job makes, and of all it reads, by composing theirs."""
    job = job_module(config)
    inputs = {role: address(neighbour(config, need)) for role, need in job.needs(config).items()}
    choices = plain(job.choices(config))
    return Address(
        job=config.job.name,
        kind=job.WRITES,
        format=job.FORMAT,
        slug=job.slug(config),
        fingerprint=fingerprint(
            config.job.name, job.FORMAT, choices, {role: of.fingerprint for role, of in inputs.items()}
        ),
        outputs=Path(config.outputs),
        choices=choices,
        inputs=inputs,
        command=command(config),
    )


def words(text: str, *, most: int) -> str:
    """A text as part of a slug: `A dog's life` -> `a-dog-s-life`; empty where it has no letter or digit."""
    spaced = (letter if letter.isalnum() else " " for letter in text.lower())
    return "-".join("".join(spaced).split())[:most]


def neighbour(config: Config, need: Need) -> Config:
    """The config with which another job would be run to make what this one reads."""
    replaced = keys(need.overrides)
    shared = without(config.overrides, (*RUN_ONLY, *need.apart))
    # `sae=topk` replaces the choice alone: what was typed of its keys (`sae.k=8`) holds for the neighbour too
    kept = (said for said in shared if key(said) not in replaced)
    return compose((*kept, f"job={need.job}", *need.overrides))


def command(config: Config) -> str:
    """What a person types to run this config's job."""
    said = _once(without(config.overrides, ("force", "dry_run", "steps")))
    return shlex.join(["hsae", *sorted(said, key=lambda override: key(override) != "job")])


def _once(overrides: tuple[str, ...]) -> list[str]:
    """Of what was typed twice, what counts: the last."""
    last = {(override[:1] == "~", key(override)): at for at, override in enumerate(overrides)}
    return [overrides[at] for at in sorted(last.values())]
