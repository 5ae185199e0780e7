"""What an experiment, or a few jobs, will take: disk, arithmetic, memory and time; refuses what cannot fit.

    hsae job=plan experiment=quickstart
    hsae job=plan job.of=extract model=gpt2 corpus.tokens=10_000_000
    hsae job=plan job.of=[extract,train_sae] sae.latents=65536

Speeds are measured on this machine, with the model and the SAEs that are asked for. Time is that of the LM's
passes and of the SAE's steps alone.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Annotated, Any, Literal, final

from pydantic import BeforeValidator, PositiveFloat

from hsae import artifact, build, console
from hsae.artifact import Need
from hsae.config import Config, Part
from hsae.errors import ConfigError, UserError
from hsae.execute import Job, Planned, plan
from hsae.lm import files

WRITES = None
FORMAT = 1

BASE = 500_000_000
"""Bytes of memory that a job holds before it has loaded anything: Python, torch, transformers."""


def _listed(said: Any) -> Any:
    return (said,) if isinstance(said, str) else said


class Settings(Part):
    """What is planned, and for how long speeds are measured."""

    name: Literal["plan"]
    of: Annotated[tuple[str, ...], BeforeValidator(_listed)]
    """Names of jobs, or lines of overrides; empty stands for the steps of the experiment."""
    seconds: PositiveFloat


def needs(config: Config) -> dict[str, Need]:  # noqa: ARG001  nothing is read
    return {}


def steps(config: Config) -> list[Config]:
    """The jobs that are planned, in order. Raises ConfigError where none is named."""
    if not (config.job.of or config.steps):
        raise ConfigError(
            "job=plan plans an experiment, or the jobs that job.of names; neither was given.\n"
            "Try job=plan experiment=quickstart, or job=plan job.of=[extract,train_sae]"
        )
    typed = build.without(config.overrides, ("job",))
    if config.job.of:
        lines = [of if "=" in of else f"job={of}" for of in config.job.of]
        typed = (*build.without(typed, ("steps",)), build.quoted("steps", lines))
    whole = build.compose((*typed, "job=pipeline"))
    return build.job_module(whole).steps(whole)


def run(job: Job) -> dict[str, int | float | str]:
    """Raises UserError, below the table, where a step cannot fit, naming it and what to change."""
    from hsae.hardware import device

    planned = plan(steps(job.config))
    wanted = [
        _Wanted.of(step, device(step.config.hardware.device)) for step in planned if step.state != "there"
    ]
    problems = [*_too_large(wanted, Path(job.config.outputs)), *_too_wide(wanted)]
    # what does not fit is not tried either
    speeds = {} if problems else _speeds(wanted, job.config.job.seconds)
    _show(planned, wanted, speeds)
    if problems:
        raise UserError("this cannot run here:\n" + "\n".join(f"  {line}" for line in problems))
    return {
        "steps": len(planned),
        "to make": len(wanted),
        "bytes": sum(step.disk for step in wanted),
        "flops": sum(step.flops for step in wanted),
        "seconds": round(sum(step.seconds(speeds) or 0 for step in wanted), 1),
    }


Speeds = dict[str, float]
"""FLOPs per second by what is computed: `lm` and the model, `sae` and its settings."""


@final
@dataclass(frozen=True)
class _Wanted:
    """A step that is not there yet, on the device where it will run."""

    step: Planned
    config: Config
    sizes: Mapping[str, Any]
    processes: int
    """That share it on this machine."""

    @classmethod
    def of(cls, step: Planned, device: str) -> "_Wanted":
        hardware = step.config.hardware.model_copy(update={"device": device})
        config = step.config.model_copy(update={"hardware": hardware})
        module = build.job_module(config)
        return cls(
            step, config, module.estimate(config), hardware.processes if hasattr(module, "work") else 1
        )

    @property
    def name(self) -> str:
        return f"{self.step.address.job} {self.step.address.slug}"

    @property
    def on_gpu(self) -> bool:
        return self.config.hardware.device.startswith("cuda")

    @property
    def disk(self) -> int:
        return self.sizes.get("bytes", 0)

    @property
    def flops(self) -> int:
        return self.sizes.get("lm_flops", 0) + self.sizes.get("sae_flops", 0)

    @property
    def ram(self) -> int:
        """Bytes of memory, those of the model and the SAE among them where there is no GPU."""
        held = 0 if self.on_gpu else self.sizes.get("memory", 0)
        return self.processes * (BASE + self.sizes.get("ram", 0) + held)

    @property
    def gpu(self) -> int:
        """Bytes of one GPU."""
        return BASE + self.sizes.get("memory", 0) if self.on_gpu else 0

    @property
    def kinds(self) -> dict[str, str]:
        """What is computed -> its key among the speeds."""
        model, sae = self.config.model, self.config.sae
        keys = {"lm": f"model {model.path} in {self.config.hardware.dtype}"}
        if latents := self.sizes.get("latents"):
            of = f"{latents:,} latents, {sae.k} at once, batches of {self.config.train.batch:,}"
            keys["sae"] = f"SAE {sae.name} at {model.path}: {of}"
        return {kind: key for kind, key in keys.items() if self.sizes.get(f"{kind}_flops")}

    def seconds(self, speeds: Speeds) -> float | None:
        """None where the job does not say what it computes."""
        if not self.kinds or not speeds:
            return None
        return (
            sum(self.sizes[f"{kind}_flops"] / speeds[key] for kind, key in self.kinds.items())
            / self.processes
        )


def _speeds(wanted: Sequence[_Wanted], seconds: float) -> Speeds:
    """Each kind of work measured once, all of them together for about so many seconds."""
    measure = {"lm": _lm_speed, "sae": _sae_speed}
    chosen = {key: (measure[kind], step.config) for step in wanted for kind, key in step.kinds.items()}
    return {key: how(config, seconds / len(chosen)) for key, (how, config) in chosen.items()}


def _lm_speed(config: Config, seconds: float) -> float:
    from hsae.lm import chosen_lm
    from hsae.lm.speed import flops_per_second

    lm = chosen_lm(config)
    return flops_per_second(
        lm,
        config.layers.resolve(lm.layers),
        context=config.capture.context,
        batch_tokens=config.hardware.batch_tokens,
        seconds=seconds,
    )


def _sae_speed(config: Config, seconds: float) -> float:
    """FLOPs per second, as `estimate` counts them, of real steps on random rows."""
    import torch

    from hsae.fit import Recipe, Training

    facts, train = config.model.facts(), config.train
    assert facts is not None, "a job that knows its FLOPs knows its model"
    d = facts.width(files.studied_site(config, config.layers.resolve(facts.layers))) or facts.d
    variant, settings = build.plugin("sae", config.sae)
    sae = variant.build(settings, d=d, teacher=None, seed=0).to(config.hardware.device)
    recipe = Recipe(steps=1 << 40, lr=1e-4, warmup=0.0, decay=0.0, clip=config.sae.clip, dead_after=1 << 40)
    rows = torch.randn(train.batch, d, device=config.hardware.device)
    stepping = Training(sae, recipe, scale=1.0).steps(repeat(rows))
    next(stepping)  # the first one fills caches
    start, done = time.perf_counter(), 0
    while not done or time.perf_counter() - start < seconds:
        next(stepping)  # which waits for the GPU: it looks at the loss
        done += 1
    a_step = build.job_module(config).estimate(config)["sae_flops"] * train.batch / train.tokens
    return done * a_step / (time.perf_counter() - start)


def _show(planned: Sequence[Planned], wanted: Sequence[_Wanted], speeds: Speeds) -> None:
    found = {step.step.address.fingerprint: step for step in wanted}
    rows = [_row(step, found.get(step.address.fingerprint), speeds) for step in planned]
    rows.append(_total(wanted, speeds))
    columns = ("job", "artifact", "state", "rows", "disk", "compute", "RAM", "GPU", "time")
    console.table("plan", columns, rows)
    for key, speed in speeds.items():
        console.say(f"measured: {console.size(speed, 'FLOP/s')}, {key}")
    if speeds:
        console.say(
            "Time is of the LM's passes and the SAE's steps; what fits, tests and draws comes on top."
        )
    unknown = {step.config.model.path for step in wanted if step.config.model.facts() is None}
    for path in sorted(unknown):
        console.say(f"model.path={path} is not on this machine: what depends on its size is not known.")


def _row(step: Planned, wanted: _Wanted | None, speeds: Speeds) -> tuple[Any, ...]:
    if wanted is None:
        return (step.address.job, step.address.slug, step.state, *[None] * 6)
    seconds = wanted.seconds(speeds)
    return (
        step.address.job,
        step.address.slug,
        step.state,
        wanted.sizes.get("rows"),
        console.size(wanted.disk) if wanted.disk else None,
        console.size(wanted.flops, "FLOP") if wanted.flops else None,
        console.size(wanted.ram),
        console.size(wanted.gpu) if wanted.gpu else None,
        None if seconds is None else console.duration(seconds),
    )


def _total(wanted: Sequence[_Wanted], speeds: Speeds) -> tuple[Any, ...]:
    """Sums of what adds up, the most of what is held at a time."""
    most = lambda sizes: console.size(largest) if (largest := max(sizes, default=0)) else None
    return (
        "all",
        None,
        None,
        None,
        console.size(disk) if (disk := sum(step.disk for step in wanted)) else None,
        console.size(flops, "FLOP") if (flops := sum(step.flops for step in wanted)) else None,
        most(step.ram for step in wanted),
        most(step.gpu for step in wanted),
        console.duration(sum(step.seconds(speeds) or 0 for step in wanted)) if speeds else None,
    )


def _too_large(wanted: Sequence[_Wanted], outputs: Path) -> Iterator[str]:
    """The first step for which the disk has no room behind those before it."""
    free, written = artifact.free(outputs), 0
    for step in wanted:
        written += step.disk
        need = artifact.HEADROOM * (written + step.sizes.get("scratch", 0))
        if need > free:
            yield (
                f"disk: {step.name} writes {console.size(step.disk)}; with the steps before it, its "
                f"checkpoints and a tenth to spare that is {console.size(need)}, and {outputs} has "
                f"{console.size(free)} free.\n"
                f"    {LESS_DISK}"
            )
            return


LESS_DISK = (
    "Take fewer rows (corpus.tokens=...), fewer sites (layers=middle), fewer sae.latents, "
    "capture.dtype=int8, train.source=stream (nothing on disk), or a larger disk (outputs=FOLDER)."
)
LESS_MEMORY = (
    "Take a smaller hardware.batch_tokens, train.pool, train.batch, sae.latents, or a smaller model."
)


def _too_wide(wanted: Sequence[_Wanted]) -> Iterator[str]:
    """The first step that needs more memory than there is, on either side."""
    from hsae.hardware import gpu_memory, ram

    sides = (
        ("RAM", lambda step: step.ram, lambda _: ram()),
        ("GPU memory", lambda step: step.gpu, lambda step: gpu_memory(step.config.hardware.device)),
    )
    for what, needed, free in sides:
        for step in wanted:
            have = free(step)
            if have is not None and needed(step) > have:
                sizes = console.size(needed(step)), console.size(have)
                yield f"{what}: {step.name} needs {sizes[0]}, and {sizes[1]} are free.\n    {LESS_MEMORY}"
                break
