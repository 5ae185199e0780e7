"""`hsae job=... key=value`: compose, check, run, publish. Only the job that runs imports what is heavy.

Exit codes: 0 done, 1 a job failed, 2 a configuration that cannot run, 130 Ctrl-C, 143 SIGTERM.
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from hsae import artifact, build, console, execute
from hsae.config import Config, Part
from hsae.errors import ConfigError, MissingInput, UserError
from hsae.execute import SWEEP


class Result(Part):
    """How one job ended, in a form that any process can leave for the closing table."""

    overrides: tuple[str, ...]
    state: str
    metrics: dict[str, int | float | str]
    seconds: float
    code: int


def main() -> None:
    """The command `hsae`."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = guarded(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader (`| head`) has seen enough; Python would complain once more when it closes the stream
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + signal.SIGPIPE
    sys.exit(code)


def guarded(words: Sequence[str]) -> int:
    """Runs the command line; every end it can come to has its message and its exit code."""
    try:
        return _command(words)
    except KeyboardInterrupt:
        console.fail("stopped; the same command goes on from here.")
        return 128 + signal.SIGINT
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except UserError as error:
        console.fail(str(error))
        return error.exit_code


def _terminate(number: int, _frame: object) -> None:
    """An exit that unwinds: locks are released and logs are closed on the way."""
    console.fail("terminated; the same command goes on from here.")
    raise SystemExit(128 + number)


def _command(words: Sequence[str]) -> int:
    """Hands the command line to Hydra, which composes one job or many and gives each to `task`."""
    results: list[Result] = []

    def task(composed: DictConfig) -> None:
        result = _job(composed)
        results.append(result)
        if folder := os.environ.get(SWEEP):
            _leave(result, Path(folder))

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's errors come to us, who know what is near the mistyped word
    sys.argv[1:] = overrides_first(words)
    start = hydra.main(version_base="1.3", config_path=str(build.conf_dir()), config_name="config")(task)
    try:
        start()
    except (HydraException, OmegaConfBaseException) as error:
        raise _explained(words, error) from None
    except (
        ValueError
    ) as error:  # flags that contradict each other, stage=9; what jobs raise does not get here
        raise (ConfigError(str(error)) if _flagged(words) else _explained(words, error)) from None
    finally:
        ended_well = _close(os.environ.pop(SWEEP, None))
    return max((result.code for result in results), default=0) if ended_well is None else int(not ended_well)


def _explained(words: Sequence[str], error: Exception) -> ConfigError:
    """Every mistake on the command line, where Hydra tells the first."""
    overrides = [word for word in words if _sets(word)]
    if {"-m", "--multirun"} & set(words):
        try:
            check_sweep(build.expand(overrides))
        except ConfigError as explained:
            return explained
    return build.diagnose(overrides, error)


def _flagged(words: Sequence[str]) -> bool:
    return any(word.startswith("-") for word in words) and not {"-m", "--multirun"} & set(words)


def _sets(word: str) -> bool:
    return "=" in word and not word.startswith("-")


def overrides_first(words: Sequence[str]) -> list[str]:
    """Hydra's parser refuses `a=1 -m b=2`; overrides go first, and everything else keeps its order."""
    return sorted(map(build.spelled, words), key=lambda word: not _sets(word))


def _job(composed: DictConfig) -> Result:
    """One job from its composed configuration to its result; a failure is told here and kept as a result."""
    overrides, start = tuple(HydraConfig.get().overrides.task), time.monotonic()
    state, metrics, code = "failed", {}, 1
    line = " ".join(overrides) if SWEEP in os.environ else ""
    if line:
        console.say(line)
    try:
        config = settled(build.from_hydra(composed, overrides))
        if config.dry_run:
            _show(config)
            state = "planned"
        else:
            outcome = execute.execute(config)
            state, metrics = outcome.state, dict(outcome.metrics)
            _tell(outcome)
        code = 0
    except UserError as error:
        console.fail(f"{line}\n{error}" if line else str(error))
        code = error.exit_code
    except Exception:  # noqa: BLE001  a fault of ours ends its own job, not the sweep around it
        traceback.print_exc()
    took = time.monotonic() - start
    return Result(overrides=overrides, state=state, metrics=metrics, seconds=took, code=code)


def settled(config: Config) -> Config:
    """The config that can run on this machine; a line says what it does without."""
    if config.fallback is None:
        return config
    from hsae.concepts import wordnet

    config, notice = build.settle(config, {"wordnet": wordnet.found})
    if notice:
        console.say(notice)
    return config


def _jobs(config: Config) -> list[Config]:
    """The config itself, or the steps that it stands for."""
    job = build.job_module(config)
    return [config] if job.WRITES else job.steps(config)


def _tell(outcome: execute.Outcome) -> None:
    if outcome.folder is None:
        return
    if outcome.state == "there":
        console.say(f"there already: {outcome.folder}  (force=true makes it again)")
    else:
        console.say(f"made in {console.duration(outcome.seconds)}: {outcome.folder}")
    if outcome.metrics:
        console.say(f"  {console.headline(outcome.metrics, most=8)}")
    for page in sorted(outcome.folder.glob("*.html")):
        console.say(f"  page: {page}")


def _show(config: Config) -> None:
    """dry_run: the composed configuration, what would be made of it, and how large that would be."""
    console.show_config(artifact.plain(config.model_dump(exclude={"overrides"})))
    planned = execute.plan(_jobs(config))
    rows = [(step.address.job, step.address.name, step.state, console.sizes(step.sizes)) for step in planned]
    console.table("plan (dry run: nothing was started)", ("job", "artifact", "state", "sizes"), rows)
    for step in planned:
        if step.state == "missing":
            console.say(f"missing: {step.address.folder}; make it with\n  {step.address.command}")


class Preflight(Callback):
    """Before a sweep: every job of it is composed and checked, and none starts where one cannot run."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Raises SystemExit, for Hydra turns any other exception of a callback into a warning."""
        try:
            os.environ[SWEEP] = str(_prepared(config))
        except UserError as error:
            console.fail(str(error))
            raise SystemExit(error.exit_code) from None
        except Exception:  # noqa: BLE001  a fault of ours must not pass as a warning either
            traceback.print_exc()
            raise SystemExit(1) from None


def _prepared(config: DictConfig) -> Path:
    """The folder of a sweep that can run. Raises UserError where it cannot."""
    expected = 0
    if config.hydra.sweeper._target_.endswith(".BasicSweeper"):  # others choose their jobs as they go
        axes = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
        jobs = build.expand([*axes, *config.hydra.overrides.task])
        check_sweep(jobs)
        expected = len(jobs)
    folder = Path(config.outputs).resolve() / ".sweeps" / time.strftime(f"%Y%m%d-%H%M%S-{os.getpid()}")
    artifact.make_folder(folder)
    (folder / "expected").write_text(str(expected))
    return folder


def check_sweep(jobs: Sequence[tuple[str, ...]]) -> None:
    """Raises ConfigError with what is wrong in any of the jobs of a sweep, else MissingInput with what they
    lack."""
    wrong, configs = list[str](), list[Config]()
    for overrides in jobs:
        try:
            configs += _jobs(settled(build.compose(overrides)))
        except build.Mistaken as error:
            wrong.append("\n    ".join((" ".join(overrides), *error.mistakes)))
        except ConfigError as error:
            wrong.append(f"{' '.join(overrides)}\n    " + str(error).replace("\n", "\n    "))
    refused = "this sweep cannot run, so none of it was started:\n  "
    if wrong:
        raise ConfigError(refused + "\n  ".join(wrong))
    if wanting := execute.lacking([config for config in configs if not config.dry_run]):
        raise MissingInput(refused + "\n  ".join(wanting))


def _leave(result: Result, folder: Path) -> None:
    """A file of its own per job: no two processes write into one."""
    path = folder / f"{time.time_ns()}-{os.getpid()}.json"
    path.write_text(result.model_dump_json())


def _close(folder: str | None) -> bool | None:
    """The closing table of a sweep, from what its jobs left behind; whether all of them ended well."""
    if folder is None:
        return None
    results = [Result.model_validate_json(path.read_text()) for path in sorted(Path(folder).glob("*.json"))]
    everywhere = set.intersection(*(set(result.overrides) for result in results)) if results else set()
    names = list(dict.fromkeys(name for result in results for name in result.metrics))[:6]
    rows = [
        (
            " ".join(word for word in result.overrides if word not in everywhere) or "the same",
            result.state,
            *(result.metrics.get(name) for name in names),
            console.duration(result.seconds),
        )
        for result in results
    ]
    console.table(f"sweep {' '.join(sorted(everywhere))}", ("job", "state", *names, "took"), rows)
    expected = max(int((Path(folder) / "expected").read_text()), len(results))
    well = sum(result.code == 0 for result in results)
    console.say(f"{well} of {expected} jobs ended well")
    return well == expected


if __name__ == "__main__":
    # by its importable name, under which the workers of a launcher find what they are sent
    from hsae.__main__ import main as command

    command()
