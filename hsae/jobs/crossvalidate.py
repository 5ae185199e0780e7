"""Fits an interpreter anew for every fold of an encyclopedia's rows, and judges every row once.

hsae job=crossvalidate interpreter=lda
hsae job=crossvalidate interpreter=lda job.against=[nearest_mean,linear] job.folds=10
hsae job=crossvalidate interpreter=lda job.by=source

Left out whole are templates, or sources: families of templates, corpora. All roles are dealt anew, so that
rows by which stages were steered (fit and tune) are judged too; job=interpret judges the role test, once.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from hsae import build, json_file
from hsae.artifact import Need
from hsae.config import Config, Part
from hsae.errors import ConfigError, UserError
from hsae.execute import Job
from hsae.lm import files

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from hsae.encyclopedia import Encyclopedia
    from hsae.interpreters.base import Interpreter, Rows
    from hsae.interpreters.judging.folds import Fold

WRITES = "crossvalidation"
FORMAT = 1


class Settings(Part):
    """What is left out, and who is compared on it."""

    name: Literal["crossvalidate"]
    by: Literal["template", "source"]
    folds: Annotated[int, Field(ge=2)]
    against: tuple[str, ...]
    """Names of other interpreters, with the settings that their files give them."""


def needs(config: Config) -> dict[str, Need]:
    """Raises ConfigError without an interpreter, and for one that is compared with itself."""
    names = (config.interpreter.name, *config.job.against)
    if "none" in names:
        raise ConfigError("interpreter=none tells no concepts apart.\nType interpreter=lda")
    if len(set(names)) < len(names):
        raise ConfigError(
            f"job.against=[{','.join(config.job.against)}] names an interpreter that is compared already.\n"
            f"Name each once, and not {names[0]} itself."
        )
    return {"encyclopedia": Need(config.encyclopedia.made_by)}


def choices(config: Config) -> dict[str, object]:
    return {
        **config.job.model_dump(exclude={"name"}),
        "interpreters": [chosen.interpreter.model_dump() for chosen in _compared(config)],
        "sites": files.site_choice(config.model, config.studied.layers),
        "seed": config.seed,
    }


def slug(config: Config) -> str:
    place = files.site_label(config.model, config.studied.layers)
    names = "-".join([config.interpreter.name, *config.job.against])
    of = f"{config.concepts.name}-{config.stage.name}-{names}-by-{config.job.by}-seed{config.seed}"
    return f"{files.model_name(config.model)}-{place}-{of}"


def estimate(config: Config) -> dict[str, str | int]:
    return {"concepts": getattr(config.concepts, "n", None) or "all of the source"}


def _compared(config: Config) -> list[Config]:
    """The config with each interpreter that is compared, its own first."""
    need = lambda name: Need("crossvalidate", (f"interpreter={name}",))
    others = [build.neighbour(config, need(name)) for name in config.job.against]
    return [config, *others]


def run(job: Job) -> dict[str, int | float | str]:
    from hsae.encyclopedia import Encyclopedia
    from hsae.hardware import device
    from hsae.interpreters.judging.folds import FILE, folds_of, judge_all
    from hsae.interpreters.roles import of_one_width, rows_of

    config = job.config
    book = Encyclopedia(job.inputs["encyclopedia"].folder)
    sites = of_one_width(book, files.studied_sites(config, book.sites))
    rows = rows_of(book, sites, "all")
    fold, names = _folds(job, book, sites, rows)
    folds = list(folds_of(rows, fold, seed=config.seed))
    if lost := sum(len(one.left_out) for one in folds):
        job.say(f"{lost:,} rows are of concepts without a row to be fitted on in their fold: left out")
    make = _blanks(job, book, sites)
    steps = judge_all(make, rows, folds, device=device(config.hardware.device))
    judged = list(job.progress(steps, total=len(folds) * len(make), desc="folds"))
    found = _found(job, rows, fold, folds, names, judged, len(book.taxonomy))
    json_file.write(found, job.out / FILE)
    return _headline(job, found)


def _folds(job: Job, book: "Encyclopedia", sites: list[str], rows: "Rows") -> tuple["np.ndarray", list[str]]:
    """The fold of each row, and what stands in each fold."""
    import numpy as np

    from hsae.interpreters.judging.folds import dealt

    settings, template = job.config.job, rows.template.numpy()
    if settings.by == "template":
        fold = dealt(template, folds=settings.folds, seed=job.config.seed)
        held = [np.unique(template[fold == number]) for number in range(settings.folds)]
        return fold, [f"{len(one)} templates" for one in held]
    kinds, fold = np.unique(book.rows(sites[0], role="all").source, return_inverse=True)
    if len(kinds) < 2:
        raise UserError(
            f"all raw rows are of the source {book.sources[kinds[0]]}: none can be left out.\n"
            "Bootstrap a stage with more sources: stage=templates"
        )
    return fold, [book.sources[kind] for kind in kinds]


def _blanks(job: Job, book: "Encyclopedia", sites: list[str]) -> "dict[str, Callable[[], Interpreter]]":
    """What makes an interpreter that knows nothing, by its name."""
    from functools import partial

    found = {}
    for config in _compared(job.config):
        variant, settings = build.plugin("interpreter", config.interpreter)
        shape = {"d": book.d(sites[0]), "sites": len(sites), "taxonomy": book.taxonomy}
        found[config.interpreter.name] = partial(variant.build, settings, **shape, seed=job.config.seed)
    return found


def _found(
    job: Job,
    rows: "Rows",
    fold: "np.ndarray",
    folds: "list[Fold]",
    names: list[str],
    judged: list[tuple[int, str, "np.ndarray"]],
    candidates: int,
) -> dict[str, Any]:
    import numpy as np

    from hsae.interpreters.judging.crossed import macro
    from hsae.interpreters.judging.folds import summary

    asked = np.sort(np.concatenate([one.test for one in folds]))
    right: dict[str, np.ndarray] = {}
    table: list[dict[str, Any]] = [
        {"fold": name, "rows": len(one.test), "left_out": len(one.left_out), "accuracy": {}}
        for name, one in zip(names, folds, strict=True)
    ]
    for number, name, correct in judged:
        right.setdefault(name, np.zeros(len(fold), bool))[folds[number].test] = correct
        weights = macro(rows.concept.numpy()[folds[number].test])
        table[number]["accuracy"][name] = float((weights * correct).sum() / weights.sum())
    unit = rows.template.numpy() if job.config.job.by == "template" else fold
    whole = summary(
        {name: values[asked] for name, values in right.items()},
        rows.concept.numpy()[asked],
        unit[asked],
        candidates=candidates,
        seed=job.config.seed,
    )
    return {"by": job.config.job.by, "interpreter": job.config.interpreter.name, **whole, "folds": table}


def _headline(job: Job, found: dict[str, Any]) -> dict[str, int | float | str]:
    names = list(found["accuracy"])
    rows = [
        [line["fold"], line["rows"], *(round(line["accuracy"][name], 4) for name in names)]
        for line in found["folds"]
    ]
    job.log.table(f"accuracy by fold, left out by {found['by']}", ["fold", "rows", *names], rows)
    accuracy = found["accuracy"][names[0]]
    short = lambda v: "unknown" if v is None else round(v, 4)
    said: dict[str, int | float | str] = {
        "accuracy": round(accuracy["value"], 4),
        "low": short(accuracy["low"]),
        "high": short(accuracy["high"]),
        "chance": round(found["chance"], 6),
        "folds": len(found["folds"]),
        "rows": found["n"],
    }
    for name, one in found["against"].items():
        said[f"minus_{name}"] = round(one["value"], 4)
        said[f"p_{name}"] = round(one["p_holm"], 4)
    return said
