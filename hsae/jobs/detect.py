"""How well monitoring finds concepts in natural text where it is known what the words mean.

hsae job=detect stage=templates concepts=wordnet concepts.n=2000
hsae job=detect stage=templates job.path=semcor.jsonl

detect.json has false discovery rates, precision, recall, recall@k, average precision and AUROC, each beside
chance and beside the same with prototypes shuffled, and with all estimated again from permuted concepts;
concepts.csv the same by concept.
"""

import csv
from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PositiveInt, model_validator

from hsae import json_file
from hsae.artifact import Need
from hsae.build.contents import contents
from hsae.config import Config, Listed, Part
from hsae.errors import ConfigError, UserError
from hsae.execute import Job
from hsae.lm import cost, files

if TYPE_CHECKING:
    from torch import Tensor

    from hsae.contexts.tagged import Tagged
    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.queries.detection import Monitored
    from hsae.encyclopedia.queries.labelled import Labelled, Truth
    from hsae.encyclopedia.queries.monitoring import Monitor
    from hsae.encyclopedia.queries.prototypes import Prototypes
    from hsae.encyclopedia.queries.ranking import Ranking
    from hsae.lm import LM

WRITES = "detection"
FORMAT = 1

BY_CONCEPT = "concepts.csv"


class Settings(Part):
    """What is read, and what is promised of it."""

    name: Literal["detect"]
    examples: bool
    path: str | None
    roles: Annotated[tuple[Literal["tune", "test"], ...], Listed, Field(min_length=1)]
    sentences: PositiveInt
    fdr: Annotated[float, Field(gt=0, lt=1)]
    top: PositiveInt
    at: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    fewest: PositiveInt
    against: Literal["words", "text"]
    """The tokens that a concept's scores are held against: `words` of other concepts, in contexts of the role
    tune; or running `text`, of which most names nothing, so that p says whether a token names anything."""
    background: PositiveInt
    """Tokens of running text, where that is the null."""
    dtype: Literal["float32", "float16", "int8"]
    shrinkage: Annotated[float, Field(ge=0, le=1)]

    @model_validator(mode="after")
    def _fits(self) -> "Settings":
        if not self.examples and self.path is None:
            raise ValueError("examples=false and path=null: there is no sentence to read")
        if max(self.at) > self.top:
            raise ValueError(f"at={list(self.at)} asks for more than the top={self.top} that are looked at")
        return self


def needs(config: Config) -> dict[str, Need]:
    """Raises ConfigError where the file of sentences is not there."""
    if config.job.path is not None and not Path(config.job.path).expanduser().is_file():
        raise ConfigError(
            f"job.path={config.job.path}: there is no such file.\nIt holds a JSON object a line."
        )
    return {"encyclopedia": Need(config.encyclopedia.made_by)}


def choices(config: Config) -> dict[str, object]:
    path = config.job.path
    return {
        **config.job.model_dump(exclude={"name"}),
        "content": path and sha256(Path(path).expanduser().read_bytes()).hexdigest()[:16],
        "site": files.site_choice(config.model, config.studied.layers),
        "corpus": contents("corpus", config.corpus),
        "context": config.capture.context,
        "seed": config.seed,
    }


def slug(config: Config) -> str:
    place = files.site_label(config.model, config.studied.layers)
    return f"{files.model_name(config.model)}-{place}-{config.concepts.name}-{config.stage.name}"


def estimate(config: Config) -> dict[str, str | int]:
    null = config.job.background if config.job.against == "text" else 0
    read = null + config.job.sentences * cost.CONTEXT
    known = {} if config.model.facts() is None else cost.passes(config, read)
    return {"concepts": getattr(config.concepts, "n", None) or "all of the source", **known}


def run(job: Job) -> dict[str, int | float | str]:
    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.queries import labelled
    from hsae.encyclopedia.queries.detection import TABLE, shuffled
    from hsae.encyclopedia.queries.mistakes import of_the_same_word
    from hsae.encyclopedia.queries.monitoring import fit
    from hsae.lm import chosen_lm

    config, passed = job.config, Counter[str]()
    lm = chosen_lm(config)
    book = Encyclopedia(job.inputs["encyclopedia"].folder, model=lm.fingerprint)
    site = files.studied_site(config, book.sites)
    rows = labelled.read(
        lm,
        _sentences(job, book, passed),
        site,
        taxonomy=book.taxonomy,
        batch_tokens=config.hardware.batch_tokens,
        passed=passed,
    )
    for why, n in sorted((+passed).items()):
        job.say(f"passed over: {n} {why}")
    background = _background(job, lm, book, site)
    prototypes = _prototypes(job, book, site, book.mean(site), book.covariance(site))
    monitor = fit(prototypes, *background(prototypes))
    truth = labelled.truth(rows, book.taxonomy, monitor.prototypes.ids)
    found, ranked, told = _scores(job, monitor, rows, truth)
    ids, seed = monitor.prototypes.ids, config.seed
    same = of_the_same_word(found, rows, truth, taxonomy=book.taxonomy, ids=ids, seed=seed)
    _, _, null = _scores(job, monitor, rows, shuffled(truth, seed=config.seed))
    permuted = _permuted(job, book, site, rows, background)
    table = json_file.finite(
        {
            **_counts(rows, len(monitor.prototypes), passed),
            "promised": config.job.fdr,
            "found": {**told, "false_of_the_same_word": same},
            "shuffled": null,
            "permuted": permuted,
            "verdict": _verdict(config, told, permuted),
        }
    )
    json_file.write(table, job.out / TABLE)
    _write_concepts(job.out / BY_CONCEPT, book, monitor, rows, truth, found, ranked)
    return _headline(table)


def _sentences(job: Job, book: "Encyclopedia", passed: Counter[str]) -> "list[Tagged]":
    """Those of the wanted roles, at most so many."""
    from hsae.contexts import tagged
    from hsae.seeding import unit_interval

    settings, taxonomy = job.config.job, book.taxonomy
    every: list[Tagged] = list(tagged.from_examples(taxonomy, passed)) if settings.examples else []
    every += tagged.from_file(settings.path) if settings.path is not None else []
    kept = list(tagged.held_out(every, settings.roles, passed))
    if not kept:
        roles = " or ".join(settings.roles)
        found = f"of the {len(every):,} tagged sentences none is of the role {roles}"
        none = f"concepts={job.config.concepts.name} comes without example sentences, and no file is named"
        raise UserError(
            f"job=detect reads sentences with known senses: {found if every else none}.\n"
            "Type job.path=FILE.jsonl with sentences of your own, or concepts=wordnet, which has examples."
        )
    kept.sort(key=lambda one: unit_interval(one.text, salt="sentences to detect in"))
    passed["sentences beyond job.sentences"] += max(0, len(kept) - settings.sentences)
    return kept[: settings.sentences]


def _background(
    job: Job, lm: "LM", book: "Encyclopedia", site: str
) -> "Callable[[Prototypes], tuple[Tensor, Tensor | None]]":
    """The tokens of the null, and of which concept each is: words of other concepts, or tokens of the split
    train of the corpus, of which that is not known."""
    from hsae.encyclopedia.queries.other_words import other_words

    if job.config.job.against == "words":
        return lambda prototypes: other_words(book, site, prototypes)
    text = _text(job, lm, site)
    return lambda _: (text, None)


def _text(job: Job, lm: "LM", site: str) -> "Tensor":
    from dataclasses import replace

    from hsae.activations import Reading, Stream
    from hsae.corpora.chosen import chosen_corpus

    reading = replace(Reading.of(job.config, lm.layers), sites=[site], tokens=None)
    stream = Stream(lm, chosen_corpus(job.config), reading, limits={})
    return stream.rows(site, "train", 0, job.config.job.background)


def _prototypes(job: Job, book: "Encyclopedia", site: str, mean: "Tensor", within: "Tensor") -> "Prototypes":
    from hsae.encyclopedia.queries.prototypes import Prototypes
    from hsae.hardware import device

    settings = job.config.job
    ids = [concept.id for concept in book.taxonomy]
    made = Prototypes.of(mean, within, ids=ids, shrinkage=settings.shrinkage, dtype=settings.dtype, site=site)
    for why, n in made.left_out.items():
        job.say(f"{n} concepts are left out: {why}")
    return made.to(device(job.config.hardware.device))


def _scores(
    job: Job, monitor: "Monitor", rows: "Labelled", truth: "Truth"
) -> "tuple[Monitored, Ranking, dict[str, Any]]":
    from hsae.encyclopedia.queries.detection import macro, monitored, rates
    from hsae.encyclopedia.queries.ranking import ranking

    settings, seed = job.config.job, job.config.seed
    found = monitored(monitor, rows, fdr=settings.fdr, top=settings.top)
    ranked = ranking(monitor, rows, truth.labels)
    told = rates(found, rows, truth, at=settings.at, seed=seed)
    return found, ranked, {**told, "macro": macro(ranked, truth.own, fewest=settings.fewest, seed=seed)}


def _permuted(
    job: Job,
    book: "Encyclopedia",
    site: str,
    rows: "Labelled",
    background: "Callable[[Prototypes], tuple[Tensor, Tensor | None]]",
) -> dict[str, Any]:
    """The same scores after everything was estimated again from contexts whose concepts were permuted."""
    from hsae.encyclopedia.queries.labelled import truth
    from hsae.encyclopedia.queries.monitoring import fit
    from hsae.encyclopedia.queries.permuted import permuted

    estimate = permuted(book, site, seed=job.config.seed)
    prototypes = _prototypes(job, book, site, *estimate)
    monitor = fit(prototypes, *background(prototypes))
    return _scores(job, monitor, rows, truth(rows, book.taxonomy, monitor.prototypes.ids))[2]


def _counts(rows: "Labelled", concepts: int, passed: Counter[str]) -> dict[str, Any]:
    return {
        "concepts": concepts,
        "sentences": len(set(rows.sentence.tolist())),
        "documents": len(set(rows.document.tolist())),
        "tokens": {
            "tagged": int(rows.tagged.sum()),
            "filler": int(rows.filler.sum()),
            "unknown": int((~rows.known).sum()),
        },
        "passed_over": dict(sorted((+passed).items())),
    }


def _verdict(config: Config, told: Mapping[str, Any], null: Mapping[str, Any]) -> dict[str, Any]:
    from hsae.stats import judge

    return judge(
        "of what monitoring calls active in natural text, no more is wrong than it promises",
        # a mean over function words too, on which next to nothing is called active, would pass whatever holds
        "mean over tokens of known sense of the share of false discoveries",
        told["fdr"]["tagged"],
        threshold=config.job.fdr,
        # who calls nothing active makes no mistake: where permuted contexts pass too, recall says which it is
        null=null["fdr"]["tagged"],
        unit="documents",
        above=False,
    ).to_dict()


def _write_concepts(
    path: Path,
    book: "Encyclopedia",
    monitor: "Monitor",
    rows: "Labelled",
    truth: "Truth",
    found: "Monitored",
    ranked: "Ranking",
) -> None:
    """A line for each concept with a positive token, those of the largest average precision first."""
    from hsae.encyclopedia.queries.ranking import by_concept

    lines = by_concept(ranked, rows, truth, found.concept, found.by_token)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["id", "name", *lines[0]._fields[1:]])
        for line in sorted(lines, key=lambda line: -line.ap):
            concept = book.taxonomy[monitor.prototypes.ids[line.column]]
            writer.writerow([concept.id, concept.name, *line[1:]])


def _headline(table: Mapping[str, Any]) -> dict[str, int | float | str]:
    found, tagged = table["found"], table["found"]["fdr"]["tagged"]
    means = found["macro"].get("all")
    ranked = (
        {}
        if means is None
        else {
            "ap": round(means["ap"]["value"], 4),
            "ap_by_chance": round(means["chance"], 4),
            "auroc": round(means["auroc"]["value"], 4),
        }
    )
    return {
        "sentences": table["sentences"],
        "tagged_tokens": table["tokens"]["tagged"],
        **ranked,
        "fdr": round(tagged["value"], 4),
        "promised": table["promised"],
        "discoveries": found["discoveries"],
        **{f"recall_at_{k}": round(said["value"], 4) for k, said in found["recall_at"].items()},
    }
