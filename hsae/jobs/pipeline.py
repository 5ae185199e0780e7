"""Run the `steps` of an experiment in order, each like a sweep of its own; what exists is not made again."""

import shlex
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hsae import build, console
from hsae.config import Config, Part
from hsae.errors import ConfigError, MissingInput, UserError
from hsae.execute import Job, Outcome, execute, lacking

WRITES = None
FORMAT = 1


class Settings(Part):
    name: Literal["pipeline"]


@dataclass(frozen=True)
class Done:
    """One step and what became of it: `made`, `there`, `failed`, or `not run` for want of a failed one."""

    config: Config
    slug: str
    state: str
    outcome: Outcome | None


def steps(config: Config) -> list[Config]:
    """The configs of all steps, in order, none twice. Raises ConfigError with the mistakes of all of them.

    What the command line says of a key beats what a step says; a step that looks back (a job with the key
    `of`) is told the lines before it.
    """
    if not config.steps:
        raise ConfigError(
            "job=pipeline runs the steps of an experiment, and none was named.\nTry experiment=quickstart"
        )
    typed = build.without(config.overrides, ("job", "steps"))
    found: dict[tuple[str, ...], Config] = {}
    mistakes: list[str] = []
    for line in config.steps:
        try:
            for words in build.expand(line):
                own = build.without(words, build.keys(typed))
                own, step = _step_of(typed, own, [shlex.join(earlier) for earlier in found])
                found.setdefault(own, step)
        except ConfigError as error:
            mistakes.append(f"in the step {line!r}\n{error}")
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return list(found.values())


def _step_of(
    typed: tuple[str, ...], own: tuple[str, ...], earlier: list[str]
) -> tuple[tuple[str, ...], Config]:
    step = build.compose((*typed, *own))
    if build.job_module(step).WRITES is None:
        raise ConfigError(f"job={step.job.name} makes no artifact, so it is no step.\nRun it by itself.")
    if "of" in type(step.job).model_fields and not step.job.of:
        own = (*own, build.quoted("job.of", earlier))
        step = build.compose((*typed, *own))
    return own, step


def needs(config: Config) -> dict:  # noqa: ARG001  the protocol of jobs
    """Nothing: each step has needs of its own."""
    return {}


def run(job: Job) -> dict[str, int | float | str]:
    """Runs the steps and shows them in one table. Raises UserError at the end if one failed."""
    configs, done = steps(job.config), list[Done]()
    if wanting := lacking(configs):
        raise MissingInput("a step reads what no step before it makes:\n  " + "\n  ".join(wanting))
    failed: set[str] = set()
    for at, config in enumerate(configs, start=1):
        step = _step(config, f"{at}/{len(configs)}", failed)
        if step.outcome is None:
            failed.add(build.address(config).fingerprint)
        done.append(step)
    _show(done)
    if failed:
        raise UserError(
            f"{len(failed)} of {len(done)} steps did not finish; the same command goes on from there."
        )
    return {"steps": len(done), "made": sum(step.state == "made" for step in done)}


def _step(config: Config, position: str, failed: set[str]) -> Done:
    address = build.address(config)
    if any(needed.fingerprint in failed for needed in address.inputs.values()):
        return Done(config, address.slug, "not run", None)
    if config.force or not address.folder.exists():
        console.say(f"{position}  {config.job.name}  {address.slug}")
    start = time.monotonic()
    try:
        outcome = execute(config)
    except UserError as error:
        console.fail(str(error))
    except Exception:  # noqa: BLE001  a fault of ours in one step must not take the others with it
        traceback.print_exc()
    else:
        if outcome.state == "made":
            console.say(
                f"  {console.duration(time.monotonic() - start)}  {console.headline(outcome.metrics)}"
            )
        return Done(config, address.slug, outcome.state, outcome)
    return Done(config, address.slug, "failed", None)


def _show(done: Sequence[Done]) -> None:
    rows = [
        (
            step.config.job.name,
            step.slug,
            step.state,
            console.duration(step.outcome.seconds) if step.outcome and step.state == "made" else "",
            console.headline(step.outcome.metrics) if step.outcome else "",
        )
        for step in done
    ]
    console.table("steps", ("job", "artifact", "state", "took", "result"), rows)
    for step in done:
        for page in (
            sorted(step.outcome.folder.glob("*.html")) if step.outcome and step.outcome.folder else ()
        ):
            console.say(f"\npage: {page}")
