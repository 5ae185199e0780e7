"""Judges an SAE beside dictionaries that nobody trained: every question, every dictionary, one table.

    hsae job=evaluate sae=topk evaluations=[reconstruction,splice,recovery]

The test split of the store and the test templates of the contexts are read here and nowhere else.
"""

import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PositiveInt

from hsae import build
from hsae.artifact import Need
from hsae.build.contents import contents
from hsae.config import Config, Part
from hsae.errors import UserError
from hsae.execute import Job
from hsae.lm import cost, files

if TYPE_CHECKING:
    from torch import Tensor

    from hsae.activations.store import Store
    from hsae.dictionary import Dictionary
    from hsae.evaluations.findings import Findings
    from hsae.evaluations.subject import Subject
    from hsae.sae import SAE

WRITES = "evaluation"
FORMAT = 1

EDITS = 7
"""Under which splicing reads the same text: four dictionaries, zeros, the mean, and none."""
STUDIED, NULLS = "sae", ("untrained", "random")
HEADLINES = ("explained_variance", "l0", "ce_recovered", "recovery_word", "recovery_kind")


class Settings(Part):
    """How sure a verdict has to be, and what baselines are fitted on; questions have their own settings."""

    name: Literal["evaluate"]
    alpha: Annotated[float, Field(gt=0, lt=1)]
    """Chance of even one false claim among all of the evaluation."""
    fit_rows: PositiveInt
    """Rows of the train split, at most, that PCA, means and gains are fitted on."""


def needs(config: Config) -> dict[str, Need]:  # noqa: ARG001  the same keys name the inputs
    """The SAE, and the store it was trained on, for the rows that it never saw."""
    return {"sae": Need("train_sae"), "store": Need("extract")}


def choices(config: Config) -> dict[str, object]:
    return {
        **config.job.model_dump(),
        "model": files.chosen_fingerprint(config),
        "evaluations": {name: part.model_dump() for name, part in config.evaluations.items()},
        "concepts": config.concepts.model_dump(),
        "contexts": {
            name: contents("contexts", config.contexts[name], name=name) for name in config.stage.contexts
        },
        "seed": config.seed,
    }


def slug(config: Config) -> str:
    place = files.site_label(config.model, config.studied.layers)
    of = f"{config.sae.name}-{config.teacher.name}-seed{config.seed}"
    return f"{files.model_name(config.model)}-{place}-{of}"


def estimate(config: Config) -> dict[str, str | int]:
    from hsae.corpora import SHARES

    asked: dict[str, int] = {}
    if recovery := config.evaluations.get("recovery"):
        concepts = getattr(config.concepts, "n", None) or 0
        asked = cost.passes(config, 2 * recovery.contexts * concepts * cost.CONTEXT)
    if splice := config.evaluations.get("splice"):
        asked = cost.both(asked, cost.passes(config, splice.tokens * EDITS, sites=["logits"]))
    return {
        "questions": ", ".join(config.evaluations),
        "claims": _claims(config),
        "held-out tokens": int(config.corpus.tokens * SHARES["test"]),
        **asked,
    }


def run(job: Job) -> dict[str, float | str]:
    from hsae.evaluations.findings import SCORES, Findings, load

    if not job.config.evaluations:
        raise UserError("no question is asked of the SAE.\nType evaluations=[reconstruction,splice,recovery]")
    found, parts = Findings(), job.out / "parts"
    subject = None
    for name, part in job.progress(job.config.evaluations.items(), total=len(job.config.evaluations)):
        # a question that was answered before a kill is not asked again
        if not (parts / name / SCORES).is_file():
            subject = subject or _subject(job)
            module, settings = build.plugin("evaluations", part, name=name)
            (parts / name).mkdir(parents=True, exist_ok=True)
            answer = module.evaluate(subject, settings)
            answer.save(parts / name)
            for note in answer.notes:
                job.say(note)
        found.add(load(parts / name))
    found.save(job.out)
    shutil.rmtree(parts)
    return _report(job, found)


def _subject(job: Job) -> "Subject":
    """The SAE and its baselines, on the LM, site and contexts that it is judged with."""
    from hsae.activations.store import Store
    from hsae.concepts.chosen import chosen_taxonomy
    from hsae.contexts.chosen import chosen_contexts
    from hsae.evaluations.subject import Subject
    from hsae.lm import chosen_lm
    from hsae.sae import files as saes

    config = job.config
    lm = chosen_lm(config)
    store = Store(job.inputs["store"].folder, model=lm.fingerprint)
    site = saes.card(job.inputs["sae"].folder)["site"]
    sae = saes.load(job.inputs["sae"].folder, device=lm.device)
    rows = store.rows(site, "train", 0, config.job.fit_rows).to(lm.device)
    taxonomy = chosen_taxonomy(config)
    return Subject(
        dictionaries={STUDIED: sae, **_baselines(sae, rows, store, site, config)},
        studied=STUDIED,
        nulls=NULLS,
        store=store,
        site=site,
        mean=rows.mean(0),
        lm=lm,
        taxonomy=taxonomy,
        contexts=tuple(chosen_contexts(config, taxonomy)),
        seed=config.seed,
        level=1 - config.job.alpha / max(1, _claims(config)),
        tokens=config.hardware.batch_tokens,
    )


def _baselines(
    sae: "SAE", rows: "Tensor", store: "Store", site: str, config: Config
) -> "dict[str, Dictionary]":
    """PCA and random directions at the SAE's own L0, measured on the valid split; the SAE before training."""
    from hsae.evaluations.baselines import PCA, RandomDictionary, untrained
    from hsae.metrics import l0

    valid = store.rows(site, "valid", 0, config.job.fit_rows).to(rows.device)
    if not len(valid):
        raise UserError(
            "the store has no valid row, on which L0 is matched.\nExtract more (corpus.tokens=...)"
        )
    k = max(1, round(l0(sae.encode(valid))))
    variant, settings = build.plugin("sae", config.sae)
    blank = variant.build(settings, d=sae.d, teacher=None, seed=config.seed).to(rows.device)
    return {
        "pca": PCA(rows, k=k),
        "random": RandomDictionary(rows, latents=sae.latents, k=k, seed=config.seed),
        "untrained": untrained(blank, rows),
    }


def _claims(config: Config) -> int:
    """Thresholds that were set, however they are grouped."""
    count = lambda node: sum(count(inner) for inner in node.values()) if isinstance(node, Mapping) else 1
    return sum(count(part.model_dump().get("margins", {})) for part in config.evaluations.values())


def _report(job: Job, found: "Findings") -> dict[str, float | str]:
    columns = ("dictionary", "metric", "value", "low", "high", "n", "unit", "chance")
    scores = [score.to_dict() for score in found.scores]
    job.log.table("scores", columns, [[score[column] for column in columns] for score in scores])
    verdicts = [verdict.to_dict() for verdict in found.verdicts]
    if verdicts:
        job.log.table("verdicts", tuple(verdicts[0]), [list(verdict.values()) for verdict in verdicts])
    own: dict[str, Any] = {
        score["metric"]: score["value"] for score in scores if score["dictionary"] == STUDIED
    }
    passed = sum(verdict["outcome"] == "PASS" and not verdict["trivial"] for verdict in verdicts)
    return {name: own[name] for name in HEADLINES if name in own} | {
        "passed": f"{passed} of {len(verdicts)} claims"
    }
