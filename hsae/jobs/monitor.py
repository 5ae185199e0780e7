"""Says which concepts are active at each token of a text, against what each concept scores on other tokens.

hsae job=monitor stage=templates 'job.text="The dog ran along the river."'

monitor.json has the tokens with their concepts, the most specific first, each with score, z and p;
timeline.html shows them; prototypes and nulls lie beside them for whoever reads another text.
"""

from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PositiveInt

from hsae import json_file
from hsae.artifact import Need
from hsae.build.contents import contents
from hsae.config import Config, Part
from hsae.errors import ConfigError
from hsae.execute import Job
from hsae.lm import cost, files

if TYPE_CHECKING:
    from torch import Tensor

    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.queries.monitoring import Monitor
    from hsae.lm import LM

WRITES = "monitoring"
FORMAT = 1

TOLD, PAGE = "monitor.json", "timeline.html"


class Settings(Part):
    """What is read, and how sure one has to be."""

    name: Literal["monitor"]
    text: str | None
    fdr: Annotated[float, Field(gt=0, lt=1)]
    """False discovery rate within a token, over all concepts."""
    top: PositiveInt
    against: Literal["words", "text"]
    """The tokens that a concept's scores are held against: `words` of other concepts, in contexts of the role
    tune; or running `text`, of which most names nothing, so that p says whether a token names anything."""
    background: PositiveInt
    """Tokens of the split train of the corpus, where text is the null."""
    dtype: Literal["float32", "float16", "int8"]
    shrinkage: Annotated[float, Field(ge=0, le=1)]


def needs(config: Config) -> dict[str, Need]:
    """Raises ConfigError without a text."""
    if not (config.job.text or "").strip():
        raise ConfigError("job=monitor reads a text, and none is given.\nType 'job.text=\"The dog ran.\"'")
    return {"encyclopedia": Need(config.encyclopedia.made_by)}


def choices(config: Config) -> dict[str, object]:
    return {
        **config.job.model_dump(exclude={"name"}),
        "site": files.site_choice(config.model, config.studied.layers),
        "corpus": contents("corpus", config.corpus),
        "context": config.capture.context,
    }


def slug(config: Config) -> str:
    place = files.site_label(config.model, config.studied.layers)
    read = sha256(str(config.job.text).encode()).hexdigest()[:8]
    return f"{files.model_name(config.model)}-{place}-{config.concepts.name}-{config.stage.name}-{read}"


def estimate(config: Config) -> dict[str, str | int]:
    facts, concepts = config.model.facts(), getattr(config.concepts, "n", None)
    if facts is None or concepts is None:
        return {"concepts": concepts or "all of the source"}
    size = {"float32": 4, "float16": 2, "int8": 1}[config.job.dtype]
    return {
        "concepts": concepts,
        "bytes": size * facts.d * concepts + 4 * facts.d**2,
        **cost.passes(config, config.job.background if config.job.against == "text" else cost.CONTEXT),
    }


def run(job: Job) -> dict[str, int | float | str]:
    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.queries.monitoring import describe
    from hsae.lm import chosen_lm
    from hsae.report.timeline import Monitored, timeline

    config, settings = job.config, job.config.job
    lm = chosen_lm(config)
    book = Encyclopedia(job.inputs["encyclopedia"].folder, model=lm.fingerprint)
    site = files.studied_site(config, book.sites)
    monitor = _fitted(job, lm, book, site)
    words, rows = _read(lm, settings.text, site)
    active = monitor.active(rows, fdr=settings.fdr, top=settings.top)
    told = describe(active, words, ids=monitor.prototypes.ids, taxonomy=book.taxonomy)
    json_file.write(told, job.out / TOLD)
    page = Monitored(
        tokens=told,
        model=files.model_name(config.model),
        site=site,
        tests=len(monitor.prototypes),
        fdr=settings.fdr,
        null=monitor.nulls.scores,
        rows=monitor.nulls.rows,
    )
    (job.out / PAGE).write_text(timeline(page), encoding="utf-8")
    _say(job, told)
    return {
        "tokens": len(told),
        "with_a_concept": sum(bool(token["concepts"]) for token in told),
        "concepts": len(monitor.prototypes),
        "null_scores": monitor.nulls.scores,
    }


def _say(job: Job, told: "list[dict[str, Any]]") -> None:
    """The tokens that have a concept, a line each, and how many have none."""
    for token in told:
        if token["concepts"]:
            names = ", ".join(f"{one['name']} (p={one['p']:.2g})" for one in token["concepts"])
            job.say(f"{token['token']!r}: {names}")
    without = sum(not token["concepts"] for token in told)
    job.say(f"no concept, beyond chance, at {without} of {len(told)} tokens")


def _fitted(job: Job, lm: "LM", book: "Encyclopedia", site: str) -> "Monitor":
    """The prototypes and their nulls; both are kept."""
    from hsae.encyclopedia.queries.monitoring import fit
    from hsae.encyclopedia.queries.other_words import other_words
    from hsae.encyclopedia.queries.prototypes import Prototypes

    settings = job.config.job
    prototypes = Prototypes.of(
        book.mean(site),
        book.covariance(site),
        ids=[concept.id for concept in book.taxonomy],
        shrinkage=settings.shrinkage,
        dtype=settings.dtype,
        model=lm.fingerprint,
        site=site,
    ).to(lm.device)
    for why, n in prototypes.left_out.items():
        job.say(f"{n} concepts are left out: {why}")
    if settings.against == "words":
        monitor = fit(prototypes, *other_words(book, site, prototypes))
    else:
        monitor = fit(prototypes, _text(job, lm, site))
    monitor.prototypes.save(job.out)
    monitor.nulls.save(job.out)
    return monitor


def _text(job: Job, lm: "LM", site: str) -> "Tensor":
    """Tokens of the split train of the corpus."""
    from dataclasses import replace

    from hsae.activations import Reading, Stream
    from hsae.corpora.chosen import chosen_corpus

    reading = replace(Reading.of(job.config, lm.layers), sites=[site], tokens=None)
    stream = Stream(lm, chosen_corpus(job.config), reading, limits={})
    return stream.rows(site, "train", 0, job.config.job.background)


def _read(lm: "LM", text: str, site: str) -> "tuple[list[str], Tensor]":
    """The text's own tokens as they stand in it, and their activations."""
    tokens = lm.tokenize([text])
    own = ~tokens.special
    rows = lm.capture(tokens.ids, tokens.mask, [site], keep=own)[site].float()
    return [text[start:end] for start, end in tokens.offsets[own].tolist()], rows
