"""Trains a sparse autoencoder on the activations of a store, or straight from the LM, blank or taught.

hsae job=train_sae sae=topk seed=3
hsae job=train_sae train.source=stream
hsae job=train_sae sae=topk,hierarchical teacher=none,encyclopedia -m
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from hsae import build
from hsae.artifact import Need
from hsae.config import Config, Part
from hsae.errors import UserError
from hsae.execute import Job
from hsae.lm import cost, files

if TYPE_CHECKING:
    from torch import Tensor

    from hsae.activations import Store, Stream
    from hsae.fit import Held, Step, Training
    from hsae.sae import SAE, Teacher

WRITES = "sae"
FORMAT = 2

CHECKPOINT = "checkpoint.safetensors"
SAMPLE = 8_192  # rows that the scale and the first b_dec are estimated on
HELD_OUT = 8_192  # rows of the split `valid` that progress is judged on


class Settings(Part):
    """All choices stand in other groups: sae, train, teacher, layers, corpus, model."""

    name: Literal["train_sae"]


def needs(config: Config) -> dict[str, Need]:
    """The activations, and the teacher if there is one. Raises ConfigError for several sites, as far as they
    are known by now."""
    if isinstance(sites := files.site_choice(config.model, config.layers), list):
        files.studied_site(config, sites)
    taught = {"teacher": Need("teach")} if config.teacher.name != "none" else {}
    stored = {"store": Need("extract")} if config.train.source == "store" else {}
    return stored | taught


def choices(config: Config) -> dict[str, object]:
    streamed = config.train.source == "stream"
    unread = {"name", "save_every"} | (set() if streamed else {"pool"})
    return {
        "sae": config.sae.model_dump(),
        "train": config.train.model_dump(exclude=unread),
        "site": files.site_choice(config.model, config.studied.layers),
        "seed": config.seed,
        **({"reading": files.reading_choices(config.studied)} if streamed else {}),
    }


def slug(config: Config) -> str:
    place = files.site_label(config.model, config.studied.layers)
    of = f"{config.sae.name}-{config.teacher.name}-seed{config.seed}"
    return f"{files.model_name(config.model)}-{place}-{of}"


def estimate(config: Config) -> dict[str, str | int]:
    """FLOPs are those of exact sparse code: the encoder looks at every latent, 2 d latents a row; decoding
    and the three products of the way back touch k of them, 2 d k each."""
    facts, train = config.model.facts(), config.train
    steps, streamed = train.tokens // train.batch, train.source == "stream"
    if facts is None:
        return {"steps": steps}
    site = files.studied_site(config, config.layers.resolve(facts.layers))
    d = facts.width(site) or facts.d
    latents = config.sae.width(d)
    weights = 4 * latents * 2 * (d + 1)
    read = cost.passes(config, train.tokens, sites=[site]) if streamed else {}
    return {
        "steps": steps,
        "latents": latents,
        "bytes": weights,
        # a checkpoint holds weights and two moments, and the next is written beside it
        "scratch": 6 * weights,
        **read,
        "sae_flops": train.tokens * 2 * d * (latents + 4 * config.sae.k),
        "memory": read.get("memory", 0) + 4 * weights + 4 * train.batch * (3 * latents + 8 * d),
        "ram": 2 * d * (train.pool if streamed else 3 * train.batch),
    }


def run(job: Job) -> dict[str, int | float | str]:
    from hsae.hardware import device
    from hsae.sae import files as saes

    if (job.out / saes.CARD).is_file():
        return saes.card(job.out)["headline"]  # killed between its last file and its name
    config = job.config
    source = _stream(job) if config.train.source == "stream" else _store(job)
    site = files.studied_site(config, source.sites)
    held = _held_rows(source, site)
    training, batches = _training(job, source, site, device(config.hardware.device))
    _fit(job, training, batches, held)
    sae = training.sae.eval()
    sae.fold(training.scale)
    headline = _headline(sae, _judge(sae, held, scale=1.0))
    _, settings = build.plugin("sae", config.sae)
    facts = {"site": site, "tokens": training.tokens, "trained_with_scale": training.scale}
    saes.save(sae, settings, job.out, **facts, headline=headline)
    (job.out / CHECKPOINT).unlink(missing_ok=True)
    return headline


def _store(job: Job) -> "Store":
    from hsae.activations import Store

    return Store(job.inputs["store"].folder)


def _stream(job: Job) -> "Stream":
    from hsae.activations import Reading, Stream, outlier_limits
    from hsae.corpora.chosen import chosen_corpus
    from hsae.lm import chosen_lm

    config = job.config.studied
    lm, documents = chosen_lm(config), chosen_corpus(config)
    reading = Reading.of(config, lm.layers)
    limits = outlier_limits(lm, documents, reading)
    return Stream(lm, documents, reading, limits=limits, pool=config.train.pool)


def _training(
    job: Job, source: "Store | Stream", site: str, device: str
) -> "tuple[Training, Iterator[Tensor]]":
    """The SAE and its optimiser, as new or as the last checkpoint left them, and the batches that follow."""
    from hsae.fit import Recipe, Training, default_dead_after, default_lr, norm_scale, saved_scale

    config, train = job.config, job.config.train
    checkpoint = job.out / CHECKPOINT
    sample = batches = None
    if not checkpoint.is_file():
        sample, batches = _first(_batches(job, source, site, skip=0))
    scale = saved_scale(checkpoint) if sample is None else norm_scale(sample)
    sae = _sae(job, source, site, scale=scale, sample=sample)
    recipe = Recipe(
        steps=train.tokens // train.batch,
        lr=config.sae.lr or default_lr(sae.latents),
        warmup=train.warmup,
        decay=train.decay,
        clip=config.sae.clip,
        dead_after=config.sae.dead_after or default_dead_after(train.tokens),
    )
    training = Training(sae.to(device), recipe, scale=scale)
    if batches is None:
        training.load(checkpoint)
        batches = _batches(job, source, site, skip=training.step)
        job.say(f"going on from step {training.step} of {recipe.steps}")
    job.log.rewind(training.tokens)
    return training, batches


def _batches(job: Job, source: "Store | Stream", site: str, *, skip: int) -> "Iterator[Tensor]":
    from hsae.hardware import device

    batch, seed, on = job.config.train.batch, job.config.seed, device(job.config.hardware.device)
    return source.batches(site, split="train", batch=batch, seed=seed, skip=skip, device=on)


def _first(batches: "Iterator[Tensor]") -> "tuple[Tensor, Iterator[Tensor]]":
    """The rows that training sees first, and the batches with those still in front."""
    from itertools import chain, islice

    import torch

    first = next(batches)
    taken = [first, *islice(batches, max(1, SAMPLE // len(first)) - 1)]
    return torch.cat(taken).cpu(), chain(taken, batches)


def _sae(job: Job, source: "Store | Stream", site: str, *, scale: float, sample: "Tensor | None") -> "SAE":
    """The SAE before its first step; without a sample, as a checkpoint is about to fill it."""
    from hsae.fit import geometric_median

    variant, settings = build.plugin("sae", job.config.sae)
    teacher = _teacher(job, site)
    sae: SAE = variant.build(
        settings,
        d=source.d(site),
        teacher=None if teacher is None else teacher.scaled(scale),
        seed=job.config.seed,
    )
    if sample is not None:
        sae.centre(geometric_median(sample * scale))
        sae.quieten(sample * scale)
    _tell_placement(job, sae)
    return sae


def _teacher(job: Job, site: str) -> "Teacher | None":
    """The teacher's vectors as an SAE takes them."""
    import json

    from hsae import geometry
    from hsae.geometry.patterns import CARD
    from hsae.sae import Teacher

    if "teacher" not in job.inputs:
        return None
    folder = job.inputs["teacher"].folder
    taught_at = json.loads((folder / CARD).read_text())["site"]
    if taught_at != site:
        raise UserError(
            f"the teacher stands at {taught_at}, the SAE at {site}.\nTeach there: job=teach site={site}"
        )
    found = geometry.load(folder)
    return Teacher(found.read, found.write, found.parents, found.names, found.center)


def _tell_placement(job: Job, sae: "SAE") -> None:
    placement = sae.placement
    if len(placement.names) or placement.left_out:
        why = "".join(f"; {count} not: {reason}" for reason, count in placement.left_out.items())
        job.say(f"{len(placement.names)} of {sae.latents} latents are taught{why}")


def _fit(job: Job, training: "Training", batches: "Iterator[Tensor]", held: "Tensor") -> None:
    """Drives the training: logs, judges on held-out rows, saves."""
    train = job.config.train
    steps = job.progress(training.steps(batches), total=training.recipe.steps - training.step, desc="train")
    for step in steps:
        last = step.n == training.recipe.steps
        if last or _crossed(step, train.log_every, train.batch):
            _log(job, training, step, _judge(training.sae, held, scale=training.scale))
        if not last and _crossed(step, train.save_every, train.batch):
            training.save(job.out / CHECKPOINT)


def _crossed(step: "Step", every: int, batch: int) -> bool:
    """Whether the last batch went over a multiple of `every` tokens."""
    return step.tokens // every > (step.tokens - batch) // every


def _held_rows(source: "Store | Stream", site: str) -> "Tensor":
    """Rows that the SAE is judged on and never learns from."""
    rows = source.rows(site, "valid", 0, HELD_OUT)
    if not len(rows):
        raise UserError(
            "the corpus has no held-out row of the split valid.\nRead more of it: corpus.tokens=..."
        )
    return rows


def _judge(sae: "SAE", held: "Tensor", *, scale: float) -> "Held":
    from hsae.fit import held_out

    return held_out(sae, held.split(2_048), scale=scale)


def _log(job: Job, training: "Training", step: "Step", held: "Held") -> None:
    job.log.scalars(
        {
            **{f"loss/{name}": loss.item() for name, loss in step.losses.items()},
            "held_out/explained_variance": held.explained_variance,
            "held_out/l0": held.l0,
            "train/dead": int(training.dead.sum()),
            "train/lr": step.lr,
            "train/gradient": step.gradient,
        },
        tokens=step.tokens,
    )


def _headline(sae: "SAE", held: "Held") -> dict[str, int | float | str]:
    return {
        "explained_variance": round(held.explained_variance, 4),
        "l0": round(held.l0, 2),
        "silent": int((held.fired == 0).sum()),
        "held_out_rows": held.rows,
        "latents": sae.latents,
        "taught": len(sae.placement.names),
    }
