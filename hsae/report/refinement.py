"""Sections on refinement: accuracy and what became of the concepts stage by stage, policies beside chance,
calibration."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, final

from hsae.artifact import Artifact
from hsae.interpreters.judging import judged
from hsae.report import calibration, race, stages
from hsae.report.interpreters import Interpretation
from hsae.report.markup import Markup, join
from hsae.report.numbers import number, plural
from hsae.report.page import Section, figure, panels
from hsae.report.provenance import link
from hsae.report.read import Material, json_of


@final
class Asked(NamedTuple):
    """An interpreter's result with where its rows came from."""

    said: Interpretation
    artifact: Artifact
    book: Artifact
    judge: str
    """Fingerprint of the encyclopedia whose held-out contexts it read."""


def racing(material: Material) -> set[Markup]:
    """The sources of the results that stand in a race of policies, which has a table of its own."""
    return {one.said.source for arms in _races(list(_asked(material))).values() for one in arms}


def refinement_sections(material: Material, *, seed: int) -> list[Section]:
    """None of those for which nothing was run."""
    asked = list(_asked(material))
    races = _races(asked)
    raced = {id(one) for arms in races.values() for one in arms}
    plain = [one for one in asked if id(one) not in raced]
    found = (_stage_section(plain), _race_section(races, asked, seed=seed), _calibration_section(plain))
    return [section for section in found if section is not None]


def _asked(material: Material) -> Iterator[Asked]:
    by = {one.fingerprint: one for one in material.artifacts}
    told = {one.source: one for one in material.interpretations}
    for one in material.of_kind("interpreter"):
        inputs = one.manifest["inputs"]
        book = by.get(inputs["encyclopedia"]["fingerprint"])
        if book is not None and (said := told.get(link(one))):
            judge = inputs.get("judge", inputs["encyclopedia"])["fingerprint"]
            yield Asked(said, one, book, judge)


def _races(asked: Sequence[Asked]) -> dict[tuple[str, ...], list[Asked]]:
    """Results that differ in policy and seed alone, chance among them."""
    groups: dict[tuple[str, ...], list[Asked]] = defaultdict(list)
    for one in asked:
        groups[one.said.name, one.said.stage, one.said.site, one.judge, _spending(one.book.manifest)].append(
            one
        )
    several = {}
    for key, group in groups.items():
        policies = {one.said.policy for one in group}
        if len(policies) > 1 and race.CHANCE in policies:
            several[key] = group
    return several


def _spending(manifest: Mapping[str, Any]) -> str:
    """All that was chosen but policy and seed: who reads in more rounds has read more."""
    chosen = manifest.get("choices", {})
    return json.dumps(
        {key: of for key, of in chosen.items() if key not in ("policy", "seed")}, sort_keys=True
    )


def _index(book: Artifact) -> list[dict[str, Any]]:
    """The stages of an encyclopedia, as its index tells them."""
    return json_of(book, "encyclopedia.json")["stages"]


def _stage_section(asked: Sequence[Asked]) -> Section | None:
    groups: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    for one in asked:
        groups[one.said.site, one.judge].append(one)
    drawn = [
        (site, _stages(group))
        for (site, _), group in groups.items()
        if len({one.book.fingerprint for one in group}) > 1
    ]
    if not drawn:
        return None
    lead = (
        "Each stage adds contexts to the one before. The same held-out contexts are asked after every stage, "
        "so that what changes is what the stage has taught; intervals are over concepts and templates."
    )
    body = panels(drawn) if len(drawn) > 1 else drawn[0][1]
    return Section("stages", "Stage by stage", lead, body)


def _stages(group: Sequence[Asked]) -> Markup:
    books = {one.book.fingerprint: one.book for one in group}
    told = sorted((_stage(book) for book in books.values()), key=lambda stage: stage.contexts)
    seeds = {one.said.seed for one in group}
    points = [
        stages.Point(
            one.said.name + (f", seed {one.said.seed}" if len(seeds) > 1 else ""),
            one.said.stage,
            *(one.said.scores["accuracy"][bound] for bound in ("value", "low", "high")),
        )
        for one in group
    ]
    chance = group[0].said.scores["chance"]
    caption = join(
        f"{stages.gains(points, told)} Chance is {number(chance)}. Made by ",
        [(", " if row else "", link(one.artifact)) for row, one in enumerate(group)],
        ".",
    )
    return join(figure(stages.accuracy(points, told), caption), stages.statuses(told))


def _stage(book: Artifact) -> stages.Stage:
    index = _index(book)
    return stages.Stage(
        index[-1]["stage"],
        sum(stage["contexts"] for stage in index),
        sum(stage["tokens"] for stage in index),
        index[-1].get("status", {}),
    )


def _race_section(
    races: dict[tuple[str, ...], list[Asked]], asked: Sequence[Asked], *, seed: int
) -> Section | None:
    drawn = []
    for (name, stage, site, judge, _), group in races.items():
        laps = race.laps([_arm(one) for one in group], seed=seed)
        if laps:
            before = _before(group, [one for one in asked if (one.said.name, one.judge) == (name, judge)])
            caption = f"Interpreter {name}, stage {stage}, {site}."
            drawn.append(figure(race.table(laps, start=before), caption))
    if not drawn:
        return None
    lead = (
        "Every policy spends on the concepts that it picks; chance picks them blindly. Both read as many "
        "contexts, and are judged on the same held-out rows; pairs share the seed, by which contexts are "
        "drawn. A policy beats chance only where both intervals lie above zero, and it read no more tokens."
    )
    return Section("race", "Policies against chance", lead, join(*drawn))


def _arm(one: Asked) -> race.Arm:
    rows = judged.load(one.artifact.folder)
    tokens = _index(one.book)[-1]["tokens"]
    return race.Arm(one.said.policy, one.said.seed, tokens, rows.uid, rows.concept, rows.correct)


def _before(group: Sequence[Asked], others: Sequence[Asked]) -> float | None:
    """Accuracy of the same interpreter on the stage that the race set out from."""
    start = group[0].book.manifest["inputs"]["earlier"]["fingerprint"]
    found = [one.said.scores["accuracy"]["value"] for one in others if one.book.fingerprint == start]
    return found[0] if found else None


def _calibration_section(asked: Sequence[Asked]) -> Section | None:
    with_rows = [one for one in asked if judged.FILE in one.artifact.manifest["files"]]
    if not with_rows:
        return None
    # the last stage of each judge alone: a line for every stage would be a thicket
    size = lambda one: sum(stage["contexts"] for stage in _index(one.book))
    most = max(size(one) for one in with_rows)
    shown = [one for one in with_rows if size(one) == most]
    bins = []
    for one in shown:
        rows = judged.load(one.artifact.folder)
        title = (
            one.said.name if len({s.said.site for s in shown}) == 1 else f"{one.said.name} {one.said.site}"
        )
        bins.append((title, calibration.reliability(rows.confidence, rows.correct, rows.concept)))
    errors = ", ".join(f"{one.said.name} {number(one.said.scores['ece'])}" for one in shown)
    rows = plural(shown[0].said.scores["n"], "held-out row")
    caption = join(
        f"Stage {shown[0].said.stage}, {rows}, in bins of equally many; marks are Wilson intervals "
        f"over concepts. Expected calibration error: {errors}. Made by ",
        [(", " if row else "", link(one.artifact)) for row, one in enumerate(shown)],
        ".",
    )
    lead = "How often an interpreter is right when it is so sure; on the diagonal it means what it says."
    return Section("calibration", "Calibration", lead, figure(calibration.diagram(bins), caption))
