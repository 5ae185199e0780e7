"""Run one job: find its inputs, skip what is there, log, publish at once or not at all."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from hsae import artifact, build, console
from hsae.artifact import Address, Artifact
from hsae.config import Config
from hsae.loggers import Fan, Log, Run, logs

T = TypeVar("T")

PACKAGES = ("torch", "transformers", "hydra-core", "numpy", "h5py", "scikit-learn", "scipy", "nltk", "wandb")


SWEEP = "HSAE_SWEEP"
"""Environment variable: the folder where the jobs of a sweep, in whichever process, leave their results."""


@dataclass(frozen=True)
class Job:
    """What the `run` of a job is given."""

    config: Config
    out: Path
    """The unfinished artifact: write here. What a killed run left is here when the same job starts again."""
    inputs: Mapping[str, Artifact]
    """By the roles of `needs`."""
    log: Log

    def progress(self, items: Iterable[T], *, total: int | None = None, desc: str = "") -> Iterator[T]:
        """The items, with a bar on a terminal and a line now and then elsewhere."""
        return console.progress(items, total=total, desc=desc or self.config.job.name)

    def say(self, text: str) -> None:
        """One line for the person at the keyboard."""
        console.say(f"  {text}")


@dataclass(frozen=True)
class Outcome:
    """What became of a job: `made` now, or `there` already."""

    state: str
    folder: Path | None
    metrics: Mapping[str, int | float | str]
    seconds: float


@dataclass(frozen=True)
class Planned:
    """One artifact of a plan."""

    address: Address
    state: str
    """`there`, `to make`, or `missing`: an input that this run does not make."""
    sizes: Mapping[str, str | int]
    """What its job estimates; the keys that `console.UNITS` knows are bytes and FLOPs."""
    config: Config


def execute(config: Config) -> Outcome:
    """Make the artifact of `config`, or find it made.

    Raises MissingInput for an input that is not there, UserError for what the user can mend.
    """
    start = time.monotonic()
    job = build.job_module(config)
    _limit_threads(config.hardware.threads)
    if job.WRITES is None:
        metrics = job.run(Job(config, Path(config.outputs), {}, Fan(())))
        return Outcome("made", None, metrics, time.monotonic() - start)
    address = build.address(config)
    there = None if config.force else artifact.find(address)
    if there is None:
        spared = {role: need.without for role, need in job.needs(config).items()}
        inputs = artifact.require_all(address, spared)
        with artifact.claimed(address, afresh=config.force) as partial:
            # whoever held the lock until now may just have made it
            there = None if config.force else artifact.find(address)
            if there is None:
                artifact.check_room(address, job.estimate(config))
                return _make(config, address, inputs, partial, start)
    return Outcome("there", there.folder, there.metrics, time.monotonic() - start)


def _make(
    config: Config, address: Address, inputs: Mapping[str, Artifact], partial: Path, start: float
) -> Outcome:
    with logs(_run(config, address, partial), *_chosen_log(config)) as log:
        metrics = build.job_module(config).run(Job(config, partial, inputs, log))
        log.summary(metrics)
    seconds = time.monotonic() - start
    made = artifact.publish(address, _manifest(config, address, metrics, seconds))
    return Outcome("made", made.folder, made.metrics, seconds)


def plan(configs: Sequence[Config]) -> list[Planned]:
    """What running these in order would find, make and miss, inputs before what is made from them."""
    asked = {build.address(config).fingerprint for config in configs}
    planned: dict[str, Planned] = {}

    def visit(config: Config) -> None:
        address, job = build.address(config), build.job_module(config)
        if address.fingerprint in planned:
            return
        for need in job.needs(config).values():
            visit(build.neighbour(config, need))
        here = address.folder.exists() and not (config.force and address.fingerprint in asked)
        state = "there" if here else "to make" if address.fingerprint in asked else "missing"
        planned[address.fingerprint] = Planned(address, state, job.estimate(config), config)

    for config in configs:
        visit(config)
    return list(planned.values())


def lacking(configs: Sequence[Config]) -> list[str]:
    """Inputs that are neither there nor made by an earlier one of these, each with its command."""
    made: set[str] = set()
    wanting: dict[str, str] = {}
    for config in configs:
        address = build.address(config)
        for needed in address.inputs.values() if config.force or not address.folder.exists() else ():
            for of in () if needed.fingerprint in made else artifact.unmade(needed):
                if of.fingerprint in made:
                    continue
                said = f"{address.job} reads {of.folder}; make it with\n    {of.command}"
                wanting.setdefault(of.fingerprint, said)
        made.add(address.fingerprint)
    return list(wanting.values())


def _limit_threads(threads: int | None) -> None:
    """Before torch is imported the environment decides, afterwards torch itself must be told."""
    if threads is None:
        return
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)


def _chosen_log(config: Config) -> tuple[Any, Any]:
    return build.plugin("logger", config.logger)


def _run(config: Config, address: Address, folder: Path) -> Run:
    hidden = {"outputs", "overrides", "force", "dry_run", "steps", "fallback", "logger"}
    return Run(
        folder=folder,
        outputs=Path(config.outputs),
        job=config.job.name,
        name=address.slug,
        group=config.name or (Path(os.environ[SWEEP]).name if SWEEP in os.environ else None),
        tags=config.tags,
        notes=config.notes,
        config=_portable(artifact.plain(config.model_dump(exclude=hidden))),
    )


def _portable(value: Any) -> Any:
    """Without this machine's folders: only their last names, so that runs of two machines are comparable."""
    if isinstance(value, dict):
        return {key: _portable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_portable(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and value.startswith(("/", "~")) else value


def _manifest(config: Config, address: Address, metrics: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    inputs = {
        role: {"job": of.job, "slug": of.slug, "fingerprint": of.fingerprint}
        for role, of in address.inputs.items()
    }
    return {
        "kind": address.kind,
        "job": address.job,
        "slug": address.slug,
        "fingerprint": address.fingerprint,
        "format": address.format,
        "made": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "seconds": round(seconds, 2),
        "command": address.command,
        "seed": config.seed,
        "metrics": metrics,
        "choices": address.choices,
        "inputs": inputs,
        "config": config.model_dump(exclude={"overrides"}),
        "code": _code(),
        "versions": {"python": platform.python_version(), **_versions()},
        "hardware": _hardware(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _code() -> dict[str, Any]:
    """The package's version, and its commit where it runs from a checkout."""
    try:
        released = version("hsae")
    except PackageNotFoundError:
        released = None
    checkout = Path(__file__).resolve().parents[1]
    if not (checkout / ".git").exists():
        return {"version": released}

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(checkout), *words], capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    return {
        "version": released,
        "revision": git("rev-parse", "HEAD"),
        "dirty": bool(git("status", "--porcelain")),
    }


def _hardware() -> dict[str, Any]:
    facts: dict[str, Any] = {
        "system": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
    }
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    return facts
