"""Sections about an encyclopedia: what refinement did, who can read it, how far it may be off, what it finds.

Each is there only if something of it was run: a page about dictionaries needs no word on the others.
"""

from collections.abc import Sequence
from typing import Any

from hsae.artifact import Artifact
from hsae.report import convergence, crossvalidation, detection, interpreters, retrieval, verdicts
from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import number
from hsae.report.page import Section, figure
from hsae.report.provenance import link, made_by
from hsae.report.read import Material, json_of
from hsae.report.refinement import racing, refinement_sections
from hsae.report.verdicts import Claim


def concept_sections(material: Material, *, seed: int) -> list[Section]:
    """In the order of the questions: does refinement help, who reads it, what was never seen, the wild."""
    return [
        *refinement_sections(material, seed=seed),
        *_interpreter_sections(material),
        *_folds(material),
        *_unseen(material),
        *_detected(material),
        *_convergence_sections(material),
    ]


def _folds(material: Material) -> list[Section]:
    if not (found := material.of_kind("crossvalidation")):
        return []
    lead = "Every row judged once, by what was fitted without its template or source."
    bodies = [crossvalidation.told(json_of(one, "crossvalidation.json")) for one in found]
    return [Section("folds", "Every row judged once", lead, join(*bodies, _made(found)))]


def _unseen(material: Material) -> list[Section]:
    if not (found := material.of_kind("retrieval")):
        return []
    lead = "Concepts that nothing was fitted on: found by their glosses, registered by a few contexts."
    bodies = [
        retrieval.told(json_of(one, "retrieval.json"), id=f"shots-{row}") for row, one in enumerate(found)
    ]
    return [Section("unseen", "Concepts never seen", lead, join(*bodies, _made(found)))]


def _detected(material: Material) -> list[Section]:
    if not (found := material.of_kind("detection")):
        return []
    lead = "Sentences whose senses are known: which concepts monitoring finds, and how often it is wrong."
    told = [json_of(one, "detect.json") for one in found]
    claims = [
        Claim(said["verdict"], one.manifest["slug"], link(one)) for one, said in zip(found, told, strict=True)
    ]
    bodies = [verdicts.table(claims), *map(detection.told, told)]
    return [Section("detection", "In natural text", lead, join(*bodies, _made(found)))]


def _made(found: Sequence[Artifact]) -> Markup:
    return tag("p", made_by(found))


def _interpreter_sections(material: Material) -> list[Section]:
    """None where nothing was interpreted: a page about dictionaries needs no word on it."""
    if not (material.interpretations or material.historical_splits):
        return []
    lead = (
        "Which concept is an activation of? Fitted on some templates, asked on others; every row beside "
        "chance, and beside the same estimation after its labels were permuted."
    )
    made = made_by(material.of_kind("interpreter"))
    bodies = [tag("p", _split(scores), " ", link) for link, scores in _by_split(material)]
    apart = racing(material)
    if shown := [one for one in material.interpretations if one.source not in apart]:
        bodies.append(figure(interpreters.table(shown), made))
        best = max(shown, key=lambda one: len(one.scores["matrix"]))
        if best.scores["matrix"]:
            caption = "Accuracy of shrinkage LDA fitted on one source of contexts (rows), asked on another."
            bodies.append(figure(interpreters.matrix(best.scores["matrix"]), caption))
    return [Section("interpreters", "Interpreters", lead, join(*bodies))]


def _by_split(material: Material) -> list[tuple[Markup, dict[str, Any]]]:
    return [(link(one), scores) for one, scores in material.historical_splits]


def _split(scores: dict[str, Any]) -> str:
    rates = {name: number(found["value"]) for name, found in scores["accuracy"].items()}
    said = ", ".join(f"{rate} on the concepts of {name}" for name, rate in rates.items())
    return f"As it was done in 2025: accuracy {said}. {scores['why']}"


def _convergence_sections(material: Material) -> list[Section]:
    """None where convergence was not asked for."""
    found = material.of_kind("convergence")
    if not found:
        return []
    lead = "How far the means of the encyclopedia may still be from the truth, and what the usual test says."
    bodies = []
    for one in found:
        table = json_of(one, "convergence.json")
        bodies += [convergence.told(site, said) for site, said in table.items()]
    return [Section("convergence", "Convergence", lead, join(*bodies, tag("p", made_by(found))))]
