"""Derives concept vectors that can teach an SAE, and judges their geometry.

hsae job=teach teacher=encyclopedia layers=middle
hsae job=teach teacher=unembedding layers.sites=[final_norm]
"""

import json
from typing import TYPE_CHECKING, Any, Literal

from hsae import build
from hsae.artifact import Need
from hsae.build.contents import contents
from hsae.config import Config, Part
from hsae.errors import ConfigError, UserError
from hsae.execute import Job
from hsae.lm import files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from hsae.concepts import Taxonomy
    from hsae.geometry import Patterns
    from hsae.lm.model import LM
    from hsae.stats import Verdict

WRITES = "teacher"
FORMAT = 1
UNEMBEDDED = "final_norm"
"""The site whose activations the unembedding reads."""


class Settings(Part):
    """All choices stand in other groups: teacher, layers, stage, concepts, model."""

    name: Literal["teach"]


def needs(config: Config) -> dict[str, Need]:
    """The encyclopedia of the chosen stage, if that is where the vectors come from.

    Raises ConfigError for sites that no such teacher can stand at, as far as they are known by now.
    """
    if isinstance(sites := files.site_choice(config.model, config.layers), list):
        _at(config, sites)
    return {"encyclopedia": Need(config.encyclopedia.made_by)} if _source(config) == "encyclopedia" else {}


def choices(config: Config) -> dict[str, object]:
    chosen: dict[str, object] = {
        "teacher": config.teacher.model_dump(exclude={"name"}),
        "model": files.chosen_fingerprint(config),
        "site": files.site_choice(config.model, config.studied.layers),
    }
    if _source(config) == "unembedding":
        chosen["concepts"] = contents("concepts", config.concepts)
    return chosen


def slug(config: Config) -> str:
    place = files.site_label(config.model, config.studied.layers)
    control = "" if _control(config) == "none" else f"-{_control(config)}"
    return f"{files.model_name(config.model)}-{place}-{_source(config)}{control}"


def estimate(config: Config) -> dict[str, str | int]:
    facts, concepts = config.model.facts(), getattr(config.concepts, "n", None)
    if facts is None or concepts is None:
        return {"concepts": concepts or "all of the source"}
    return {"concepts": concepts, "bytes": 4 * facts.d * (concepts + facts.d)}


def run(job: Job) -> dict[str, int | float | str]:
    from hsae.geometry.patterns import controlled
    from hsae.lm import chosen_lm

    config = job.config
    settings = config.teacher
    if _source(config) == "none":
        raise UserError(
            "teacher=none has nothing to teach.\nType teacher=encyclopedia or teacher=unembedding."
        )
    exact = config.hardware.model_copy(update={"device": "cpu", "dtype": "float32"})
    lm = chosen_lm(config.model_copy(update={"hardware": exact}))
    site = _site(config, lm)
    taxonomy, patterns = _estimated(job, lm, site)
    for reason, count in patterns.left_out.items():
        job.say(f"{count} concepts are left out: {reason}")
    # seed 0 whatever config.seed: SAEs of different seeds learn from one teacher
    patterns = controlled(patterns, settings.control, seed=0)
    facts = {"source": settings.source, "control": settings.control, "shrinkage": settings.shrinkage}
    patterns.save(job.out, site=site, **facts, **_spectrum(patterns))
    claims = _judged(job, lm, [taxonomy[id].name for id in patterns.names], patterns)
    passed = sum(claim.outcome == "PASS" and not claim.trivial for claim in claims)
    return {
        "concepts": len(patterns.names),
        **({"nearer_own_family": round(claims[0].value, 4)} if claims else {}),
        "passed": f"{passed} of {len(claims)} claims",
    }


def _judged(job: Job, lm: "LM", names: "Sequence[str]", patterns: "Patterns") -> "list[Verdict]":
    """Writes and logs the verdicts; none where no concept has a family to be compared with."""
    from hsae.geometry.hierarchy import kinship, verdicts
    from hsae.journal import whole

    kin = kinship(patterns.parents.tolist(), names, seed=0)
    claims = []
    if len(kin.child):
        vectors, words = patterns.whitened.double().numpy(), _token_embeddings(lm, names).double().numpy()
        settings: Any = build.plugin("teacher", job.config.teacher)[1]
        claims = verdicts(vectors, words, kin, settings.claims, seed=0)
        rows = [claim.to_dict() for claim in claims]
        job.log.table("verdicts", tuple(rows[0]), [list(row.values()) for row in rows])
    else:
        job.say(
            "nothing is claimed of the geometry: no concept has a family of two others and a rival family"
        )
    with whole(job.out / "verdicts.json") as draft:
        draft.write_text(json.dumps([claim.to_dict() for claim in claims], indent=1) + "\n")
    return claims


def _source(config: Config) -> str:
    return getattr(config.teacher, "source", "none")


def _control(config: Config) -> str:
    return getattr(config.teacher, "control", "none")


def _site(config: Config, lm: "LM") -> str:
    sites = config.layers.resolve(lm.layers)
    lm.check_sites(sites)
    return _at(config, sites)


def _at(config: Config, sites: list[str]) -> str:
    """Raises ConfigError for several sites, or for one that the source knows nothing of."""
    site = files.studied_site(config, sites)
    if _source(config) == "unembedding" and site != UNEMBEDDED:
        raise ConfigError(
            f"teacher.source=unembedding knows the site {UNEMBEDDED} alone, and {site} was asked for.\n"
            f"Type layers.sites=[{UNEMBEDDED}], or teacher=encyclopedia."
        )
    return site


def _estimated(job: Job, lm: "LM", site: str) -> "tuple[Taxonomy, Patterns]":
    """The concepts and their vectors."""
    from hsae.encyclopedia import Encyclopedia
    from hsae.geometry import encyclopedia, unembedding

    shrinkage = job.config.teacher.shrinkage
    if _source(job.config) == "encyclopedia":
        book = Encyclopedia(job.inputs["encyclopedia"].folder, model=lm.fingerprint)
        book.vectors(site)  # refuses an encyclopedia in which a concept has no context
        taxonomy = book.taxonomy
        return taxonomy, encyclopedia.estimate(
            book.mean(site),
            book.covariance(site),
            parents=taxonomy.parents,
            names=[concept.id for concept in taxonomy],
            shrinkage=shrinkage,
        )
    source, wanted = build.plugin("concepts", job.config.concepts)
    taxonomy = source.load(wanted, seed=0)
    return taxonomy, unembedding.estimate(
        lm.unembedding.detach(),
        _single_tokens(lm, taxonomy),
        parents=taxonomy.parents,
        names=[concept.id for concept in taxonomy],
        shrinkage=shrinkage,
    )


def _single_tokens(lm: "LM", taxonomy: "Taxonomy") -> list[list[int]]:
    """For each concept the tokens that are, with or without a space before, a whole word of it or of one
    below it.
    """
    own: list[set[int]] = []
    for concept in taxonomy:
        spellings = [space + lemma for lemma in concept.lemmas or (concept.name,) for space in ("", " ")]
        own.append({piece.ids[0] for piece in lm.reader.pieces(spellings) if len(piece.ids) == 1})
    return [
        sorted(own[row].union(*(own[below] for below in taxonomy.descendants(row))))
        for row in range(len(taxonomy))
    ]


def _token_embeddings(lm: "LM", names: "Sequence[str]") -> "Tensor":
    """Mean input embedding of the tokens of each name, the mean over names taken away: what a word says by
    itself.
    """
    import torch

    means = [lm.embedding[list(piece.ids)].mean(0) for piece in lm.reader.pieces(list(names))]
    rows = torch.stack(means).detach()
    return rows - rows.mean(0)


def _spectrum(patterns: "Patterns") -> dict[str, float]:
    """What the metric does: how many directions it weighs alike, and how unlike the others."""
    import torch

    weights = torch.linalg.eigvalsh(patterns.metric.double())
    return {
        "metric_condition": float(weights[-1] / weights[0]),
        "metric_effective_rank": float(weights.sum() ** 2 / weights.square().sum()),
    }
