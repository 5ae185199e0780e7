"""Reads every concept in its contexts and keeps the statistics: one stage of the encyclopedia.

hsae job=bootstrap stage=raw
hsae job=bootstrap stage=templates concepts=wordnet concepts.n=1000
"""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, NonNegativeInt

from hsae.artifact import Need
from hsae.build.contents import contents
from hsae.config import Config, Part
from hsae.execute import Job
from hsae.lm import cost, files

if TYPE_CHECKING:
    from hsae.encyclopedia import Encyclopedia

WRITES = "encyclopedia"
FORMAT = 2


class Settings(Part):
    """What is kept; all other choices stand in other groups: concepts, contexts, stage, layers, model."""

    name: Literal["bootstrap"]
    poolings: Annotated[tuple[Literal["span", "last", "mean"], ...], Field(min_length=1)]
    """Which tokens' mean is the vector of a context; the first is what readers take if they name none."""
    sample: NonNegativeInt
    """Raw rows that are kept of each concept and role, at most."""


def needs(config: Config) -> dict[str, Need]:
    """A stage adds to the statistics of the one that it comes after."""
    return {"earlier": Need("bootstrap", (f"stage={config.stage.after}",))} if config.stage.after else {}


def choices(config: Config) -> dict[str, object]:
    return {
        "model": files.fingerprint(config.model.path, config.model.revision),
        "sites": files.site_choice(config.model, config.layers),
        "concepts": contents("concepts", config.concepts),
        "contexts": {name: config.contexts[name].model_dump() for name in config.stage.contexts},
        "stage": config.stage.model_dump(exclude={"after"}),
        **config.job.model_dump(exclude={"name"}),
    }


def slug(config: Config) -> str:
    place = files.site_label(config.model, config.layers)
    return f"{files.short_name(config.model.path)}-{place}-{config.concepts.name}-{config.stage.name}"


def estimate(config: Config) -> dict[str, str | int]:
    facts, concepts = config.model.facts(), getattr(config.concepts, "n", None)
    if facts is None or concepts is None:
        return {"concepts": concepts or "all of the source"}
    sites = config.layers.resolve(facts.layers)
    # about: eight sentences a family of templates, or the word and its gloss
    makers = [config.contexts[name] for name in config.stage.contexts]
    each = sum(getattr(m, "per_concept", None) or 8 * len(getattr(m, "families", ())) or 2 for m in makers)
    # mean and squared deviations of three roles in float32; the scatter, one for d concepts or more, is less
    return {
        "concepts": concepts,
        "bytes": concepts * facts.d * len(sites) * 3 * 2 * 4,
        **cost.passes(config, concepts * each * cost.CONTEXT),
    }


def run(job: Job) -> dict[str, int | float | str]:
    from hsae.concepts.chosen import chosen_taxonomy
    from hsae.contexts.chosen import chosen_contexts
    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.writer import Reading, Stage, block_size, write
    from hsae.lm import chosen_lm

    config = job.config
    earlier = Encyclopedia(job.inputs["earlier"].folder) if "earlier" in job.inputs else None
    lm = chosen_lm(config)
    taxonomy = earlier.taxonomy if earlier else chosen_taxonomy(config)
    reading = Reading(
        sites=config.layers.resolve(lm.layers),
        poolings=config.job.poolings,
        sample=config.job.sample,
        batch_tokens=config.hardware.batch_tokens,
    )
    stage = Stage(config.stage.name, config.stage.number)
    contexts = chosen_contexts(config, taxonomy)
    blocks = write(lm, taxonomy, contexts, job.out, reading=reading, stage=stage, earlier=earlier)
    for _ in job.progress(blocks, total=-(-len(taxonomy) // block_size(lm.d)), desc="blocks of concepts"):
        pass
    made = Encyclopedia(job.out)
    if too_long := made.stages[-1]["too_long"]:
        concept, template = too_long[0]
        job.say(f"{len(too_long)} contexts do not fit into the model, such as {template} of {concept}")
        job.log.table("contexts that do not fit", ["concept", "template"], too_long)
    return _headline(made)


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
