"""Fits an interpreter on an encyclopedia: which concept is an activation of, and how sure is that?

hsae job=interpret interpreter=lda stage=templates
hsae job=interpret interpreter=historical job.split=concept stage=raw
hsae job=interpret interpreter=lda,linear,mlp,hierarchical stage=raw,templates job.judge=templates -m

Fitted on contexts of the role fit, calibrated on tune, judged on test, whose templates neither has seen.
"""

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from hsae import build
from hsae.artifact import Need
from hsae.config import Config, Part
from hsae.errors import ConfigError, UserError
from hsae.execute import Job
from hsae.lm import files

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from hsae.encyclopedia import Encyclopedia
    from hsae.interpreters.base import Interpreter, Rows
    from hsae.stats import Interval

WRITES = "interpreter"
FORMAT = 1

SCORES = "scores.json"
CHECKPOINT = "checkpoint.safetensors"


class Settings(Part):
    """How the interpreter is judged; its own choices stand in the group `interpreter`."""

    name: Literal["interpret"]
    judge: str | None
    """The stage whose contexts of the roles tune and test are read; null: the stage that it is fitted on."""
    split: Literal["role", "concept"]
    """`role`: held out are templates; `concept`: whole concepts, which shows what that split does to a closed
    softmax."""
    miss: Annotated[float, Field(gt=0, lt=1)]
    """Share of rows whose conformal set may miss the true concept."""
    matrix: bool
    """Also fit on each source of contexts alone, and judge on each."""


def needs(config: Config) -> dict[str, Need]:
    """Raises ConfigError without an interpreter."""
    if config.interpreter.name == "none":
        raise ConfigError("interpreter=none tells no concepts apart.\nType interpreter=lda")
    judge = {"judge": Need("bootstrap", (f"stage={config.job.judge}",))} if config.job.judge else {}
    return {"encyclopedia": Need("bootstrap")} | judge


def choices(config: Config) -> dict[str, object]:
    return {
        **config.job.model_dump(exclude={"name"}),
        "interpreter": config.interpreter.model_dump(),
        "sites": files.site_choice(config.model, config.studied.layers),
        "seed": config.seed,
    }


def slug(config: Config) -> str:
    place = files.site_label(config.model, config.studied.layers)
    of = f"{config.concepts.name}-{config.stage.name}-{config.interpreter.name}-seed{config.seed}"
    return f"{files.short_name(config.model.path)}-{place}-{of}"


def estimate(config: Config) -> dict[str, str | int]:
    facts, concepts = config.model.facts(), getattr(config.concepts, "n", None)
    if facts is None or concepts is None:
        return {"concepts": concepts or "all of the source"}
    # about: an output row per concept, twice in a checkpoint beside it, in float32
    return {"concepts": concepts, "bytes": 4 * facts.d * concepts, "scratch": 3 * 4 * facts.d * concepts}


def run(job: Job) -> dict[str, int | float | str]:
    from hsae.encyclopedia import Encyclopedia
    from hsae.hardware import device
    from hsae.interpreters import files as shelf
    from hsae.interpreters.base import check_seen
    from hsae.interpreters.calibration import fit_temperature
    from hsae.interpreters.conformal import halves

    book = Encyclopedia(job.inputs["encyclopedia"].folder)
    judge = Encyclopedia(job.inputs["judge"].folder, model=book.model) if "judge" in job.inputs else book
    sites = _sites(job.config, book)
    if job.config.job.split == "concept":
        return _by_concept(job, book, sites)
    fit = _rows(book, sites, "fit")
    tune, test = (_rows(judge, sites, role) for role in ("tune", "test"))
    tune = _of_seen(job, fit, tune, "tune")
    first, second = halves(tune, seed=job.config.seed)
    interpreter = _blank(job, book, sites, seed=job.config.seed)
    if interpreter.refuses_unseen:
        check_seen(fit.concept, test.concept)
    _fit(job, interpreter, fit, tune, device(job.config.hardware.device))
    fit_temperature(interpreter, first)
    scores = {"split": "role", **_judged(job, interpreter, second, test)}
    scores["controls"] = _controls(job, interpreter, book, sites, fit, tune, test)
    scores["matrix"] = _matrix(job, book, judge, sites) if job.config.job.matrix else []
    shelf.save(interpreter, job.out, sites_named=sites, model=book.model)
    (job.out / CHECKPOINT).unlink(missing_ok=True)
    (job.out / SCORES).write_text(json.dumps(scores, indent=1) + "\n")
    return _headline(job, scores)


def _sites(config: Config, book: "Encyclopedia") -> list[str]:
    """The one that is named, else all of the encyclopedia's."""
    return [files.studied_site(config, book.sites)] if config.site is not None else book.sites


def _rows(book: "Encyclopedia", sites: list[str], role: Any) -> "Rows":
    """Raw rows of one role at all sites, [row d] for a single one. Raises UserError where there are none."""
    import torch

    from hsae.interpreters.base import Rows

    of = [book.rows(site, role=role) for site in sites]
    if not len(of[0].concept):
        raise UserError(
            f"the encyclopedia {book.folder} keeps no raw row of the role {role}.\n"
            "Bootstrap a stage with more contexts (stage=templates), and with encyclopedia.sample above 0."
        )
    x = [torch.from_numpy(rows.x) for rows in of]
    named = torch.from_numpy(of[0].concept), torch.from_numpy(of[0].template)
    return Rows(x[0] if len(x) == 1 else torch.stack(x, 1), *named)


def _by_concept(job: Job, book: "Encyclopedia", sites: list[str]) -> dict[str, int | float | str]:
    """The historical split: accuracies on the concepts of training, of validation and of test. Raises
    `UserError`, with the reason, for an interpreter that refuses to be asked for what it never saw."""
    from hsae.hardware import device
    from hsae.interpreters import files as shelf
    from hsae.interpreters.base import check_seen
    from hsae.interpreters.by_concept import WHY, by_concept
    from hsae.interpreters.calibration import assess

    parts = by_concept(_rows(book, sites, "all"), concepts=len(book.taxonomy))
    interpreter = _blank(job, book, sites, seed=job.config.seed)
    if interpreter.refuses_unseen:
        check_seen(parts.train.concept, parts.validation.concept)
    _fit(job, interpreter, parts.train, parts.validation, device(job.config.hardware.device))
    accuracy = {
        name: _interval(assess(interpreter, rows).correct, rows.concept.numpy(), job.config.seed)
        for name, rows in parts._asdict().items()
    }
    scores = {"split": "concept", "accuracy": accuracy, "chance": 1 / interpreter.concepts, "why": WHY}
    job.say(WHY)
    shelf.save(interpreter, job.out, sites_named=sites, model=book.model)
    (job.out / CHECKPOINT).unlink(missing_ok=True)
    (job.out / SCORES).write_text(json.dumps(scores, indent=1) + "\n")
    return {name: round(found["value"], 4) for name, found in accuracy.items()} | {
        "chance": round(scores["chance"], 6)
    }


def _of_seen(job: Job, fit: "Rows", others: "Rows", role: str) -> "Rows":
    """The rows whose concept has rows to be fitted on; the others are counted."""
    import torch

    seen = torch.isin(others.concept, fit.concept.unique())
    if lost := int((~seen).sum()):
        job.say(f"{lost} rows of the role {role} are of concepts without a row to be fitted on: left out")
    return others.chosen(seen)


def _blank(job: Job, book: "Encyclopedia", sites: list[str], *, seed: int) -> "Interpreter":
    widths = {book.d(site) for site in sites}
    if len(widths) > 1:
        raise UserError(
            f"the sites {', '.join(sites)} have different widths, and one interpreter reads one.\n"
            f"Type site={sites[-1]}"
        )
    variant, settings = build.plugin("interpreter", job.config.interpreter)
    return variant.build(settings, d=widths.pop(), sites=len(sites), taxonomy=book.taxonomy, seed=seed)


def _fit(job: Job, interpreter: "Interpreter", fit: "Rows", tune: "Rows", device: str) -> None:
    steps = interpreter.fit(fit, tune, device=device, checkpoint=job.out / CHECKPOINT)
    for step in job.progress(steps, desc="fit"):
        if step.tune is not None:
            job.log.scalars({"loss/fit": step.loss, "loss/tune": step.tune}, tokens=step.n)


def _judged(job: Job, interpreter: "Interpreter", second: "Rows", test: "Rows") -> dict[str, Any]:
    """Scores on test with intervals over concepts; conformal sets calibrated on the second half of tune."""
    from hsae.interpreters.calibration import assess
    from hsae.interpreters.conformal import sets, threshold

    seed, found = job.config.seed, assess(interpreter, test)
    t = threshold(interpreter, second, miss=job.config.job.miss, seed=seed)
    held = sets(interpreter, test, t=t, seed=seed)
    owner = test.concept.numpy()
    values = {
        "accuracy": found.correct,
        "nll": found.nll,
        "brier": found.brier,
        "coverage": held.covered,
        "set_size": held.size,
    }
    return {
        "n": len(owner),
        "concepts": len(set(owner.tolist())),
        "chance": 1 / interpreter.concepts,
        "temperature": float(interpreter.temperature),
        "weights": interpreter.weights,
        "ece": found.ece(),
        "aurc": found.aurc(),
        "wanted_coverage": 1 - job.config.job.miss,
        **{name: _interval(value, owner, seed) for name, value in values.items()},
    }


def _interval(value: "np.ndarray", owner: "np.ndarray", seed: int) -> dict[str, float]:
    from hsae.stats import cluster_mean

    found: Interval = cluster_mean(value, owner, seed=seed)
    return {"value": found.value, "low": found.low, "high": found.high}


def _controls(
    job: Job,
    interpreter: "Interpreter",
    book: "Encyclopedia",
    sites: list[str],
    fit: "Rows",
    tune: "Rows",
    test: "Rows",
) -> dict[str, Any]:
    """What the same estimation gives where there is nothing to be found: labels permuted between concepts'
    contexts; and how sure the interpreter is of words without meaning and of noise."""
    import torch

    from hsae.interpreters.calibration import assess
    from hsae.seeding import stream

    seed = job.config.seed
    g = stream(seed, "permuted labels")
    shuffled = fit._replace(concept=fit.concept[torch.randperm(len(fit.concept), generator=g)])
    blank = _blank(job, book, sites, seed=seed)
    for _ in blank.fit(shuffled, tune, device=interpreter.device, checkpoint=None):
        pass
    permuted = assess(blank, test)
    noise = test.x.mean(0) + test.x.std(0) * torch.randn(test.x.shape, generator=stream(seed, "noise"))
    sure = lambda x: float(interpreter.log_posterior(x).amax(1).exp().mean())
    found = {
        "permuted": _interval(permuted.correct, test.concept.numpy(), seed),
        "sure_of_test": sure(test.x[:4096]),
        "sure_of_noise": sure(noise[:4096]),
    }
    if book.controls is not None:
        found["sure_of_controls"] = sure(_rows(book.controls, sites, "all").x[:4096])
    return found


def _matrix(job: Job, book: "Encyclopedia", judge: "Encyclopedia", sites: list[str]) -> list[dict[str, Any]]:
    """Accuracy on test contexts of one source after fitting on another: does what is learned from definitions
    hold for scenes? By shrinkage LDA, whatever the interpreter: sources alone have few contexts."""
    from hsae.interpreters import lda
    from hsae.interpreters.calibration import assess
    from hsae.interpreters.classes import classes

    settings = lda.Settings(name="lda", shrinkage=None)
    fit, test = (_by_source(of, sites, role) for of, role in ((book, "fit"), (judge, "test")))
    found = []
    for learned, rows in fit.items():
        known = classes(rows, concepts=len(book.taxonomy))
        if known.freedom < 1:
            job.say(f"the source {learned} has one context a concept: nothing to fit a covariance on")
            continue
        fitted = lda.build(settings, d=book.d(sites[0]), sites=len(sites), taxonomy=book.taxonomy, seed=0)
        fitted.learn(known)
        for read, others in test.items():
            asked = others.chosen(fitted.seen[others.concept])
            if len(asked.concept):
                correct = assess(fitted, asked).correct
                accuracy = _interval(correct, asked.concept.numpy(), job.config.seed)
                found.append({"fit": learned, "test": read, "n": len(correct), **accuracy})
    return found


def _by_source(book: "Encyclopedia", sites: list[str], role: Any) -> dict[str, "Rows"]:
    """The rows of one role, by the sources that have some."""
    import torch

    rows, source = _rows(book, sites, role), book.rows(sites[0], role=role).source
    return {
        name: rows.chosen(torch.from_numpy(source == number))
        for number, name in enumerate(book.sources)
        if (source == number).any()
    }


def _headline(job: Job, scores: "Mapping[str, Any]") -> dict[str, int | float | str]:
    rows = [
        [name, *(round(scores[name][bound], 4) for bound in ("value", "low", "high"))]
        for name in ("accuracy", "nll", "brier", "coverage", "set_size")
    ]
    job.log.table("scores on held-out templates", ["score", "value", "low", "high"], rows)
    if scores["matrix"]:
        columns = ["fit", "test", "n", "value", "low", "high"]
        job.log.table(
            "accuracy by source", columns, [[line[column] for column in columns] for line in scores["matrix"]]
        )
    accuracy = scores["accuracy"]
    return {
        "accuracy": round(accuracy["value"], 4),
        "low": round(accuracy["low"], 4),
        "high": round(accuracy["high"], 4),
        "chance": round(scores["chance"], 6),
        "permuted": round(scores["controls"]["permuted"]["value"], 4),
        "ece": round(scores["ece"], 4),
        "coverage": round(scores["coverage"]["value"], 4),
    }
