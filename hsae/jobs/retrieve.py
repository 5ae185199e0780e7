"""Asks about concepts that nothing was fitted on: by their glosses, and by a few contexts of each.

hsae job=retrieve interpreter=open_vocabulary stage=templates
hsae job=retrieve interpreter=open_vocabulary concepts=wordnet concepts.n=2000 job.depth=7
hsae job=retrieve interpreter=none job.shots=[1,2,4,8,16] encyclopedia.sample=16

Concepts are held out in whole groups of kin: no parent, child, sibling or word of one that is judged stands
among those seen. (i) Retrieval: a map onto glosses, fitted on the seen concepts, ranks all glosses for
activations of the others. (ii) Registration: the mean of n contexts joins the means of the seen concepts,
and has to be told from all of them. A closed softmax has no answer for what it never saw, and is refused.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from hsae import build, json_file
from hsae.artifact import Need
from hsae.config import Config, Part
from hsae.errors import UserError
from hsae.execute import Job
from hsae.lm import files

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from hsae.encyclopedia import Encyclopedia
    from hsae.interpreters.base import Rows
    from hsae.interpreters.open_vocabulary import OpenVocabulary
    from hsae.interpreters.unseen.held_out import HeldOut
    from hsae.interpreters.unseen.texts import Texts
    from hsae.interpreters.unseen.zero_shot import Question

WRITES = "retrieval"
FORMAT = 1


class Settings(Part):
    """Which concepts are held out, and how they are asked for."""

    name: Literal["retrieve"]
    depth: NonNegativeInt | None
    share: Annotated[float, Field(gt=0, lt=1)]
    """Of all concepts, held out at most."""
    shots: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    """A held-out concept is judged if it has contexts for the largest."""
    draws: PositiveInt
    permutations: NonNegativeInt


def needs(config: Config) -> dict[str, Need]:
    return {"encyclopedia": Need(config.encyclopedia.made_by)}


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
    return {"concepts": getattr(config.concepts, "n", None) or "all of the source"}


def run(job: Job) -> dict[str, int | float | str]:
    from hsae.encyclopedia import Encyclopedia
    from hsae.interpreters.roles import of_one_width
    from hsae.interpreters.unseen.held_out import hold_out
    from hsae.interpreters.unseen.retrieval import FILE
    from hsae.interpreters.unseen.texts import Texts

    config, settings = job.config, job.config.job
    book = Encyclopedia(job.inputs["encyclopedia"].folder)
    sites = of_one_width(book, files.studied_sites(config, book.sites))
    split = hold_out(book.taxonomy, depth=settings.depth, share=settings.share, seed=config.seed)
    texts = Texts.of(book)
    found: dict[str, Any] = {"split": split.told(book.taxonomy), "sites": sites, "gloss": None}
    if config.interpreter.name != "none":
        found["gloss"] = _by_gloss(job, book, sites, split, texts)
    found["shots"] = _by_shots(job, book, sites, split, texts)
    json_file.write(found, job.out / FILE)
    _tables(job, found)
    return _headline(found)


def _by_gloss(
    job: Job, book: "Encyclopedia", sites: list[str], split: "HeldOut", texts: "Texts"
) -> dict[str, Any]:
    """Retrieval of held-out concepts among all glosses, beside the null and the baselines; contexts that
    quote what is looked for are not asked."""
    import torch

    from hsae.interpreters.roles import rows_of
    from hsae.interpreters.unseen.kin import Tree
    from hsae.interpreters.unseen.zero_shot import Question, permuted, zero_shot

    fit, test = rows_of(book, sites, "fit"), rows_of(book, sites, "test")
    quoting = texts.quoting(book.taxonomy, test.concept)
    ask = Question(split.seen, split.group, Tree(book.taxonomy), job.config.seed)
    new = _of(test, split.judged, ~quoting)
    known, old = _of(fit, split.seen), _of(test, split.seen, ~quoting)
    fitted = _fitted(job, book, sites, split, known)
    found: dict[str, Any] = {"quoting": int(quoting[torch.from_numpy(split.judged)[test.concept]].sum())}
    found |= zero_shot(fitted, ask, new, old)
    if times := job.config.job.permutations:
        found["permuted"] = permuted(fitted, ask, known, new, times=times)
    return found | {"baselines": _baselines(job, book, split, ask, texts, ~quoting)}


def _of(rows: "Rows", concepts: "np.ndarray", among: "Tensor | None" = None) -> "Rows":
    """The rows of some concepts. Raises UserError where there are none."""
    import torch

    chosen = torch.from_numpy(concepts)[rows.concept]
    kept = rows.chosen(chosen if among is None else chosen & among)
    if not len(kept.concept):
        raise UserError(
            f"none of {int(concepts.sum()):,} concepts that are asked about has a raw row that is needed.\n"
            "Bootstrap a stage with more contexts: stage=templates"
        )
    return kept


def _blank(job: Job, book: "Encyclopedia", d: int, sites: int) -> "OpenVocabulary":
    variant, settings = build.plugin("interpreter", job.config.interpreter)
    return variant.build(settings, d=d, sites=sites, taxonomy=book.taxonomy, seed=job.config.seed)


def _fitted(
    job: Job, book: "Encyclopedia", sites: list[str], split: "HeldOut", known: "Rows"
) -> "OpenVocabulary":
    """The interpreter of the config, fitted on the seen concepts. Raises UserError for one that has no answer
    for others."""
    import torch

    from hsae.hardware import device
    from hsae.interpreters.base import check_seen
    from hsae.interpreters.open_vocabulary import OpenVocabulary
    from hsae.interpreters.roles import rows_of

    interpreter = _blank(job, book, book.d(sites[0]), len(sites))
    if not isinstance(interpreter, OpenVocabulary):
        try:
            check_seen(known.concept, torch.from_numpy(split.judged).nonzero().flatten())
        except UserError as refused:
            raise UserError(
                f"job=retrieve asks about concepts that nothing was fitted on, and interpreter="
                f"{job.config.interpreter.name} has no answer for them: {str(refused).splitlines()[0]}\n"
                "Type interpreter=open_vocabulary, or interpreter=none for registration by contexts alone"
            ) from None
    tune = _of(rows_of(book, sites, "tune"), split.seen)
    for _ in interpreter.fit(known, tune, device=device(job.config.hardware.device), checkpoint=None):
        pass
    return interpreter


def _baselines(
    job: Job, book: "Encyclopedia", split: "HeldOut", ask: "Question", texts: "Texts", among: "Tensor"
) -> dict[str, Any]:
    """What is retrieved without activations; by token embeddings where the encyclopedia has them."""
    from functools import partial

    from hsae.interpreters.unseen.zero_shot import by_other, by_overlap

    make, pairs = partial(_blank, job, book), _controls(book, texts)
    asked = {name: _of(test, split.judged, among) for name, (_, test) in pairs.items()}
    by_map = {
        name: by_other(ask, make, _of(fit, split.seen), asked[name]) for name, (fit, _) in pairs.items()
    }
    test, new = pairs["characters"][1], asked["characters"]
    wanted = split.judged[test.concept.numpy()] & among.numpy()
    said = [text for text, one in zip(texts.test, wanted, strict=True) if one]
    return {"overlap": by_overlap(ask, [concept.gloss for concept in book.taxonomy], said, new), **by_map}


def _controls(book: "Encyclopedia", texts: "Texts") -> dict[str, tuple["Rows", "Rows"]]:
    """The same contexts of fit and of test with other numbers than activations."""
    from hsae.encyclopedia.rereading import EMBED
    from hsae.interpreters.roles import rows_of

    place = book.sites[0]
    fit, test = (rows_of(book, [place], role) for role in ("fit", "test"))
    found = {"characters": texts.letters(fit, test, width=book.d(place))}
    if EMBED in book.sites:
        found["embedding"] = rows_of(book, [EMBED], "fit"), rows_of(book, [EMBED], "test")
    return found


def _by_shots(
    job: Job, book: "Encyclopedia", sites: list[str], split: "HeldOut", texts: "Texts"
) -> dict[str, Any]:
    """The curve of registration: accuracy on held-out concepts by the number of contexts, beside the same
    from letters and from token embeddings."""
    import numpy as np

    from hsae.interpreters.classes import classes
    from hsae.interpreters.roles import rows_of
    from hsae.interpreters.unseen.registration import learned, plain, register
    from hsae.interpreters.unseen.shots import curve, drawn, with_contexts

    settings, seed, n = job.config.job, job.config.seed, len(split.seen)
    fit, test = rows_of(book, sites, "fit"), rows_of(book, sites, "test")
    enough = with_contexts(split, fit.concept.numpy(), most=max(settings.shots))
    old = np.isin(np.arange(n), _of(test, split.seen).concept.numpy())
    # as many seen concepts are asked for as held-out ones, and no more than that costs
    wanted = enough | drawn(old, int(enough.sum()), seed=seed)
    choices = {"shots": sorted(settings.shots), "draws": settings.draws, "seed": seed}
    space = learned(classes(_of(fit, split.seen), concepts=n))
    asked = _of(test, wanted)
    named = register(fit, asked, split.seen, space=space, **choices)
    found = {
        "activation": curve(job.progress(named, desc="n shots"), asked.concept.numpy(), split, seed=seed)
    }
    for name, (other, others) in _controls(book, texts).items():
        asked, space = _of(others, wanted), plain(other.x)
        named = register(other, asked, split.seen, space=space, kinds=["cosine"], **choices)
        found[name] = curve(named, asked.concept.numpy(), split, seed=seed)
    left_out = int((split.judged & ~enough).sum())
    counted = {"concepts": int(enough.sum()), "left_out": left_out, "draws": settings.draws}
    return {**counted, "curves": found}


def _tables(job: Job, found: dict[str, Any]) -> None:
    columns = ["value", "low", "high", "chance"]
    line = lambda score: [_short(score[column]) for column in columns]
    if gloss := found["gloss"]:
        named = {
            "activation": gloss["among_all"],
            "activation, among held-out": gloss["among_held_out"],
            **gloss["baselines"],
        }
        rows = [[name, key, *line(one)] for name, scores in named.items() for key, one in scores.items()]
        job.log.table("unseen concepts retrieved by gloss", ["by", "score", *columns], rows)
    rows = [
        [name, one["score"], one["shots"], *line(one["accuracy"]), _short(one["seen"]["value"])]
        for name, curve in found["shots"]["curves"].items()
        for one in curve
    ]
    job.log.table(
        "concepts registered by a few contexts",
        ["by", "score", "contexts", *columns, "seen concepts"],
        rows,
    )


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _headline(found: dict[str, Any]) -> dict[str, int | float | str]:
    split, curves = found["split"], found["shots"]["curves"]
    said: dict[str, int | float | str] = {
        "held_out": split["judged"],
        "concepts": split["concepts"],
        "groups_held_out": split["groups_held_out"],
    }
    if gloss := found["gloss"]:
        said |= {
            "r@10": round(gloss["among_all"]["r@10"]["value"], 4),
            "r@10_chance": round(gloss["among_all"]["r@10"]["chance"], 4),
            "mrr": round(gloss["among_all"]["mrr"]["value"], 4),
            **({"mrr_permuted": round(gloss["permuted"]["mean"], 4)} if "permuted" in gloss else {}),
        }
    for one in curves["activation"]:
        if one["score"] == "predictive":
            said[f"shots_{one['shots']}"] = round(one["accuracy"]["value"], 4)
    said["shots_by_letters"] = round(curves["characters"][0]["accuracy"]["value"], 4)
    return said | {"chance": round(1 / split["concepts"], 6)}
