"""Fits an interpreter on an encyclopedia: which concept is an activation of, and how sure is that?

hsae job=interpret interpreter=lda stage=templates
hsae job=interpret interpreter=historical job.split=concept stage=raw
hsae job=interpret interpreter=lda,linear,mlp,hierarchical stage=raw,templates job.judge=templates -m

Fitted on contexts of the role fit, calibrated on tune, judged on test, whose templates neither has seen.

scores.json has every score beside its controls; judged.npz what was made of each test row, for whoever
compares two interpreters on the same rows (hsae.interpreters.judging.judged).
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from hsae import build, json_file
from hsae.artifact import Need
from hsae.config import Config, Part
from hsae.errors import ConfigError
from hsae.execute import Job
from hsae.lm import files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hsae.encyclopedia import Encyclopedia
    from hsae.interpreters.base import Interpreter, Rows
    from hsae.interpreters.calibration import Assessment
    from hsae.interpreters.roles import Reading

WRITES = "interpreter"
FORMAT = 3

SCORES = "scores.json"
CHECKPOINT = "checkpoint.safetensors"

REREAD = ("embedding", "untrained")
"""Controls whose activations job=reread makes."""
SHOWN = ("permuted", "embedding", "untrained", "characters")
"""Controls that have an accuracy."""
HEAD = {"accuracy": "value", "low": "low", "high": "high"}


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
    controls: tuple[Literal["permuted", "embedding", "untrained", "characters", "noise", "words"], ...]
    """What the same estimation is done on where there is less to be found, or nothing; `embedding` and
    `untrained` are read by job=reread."""


def needs(config: Config) -> dict[str, Need]:
    """Raises ConfigError without an interpreter."""
    if config.interpreter.name == "none":
        raise ConfigError("interpreter=none tells no concepts apart.\nType interpreter=lda")
    settings = config.job
    found = {"encyclopedia": Need(config.encyclopedia.made_by)}
    other = (f"stage={settings.judge}",) if settings.judge else ()
    if other:
        found["judge"] = Need("bootstrap", other, apart=("stage",))
    if settings.split == "role" and set(settings.controls) & set(REREAD):
        if config.encyclopedia.path:
            raise ConfigError(
                f"job.controls: {' and '.join(REREAD)} read the contexts again, and HatCat's file "
                f"{config.encyclopedia.path} holds no texts.\nType job.controls=[permuted,noise]"
            )
        without = f"job.controls=[{','.join(name for name in settings.controls if name not in REREAD)}]"
        found["reread"] = Need("reread", without=without)
        if other:
            found["judge_reread"] = Need("reread", other, apart=("stage",), without=without)
    return found


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
    return f"{files.model_name(config.model)}-{place}-{of}"


def estimate(config: Config) -> dict[str, str | int]:
    facts, concepts = config.model.facts(), getattr(config.concepts, "n", None)
    if facts is None or concepts is None:
        return {"concepts": concepts or "all of the source"}
    # about: an output row per concept, twice in a checkpoint beside it, in float32
    return {"concepts": concepts, "bytes": 4 * facts.d * concepts, "scratch": 3 * 4 * facts.d * concepts}


def run(job: Job) -> dict[str, int | float | str]:
    from hsae.interpreters.base import check_seen
    from hsae.interpreters.calibration import assess, fit_temperature
    from hsae.interpreters.judging.conformal import halves
    from hsae.interpreters.roles import Reading, of_one_width

    book, judge = _books(job)
    sites = of_one_width(book, files.studied_sites(job.config, book.sites))
    if job.config.job.split == "concept":
        return _by_concept(job, book, sites)
    reading = Reading(book, judge, sites)
    if reading.lost:
        job.say(
            f"{reading.lost} rows of the role tune are of concepts without a row to be fitted on: left out"
        )
    roles = reading.roles
    first, second = halves(roles.tune, seed=job.config.seed)
    interpreter = _blank(job, book, roles.fit)
    if interpreter.refuses_unseen:
        check_seen(roles.fit.concept, roles.test.concept)
    _fit(job, interpreter, roles.fit, roles.tune)
    fit_temperature(interpreter, first)
    found = assess(interpreter, roles.test)
    scores = {
        **_scores(job, interpreter, found, second, roles.test),
        "controls": _controls(job, interpreter, found, reading),
        "matrix": _matrix(job, reading) if job.config.job.matrix else [],
    }
    _keep_rows(job, judge, sites, found)
    _keep(job, interpreter, scores, book, sites)
    return _headline(job, json_file.finite(scores))


def _books(job: Job) -> "tuple[Encyclopedia, Encyclopedia]":
    """What is fitted on, and what is judged on."""
    from hsae.encyclopedia import Encyclopedia

    book = Encyclopedia(job.inputs["encyclopedia"].folder)
    return book, Encyclopedia(job.inputs["judge"].folder, model=book.model) if "judge" in job.inputs else book


def _by_concept(job: Job, book: "Encyclopedia", sites: list[str]) -> dict[str, int | float | str]:
    """The historical split: accuracies on the concepts of training, of validation and of test. Raises
    `UserError`, with the reason, for an interpreter that refuses to be asked for what it never saw."""
    from hsae.interpreters.base import check_seen
    from hsae.interpreters.calibration import assess
    from hsae.interpreters.judging.assessment import interval
    from hsae.interpreters.judging.by_concept import WHY, by_concept
    from hsae.interpreters.roles import rows_of

    parts = by_concept(rows_of(book, sites, "all"), concepts=len(book.taxonomy))
    interpreter = _blank(job, book, parts.train)
    if interpreter.refuses_unseen:
        check_seen(parts.train.concept, parts.validation.concept)
    _fit(job, interpreter, parts.train, parts.validation)
    accuracy = {
        name: interval(assess(interpreter, rows).correct, rows.concept.numpy(), seed=job.config.seed)
        for name, rows in parts._asdict().items()
    }
    scores = {"split": "concept", "accuracy": accuracy, "chance": 1 / interpreter.concepts, "why": WHY}
    job.say(WHY)
    _keep(job, interpreter, scores, book, sites)
    return {name: round(found["value"], 4) for name, found in accuracy.items()} | {
        "chance": round(scores["chance"], 6)
    }


def _blank(job: Job, book: "Encyclopedia", rows: "Rows") -> "Interpreter":
    """The interpreter that is chosen, for rows of this shape."""
    variant, settings = build.plugin("interpreter", job.config.interpreter)
    sites = 1 if rows.x.ndim == 2 else rows.x.shape[1]
    shape = {"d": rows.x.shape[-1], "sites": sites, "taxonomy": book.taxonomy}
    return variant.build(settings, **shape, seed=job.config.seed)


def _fit(job: Job, interpreter: "Interpreter", fit: "Rows", tune: "Rows") -> None:
    from hsae.hardware import device

    on = device(job.config.hardware.device)
    steps = interpreter.fit(fit, tune, device=on, checkpoint=job.out / CHECKPOINT)
    for step in job.progress(steps, desc="fit"):
        if step.tune is not None:
            job.log.scalars({"loss/fit": step.loss, "loss/tune": step.tune}, tokens=step.n)


def _scores(
    job: Job, interpreter: "Interpreter", found: "Assessment", calibration: "Rows", test: "Rows"
) -> dict[str, Any]:
    from hsae.interpreters.judging.assessment import scores

    miss, seed = job.config.job.miss, job.config.seed
    return {"split": "role", **scores(interpreter, found, calibration, test, miss=miss, seed=seed)}


def _controls(
    job: Job, interpreter: "Interpreter", found: "Assessment", reading: "Reading"
) -> dict[str, Any]:
    """Accuracies where there is less to be found, and how sure the interpreter is of what is no concept."""
    from hsae.encyclopedia.rereading import Rereading
    from hsae.interpreters.judging.controls import control, less

    seed, names, book = job.config.seed, job.config.job.controls, reading.fit
    folder = lambda of: job.inputs["reread" if of is book else "judge_reread"].folder
    lines: dict[str, Any] = {}
    for name, roles in less(reading, names, lambda of: Rereading(folder(of), of), seed=seed):
        if roles is None:
            job.say(f"without the control {name}: {job.config.model.path} has no site of it")
            continue
        make = lambda given: _blank(job, book, given.fit)
        made = control(make, roles, taxonomy=book.taxonomy, device=interpreter.device, seed=seed)
        lines[name] = made.line(found, roles, seed=seed)
        if made.refused:
            job.say(f"the control {name} is fitted by {made.by}: {made.refused}")
    return lines | _firing(job, interpreter, found, reading, lines.get("permuted"))


def _firing(
    job: Job,
    interpreter: "Interpreter",
    found: "Assessment",
    reading: "Reading",
    permuted: "Mapping[str, Any] | None",
) -> dict[str, Any]:
    from hsae.interpreters.judging.firing import alarms, firing, noise, words

    seed, names = job.config.seed, job.config.job.controls
    others = {"noise": noise(reading.roles.test, seed=seed)} if "noise" in names else {}
    others |= words(reading.fit, reading.sites) if "words" in names else {}
    if not others:
        return {}
    null = permuted and permuted["confidence"]
    line = firing(interpreter, found.confidence, others, null=null, seed=seed)
    for alarm in alarms(line):
        job.say(alarm)
    return {"firing": line}


def _matrix(job: Job, reading: "Reading") -> list[dict[str, Any]]:
    from hsae.interpreters.judging.matrix import matrix
    from hsae.interpreters.roles import by_source

    fit = by_source(reading.fit, reading.sites, "fit")
    test = by_source(reading.judge, reading.sites, "test")
    lines, poor = matrix(fit, test, taxonomy=reading.fit.taxonomy, seed=job.config.seed)
    for learned in poor:
        job.say(f"the source {learned} has one context a concept: nothing to fit a covariance on")
    return lines


def _keep_rows(job: Job, judge: "Encyclopedia", sites: list[str], found: "Assessment") -> None:
    """What was made of each test row."""
    import numpy as np

    from hsae.encyclopedia.sampled import sampled_of
    from hsae.interpreters.judging import judged

    rows, numbers = judge.rows(sites[0], role="test"), np.int32
    judged.save(
        judged.Judged(
            uid=sampled_of(judge, "test").uid,
            concept=rows.concept.astype(numbers),
            template=rows.template.astype(numbers),
            source=rows.source.astype(numbers),
            correct=found.correct,
            nll=found.nll.astype(np.float32),
            confidence=found.confidence.astype(np.float32),
        ),
        job.out,
    )


def _keep(
    job: Job, interpreter: "Interpreter", scores: "Mapping[str, Any]", book: "Encyclopedia", sites: list[str]
) -> None:
    from hsae.interpreters import files as shelf

    shelf.save(interpreter, job.out, sites_named=sites, model=book.model)
    (job.out / CHECKPOINT).unlink(missing_ok=True)
    json_file.write(json_file.finite(scores), job.out / SCORES)


def _headline(job: Job, scores: "Mapping[str, Any]") -> dict[str, int | float | str]:
    columns = ["value", "low", "high"]
    short = lambda value: None if value is None else round(value, 4)  # an interval of one owner has no ends
    line = lambda name, of: [name, *(short(of[bound]) for bound in columns)]
    names = ("accuracy", "nll", "brier", "coverage", "set_size")
    job.log.table("scores on held-out templates", ["score", *columns], [line(n, scores[n]) for n in names])
    beside = {name: scores["controls"][name] for name in SHOWN if name in scores["controls"]}
    job.log.table(
        "accuracy of controls", ["control", *columns], [line(name, of) for name, of in beside.items()]
    )
    if scores["matrix"]:
        columns = ["fit", "test", "n", "value", "low", "high"]
        lines = [[one[column] for column in columns] for one in scores["matrix"]]
        job.log.table("accuracy by source", columns, lines)
    return {
        **{
            name: round(value, 4)
            for name, key in HEAD.items()
            if (value := scores["accuracy"][key]) is not None
        },
        "chance": round(scores["chance"], 6),
        **{name: round(of["value"], 4) for name, of in beside.items()},
        "ece": round(scores["ece"], 4),
        "coverage": round(scores["coverage"]["value"], 4),
    }
