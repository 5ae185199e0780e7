"""Reads every concept in its contexts and keeps the statistics: one stage of the encyclopedia.

hsae job=bootstrap stage=raw
hsae job=bootstrap stage=templates concepts=wordnet concepts.n=1000
"""

from typing import TYPE_CHECKING, Literal

from hsae import build
from hsae.artifact import Need
from hsae.build.contents import contents
from hsae.config import Config, Part
from hsae.errors import UserError
from hsae.execute import Job
from hsae.lm import cost, files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hsae.concepts import Taxonomy
    from hsae.contexts import Attempt, Context, Wanted
    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.writer import Reading, Stage
    from hsae.lm import LM

WRITES = "encyclopedia"
FORMAT = 4

CONFUSERS = 8
"""Concepts that a concept is most easily taken for, as makers of contexts are told."""


class Settings(Part):
    """All choices stand in other groups: encyclopedia, concepts, contexts, stage, policy, layers, model."""

    name: Literal["bootstrap"]


def needs(config: Config) -> dict[str, Need]:
    """A stage adds to the statistics of the one that it comes after."""
    after = config.stage.after
    return {"earlier": Need("bootstrap", (f"stage={after}",), apart=("stage",))} if after else {}


def choices(config: Config) -> dict[str, object]:
    stage, kept = config.stage, config.encyclopedia
    chosen = {
        "model": files.chosen_fingerprint(config),
        "sites": files.site_choice(config.model, config.layers),
        "concepts": contents("concepts", config.concepts),
        "contexts": {name: contents("contexts", config.contexts[name], name=name) for name in stage.contexts},
        "stage": stage.model_dump(include={"name", "number", "contexts"}),
        **kept.model_dump(exclude={"name", "stop", "path"}),
    }
    if not stage.rounds:
        return chosen
    writer = _writer(config)
    return chosen | {
        **({"writer": files.fingerprint(writer, None)} if writer else {}),
        "rounds": stage.model_dump(include={"rounds", "each", "share", "budget"}),
        "policy": config.policy.model_dump(),
        "stop": kept.stop.model_dump(),
        "site": config.site,
        "seed": config.seed,
    }


def _writer(config: Config) -> str | None:
    """The language model that writes contexts, where it is not the one under study."""
    names = [name for name in config.stage.contexts if getattr(config.contexts[name], "model", None)]
    return getattr(config.contexts[names[0]], "model") if names else None  # noqa: B009  a plugin's own key


def slug(config: Config) -> str:
    place = files.site_label(config.model, config.layers)
    name = f"{files.model_name(config.model)}-{place}-{config.concepts.name}-{config.stage.name}"
    # a stage that is read whole knows neither policy nor seed
    return f"{name}-{config.policy.name}-seed{config.seed}" if config.stage.rounds else name


def estimate(config: Config) -> dict[str, str | int]:
    facts, concepts = config.model.facts(), getattr(config.concepts, "n", None)
    if facts is None or concepts is None:
        return {"concepts": concepts or "all of the source"}
    sites = config.layers.resolve(facts.layers)
    # about: sixteen sentences a family of templates, or the word and its gloss
    makers = [config.contexts[name] for name in config.stage.contexts]
    sentences = [getattr(m, "per_concept", None) or 16 * len(getattr(m, "families", ())) or 2 for m in makers]
    each = config.stage.rounds * config.stage.each * len(makers) if config.stage.rounds else sum(sentences)
    # mean and squared deviations of three roles in float32; the scatter, one for d concepts or more, is less
    return {
        "concepts": concepts,
        "bytes": concepts * facts.d * len(sites) * 3 * 2 * 4,
        **cost.passes(config, concepts * each * cost.CONTEXT),
    }


def run(job: Job) -> dict[str, int | float | str]:
    from hsae.concepts.chosen import chosen_taxonomy
    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.writer import Reading, Stage
    from hsae.lm import chosen_lm

    config = job.config
    earlier = Encyclopedia(job.inputs["earlier"].folder) if "earlier" in job.inputs else None
    # before the model is loaded: concepts that are not to be had are told at once
    taxonomy = earlier.taxonomy if earlier else chosen_taxonomy(config)
    lm = chosen_lm(config)
    reading = Reading(
        sites=config.layers.resolve(lm.layers),
        poolings=config.encyclopedia.poolings,
        sample=config.encyclopedia.sample,
        batch_tokens=config.hardware.batch_tokens,
    )
    stage = Stage(config.stage.name, config.stage.number)
    if config.stage.rounds and earlier is not None:
        _refine(job, lm, earlier, reading, stage)
    else:
        _read_all(job, lm, taxonomy, earlier, reading, stage)
    made = Encyclopedia(job.out)
    added = made.by_source(stage.number)
    job.say("contexts added: " + (", ".join(f"{n:,} {source}" for source, n in added.items() if n) or "none"))
    if status := made.stages[-1].get("status"):
        job.say("concepts after it: " + ", ".join(f"{n:,} {state}" for state, n in status.items()))
        if not status.get("active") and not any(added.values()):
            job.say("none was worth another context: encyclopedia.stop says when one is")
    job.log.table("contexts added", ["source", "contexts"], [[*line] for line in added.items()])
    if too_long := made.stages[-1]["too_long"]:
        concept, template = too_long[0]
        job.say(f"{len(too_long)} contexts do not fit into the model, such as {template} of {concept}")
        job.log.table("contexts that do not fit", ["concept", "template"], too_long)
    return _headline(made)


def _read_all(
    job: Job,
    lm: "LM",
    taxonomy: "Taxonomy",
    earlier: "Encyclopedia | None",
    reading: "Reading",
    stage: "Stage",
) -> None:
    """All contexts of every concept, and of the controls."""
    from hsae.contexts.chosen import chosen_contexts
    from hsae.encyclopedia.encyclopedia import CONTROLS
    from hsae.encyclopedia.writer import block_size, write

    config = job.config
    contexts = chosen_contexts(config, taxonomy)
    blocks = write(lm, taxonomy, contexts, job.out, reading=reading, stage=stage, earlier=earlier)
    for _ in job.progress(blocks, total=-(-len(taxonomy) // block_size(lm.d)), desc="blocks of concepts"):
        pass
    words = _control_words(job, lm, taxonomy, earlier)
    if words is not None:
        (job.out / CONTROLS).mkdir(exist_ok=True)
        contexts, before = chosen_contexts(config, words), None if earlier is None else earlier.controls
        found = write(lm, words, contexts, job.out / CONTROLS, reading=reading, stage=stage, earlier=before)
        for _ in found:
            pass


def _control_words(
    job: Job, lm: "LM", taxonomy: "Taxonomy", earlier: "Encyclopedia | None"
) -> "Taxonomy | None":
    """The controls of the earlier stage, or such as the taxonomy allows for; None where there are none."""
    from hsae.concepts.controls import controls

    if earlier is not None:
        return None if earlier.controls is None else earlier.controls.taxonomy
    if not (each := job.config.encyclopedia.controls):
        return None
    try:
        return controls(taxonomy, each=each, seed=0, length=lambda word: len(lm.reader.ids([f" {word}"])[0]))
    except UserError as problem:  # a taxonomy may be too small to imitate; its own numbers are still good
        job.say(f"without controls: {str(problem).splitlines()[0]}")
        return None


def _refine(job: Job, lm: "LM", earlier: "Encyclopedia", reading: "Reading", stage: "Stage") -> None:
    """Some more contexts of the concepts that the policy picks, round after round."""
    from hsae.encyclopedia.refinement.evidence import confusers_of, evidence
    from hsae.encyclopedia.refinement.rounds import Choices, Rounds, refine
    from hsae.encyclopedia.refinement.stopping import Rule
    from hsae.policies.view import View

    config, chosen = job.config, job.config.stage
    site = files.studied_or_last(config, earlier.sites)
    policy, settings = build.plugin("policy", config.policy)
    rule = Rule(**config.encyclopedia.stop.model_dump())
    choices = Choices(
        contexts=_makers(config, lm),
        score=lambda book, number: policy.score(
            View(book, site), settings, seed=config.seed * chosen.rounds + number
        ),
        evidence=lambda book, exhausted: evidence(book, site, rule, exhausted=exhausted),
        confusers=lambda book: confusers_of(book, site, neighbours=CONFUSERS),
    )
    rounds = Rounds(chosen.rounds, chosen.each, chosen.share, chosen.budget, rule)
    steps = refine(lm, earlier, job.out, reading=reading, stage=stage, rounds=rounds, choices=choices)
    for _ in job.progress(_rounds(steps), total=chosen.rounds, desc="rounds"):
        pass


def _makers(config: Config, lm: "LM") -> "Callable[[Encyclopedia, Wanted], Iterator[Context | Attempt]]":
    """The stage's makers, given a model to write."""
    from functools import partial

    from hsae.contexts.chosen import chosen_contexts
    from hsae.lm import load
    from hsae.lm.sampling import sample

    hardware, path = config.hardware, _writer(config)
    writer = load(path, device=hardware.device, dtype=hardware.dtype) if path else lm

    def make(book: "Encyclopedia", wanted: "Wanted") -> "Iterator[Context | Attempt]":
        asked = wanted._replace(lm=lm, sample=partial(sample, writer))
        return chosen_contexts(config, book.taxonomy, asked)

    return make


def _rounds(steps: "Iterator[tuple[int, int]]") -> "Iterator[None]":
    """An item for every round that begins."""
    said = -1
    for number, _ in steps:
        for _ in range(said, number):
            yield
        said = number


def _headline(encyclopedia: "Encyclopedia") -> dict[str, int | float | str]:
    site = encyclopedia.sites[-1]
    error = encyclopedia.relative_error(site).nan_to_num(nan=float("inf"), posinf=float("inf")).median()
    contexts = sum(stage["contexts"] for stage in encyclopedia.stages)
    return {
        "concepts": len(encyclopedia.taxonomy),
        "contexts": contexts,
        # of the concept in the middle, at the last site; unknown while most have a single context to fit by
        "median_relative_error": round(float(error), 4) if error < float("inf") else "unknown",
    }
