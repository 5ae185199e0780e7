"""Tells all that the encyclopedia knows of a concept, or of several: as JSON, as a page, and on the terminal.

hsae job=card job.concept=dog
hsae job=card job.concept=[dog,cat] stage=adversarial layers=all

What stands in the taxonomy, how many contexts it rests on, how sure its mean is, what lies near it, what its
held-out contexts are taken for, and how that changes from layer to layer.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PositiveInt

from hsae import build, json_file
from hsae.artifact import Need
from hsae.config import Config, Listed, Part
from hsae.errors import ConfigError
from hsae.execute import Job
from hsae.lm import files

if TYPE_CHECKING:
    pass

WRITES = "cards"
FORMAT = 1

PAGE = "card.html"


class Settings(Part):
    """Of which concepts, and how much."""

    name: Literal["card"]
    concept: Annotated[tuple[str, ...], Listed, Field(min_length=1)]
    """Words or ids."""
    neighbours: PositiveInt
    contexts: PositiveInt
    shrinkage: Annotated[float, Field(ge=0, le=1)]


def needs(config: Config) -> dict[str, Need]:
    """Raises ConfigError without a concept."""
    if not all(word.strip() for word in config.job.concept):
        raise ConfigError("job=card tells of a concept, and none is named.\nType job.concept=dog")
    return {"encyclopedia": Need(config.encyclopedia.made_by)}


def choices(config: Config) -> dict[str, object]:
    return {
        **config.job.model_dump(exclude={"name"}),
        "site": files.site_choice(config.model, config.studied.layers),
    }


def slug(config: Config) -> str:
    place = files.site_label(config.model, config.studied.layers)
    words = build.words(" ".join(config.job.concept), most=40) or "concept"
    return f"{files.model_name(config.model)}-{place}-{config.concepts.name}-{config.stage.name}-{words}"


def estimate(config: Config) -> dict[str, str | int]:
    return {"concepts": len(config.job.concept)}


def run(job: Job) -> dict[str, int | float | str]:
    """Raises UserError for a word that means none of the concepts, or several of them."""
    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.queries.cards import CARDS, cards
    from hsae.encyclopedia.queries.neighbours import sense
    from hsae.report.card import Told, page

    config, settings = job.config, job.config.job
    book = Encyclopedia(job.inputs["encyclopedia"].folder)
    ids = list(dict.fromkeys(sense(book.taxonomy, word) for word in settings.concept))
    site = files.studied_or_last(config, book.sites)
    found = cards(
        book,
        ids,
        site=site,
        neighbours=settings.neighbours,
        contexts=settings.contexts,
        shrinkage=settings.shrinkage,
    )
    json_file.write(found, job.out / CARDS)
    told = Told(files.model_name(config.model), config.stage.name, found)
    (job.out / PAGE).write_text(page(told), encoding="utf-8")
    for card in found:
        _say(job, card)
    return _headline(found)


def _say(job: Job, card: dict[str, Any]) -> None:
    """The essentials of one card."""
    from hsae import console
    from hsae.report.card import certainty, counted, fared, standing

    job.say(f"{card['name']} ({card['id']}): {card['gloss'] or 'no gloss'}")
    for line in (*standing(card), counted(card["contexts"]), certainty(card), fared(card)):
        job.say(f"  {line}")
    near = [
        [one["name"], one["id"], one["cosine"], one["centred"], one["edges"], one["kin"]]
        for one in card["nearest"]
    ]
    columns = ["nearest", "id", "cosine", "only centred", "edges apart", "kin"]
    if near:
        console.table(f"nearest to {card['name']} at {card['site']}", columns, near)
    job.log.table(f"nearest to {card['id']}", columns, near)
    mistaken = [
        [one["name"], one["kin"], one["distance"], one["margin"] and one["margin"]["value"]]
        + _beyond(one["beyond"])
        for one in card["confusers"]
    ]
    columns = ["nearest in distance", "kin", "sd apart", "margin", "held out beyond", "low", "high", "n"]
    if mistaken:
        console.table(f"what {card['name']} may be taken for at {card['site']}", columns, mistaken)
    job.log.table(f"confusers of {card['id']}", columns, mistaken)


def _beyond(found: dict[str, Any] | None) -> list[float | int | None]:
    return [None] * 4 if found is None else [found[key] for key in ("value", "low", "high", "n")]


def _headline(cards: list[dict[str, Any]]) -> dict[str, int | float | str]:
    first = cards[0]
    error = first["profile"][[place["site"] for place in first["profile"]].index(first["site"])]["error"]
    if len(cards) > 1:
        return {"concepts": len(cards), "contexts": sum(card["contexts"]["total"] for card in cards)}
    return {
        "contexts": first["contexts"]["total"],
        "relative_error": "unknown" if error is None else round(error, 4),
        "nearest": ", ".join(one["name"] for one in first["nearest"][:3]) or "unknown",
    }
