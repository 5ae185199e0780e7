"""The sections of the page, in order; where something is missing a section says what, and how to get it."""

from collections.abc import Sequence

from hsae.artifact import Artifact
from hsae.report import concept_map, curves, dictionaries, latents, provenance, verdicts
from hsae.report.concept_sections import concept_sections
from hsae.report.glossary import glossary
from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import fixed, plural
from hsae.report.page import Section, absent, figure, panels
from hsae.report.provenance import made_by
from hsae.report.read import Material, read_map

KEY = {
    "measured": '<circle cx="15" cy="7" r="4" class="value"/>',
    "its interval": '<path d="M2 7H28" class="interval"/>',
    "threshold, fixed before the run": '<path d="M15 0V14" class="threshold"/>',
    "the same under the null": '<circle cx="15" cy="7" r="3.5" class="null"/>',
}

PANELS = 12
"""Dictionaries whose latents are drawn: each adds up to a seventh of a megabyte to the page."""


def all_sections(material: Material, *, seed: int) -> list[Section]:
    """Verdicts first: the rest of the page is there to let a reader doubt them. Results about an encyclopedia
    alone make a page about it alone."""
    concepts = concept_sections(material, seed=seed)
    map_of_concepts = map_section(material, seed=seed)
    last = [glossary_section(), provenance_section(material)]
    if concepts and not (material.saes or material.claims or material.geometry):
        return [*concepts, map_of_concepts, *last]
    return [
        verdict_section(material),
        dictionary_section(material),
        curve_section(material),
        *concepts,
        map_of_concepts,
        latent_section(material),
        geometry_section(material),
        *last,
    ]


def verdict_section(material: Material) -> Section:
    lead = (
        "Each claim could have been lost. It passes only if its whole interval lies beyond the threshold and "
        "fails only if the whole interval falls short of it; where the null passes too, the claim is trivial "
        "and says nothing."
    )
    if not material.claims:
        body = absent(
            "No evaluation is among the results, so nothing was claimed of any dictionary. ",
            _make("evaluate"),
        )
    else:
        body = _claims(material.claims, material.of_kind("evaluation"))
    return Section("verdicts", "Verdicts", lead, body)


def dictionary_section(material: Material) -> Section:
    lead = (
        "Every dictionary on the same held-out documents, the trained above those that nobody trained. Seeds "
        "stand together: open a row to see each with its own interval."
    )
    if not material.rows:
        body = absent("No dictionary was evaluated. ", _make("evaluate"))
    else:
        scores = next(iter(material.rows[0].scores.values()))
        caption = join(
            "Bars run from 0 to 1; the upright mark is chance; a dash was not measured. Hover a number for "
            f"its n (here {scores['n']:,} {scores['unit']}). ",
            made_by(material.of_kind("evaluation")),
        )
        body = figure(dictionaries.table(material.rows), caption)
    return Section("dictionaries", "Dictionaries", lead, body)


def curve_section(material: Material) -> Section:
    lead = "Explained variance on held-out rows while each SAE learns: one colour a kind, one line a seed."
    if not material.curves:
        why = "No training of an SAE among the results logged its held-out variance. "
        return Section("curves", "Learning", lead, absent(why, _make("train_sae")))
    drawn = []
    for row, (site, runs) in enumerate(material.curves.items()):
        plot = curves.panel(runs, id=f"curves-{row}", label=f"explained variance at {site} against tokens")
        drawn.append((site, plot))
    runs = [run for found in material.curves.values() for run in found]
    caption = join(
        f"{plural(len(runs), 'training')}, read from log.jsonl of each. ",
        f"Values below {fixed(curves.FLOOR, 2)} are drawn at the lower edge. "
        if curves.floored(runs)
        else None,
        made_by(material.of_kind("sae")),
    )
    body = figure(panels(drawn) if len(drawn) > 1 else drawn[0][1], caption)
    return Section("curves", "Learning", lead, body)


def map_section(material: Material, *, seed: int) -> Section:
    lead = "The encyclopedia: every concept's vector, near those that the language model treats alike."
    if not material.encyclopedias:
        body = absent("No encyclopedia is among the results. ", _make("bootstrap"))
        return Section("map", "Map of concepts", lead, body)
    drawn = []
    for row, encyclopedia in enumerate(material.encyclopedias):
        plot, caption = concept_map.figure(read_map(encyclopedia, seed=seed), id=f"map-{row}")
        whole = figure(plot, join(caption, " ", made_by([encyclopedia])))
        drawn.append((encyclopedia.manifest["slug"], whole))
    return Section("map", "Map of concepts", lead, panels(drawn) if len(drawn) > 1 else drawn[0][1])


def latent_section(material: Material) -> Section:
    lead = (
        "Each latent with the concept that it tells best from all others. Hierarchical dictionaries show "
        "their top latents; open one for the children that may speak only when it does."
    )
    if not material.hierarchies:
        body = absent(
            "No evaluation among the results asked which concepts the latents know. ", _make("evaluate")
        )
        return Section("latents", "Latents and their concepts", lead, body)
    drawn = []
    for title, evaluation, found in material.hierarchies[:PANELS]:
        nested = any(latent.parent >= 0 for latent in found)
        drawing = latents.forest(found) if nested else latents.flat(found)
        drawn.append((title, figure(drawing, _named(found, evaluation))))
    more = len(material.hierarchies) - len(drawn)
    rest = tag(
        "p", f"The latents of {plural(more, 'more dictionary', 'more dictionaries')} are in latents.csv."
    )
    return Section("latents", "Latents and their concepts", lead, join(panels(drawn), rest if more else None))


def _named(found: Sequence[latents.Latent], evaluation: Artifact) -> Markup:
    named = sum(latent.concept is not None for latent in found)
    return join(
        f"{named:,} of {plural(len(found), 'latent')} have a concept; the others never fired in the contexts "
        "that they are matched on. The number is the AUROC on other contexts (bar: from chance, 0.5, to 1), "
        "dark up to the lower end of its interval, by which they are ordered: what stands at the top is the "
        "top of a ranking. ",
        made_by([evaluation]),
    )


def geometry_section(material: Material) -> Section:
    lead = (
        "Whether the teacher's concept vectors have the shape that theory expects of them, and of the null's."
    )
    if not material.geometry:
        body = absent(
            "No teacher is among the results, so nothing was claimed of its geometry. ", _make("teach")
        )
    else:
        body = _claims(material.geometry, material.of_kind("teacher"))
    return Section("geometry", "The teacher's geometry", lead, body)


def glossary_section() -> Section:
    return Section("words", "What the numbers are", "Every definition that the tables use.", glossary())


def provenance_section(material: Material) -> Section:
    lead = (
        "Every number above was read from one of these results. Open one for the command that makes it, its "
        "seed, revision and time."
    )
    return Section("provenance", "Provenance", lead, provenance.entries(material.artifacts))


def _claims(claims: Sequence[verdicts.Claim], sources: Sequence[Artifact]) -> Markup:
    marks = [
        tag(
            "span",
            tag("svg", Markup(shape), viewBox="0 0 30 14", cls="interval-strip", aria_hidden="true"),
            meaning,
        )
        for meaning, shape in KEY.items()
    ]
    return join(
        tag("p", verdicts.tally(claims), cls="tally"),
        figure(join(verdicts.table(claims), tag("div", marks, cls="key")), made_by(sources)),
    )


def _make(job: str) -> Markup:
    return join(
        "Make one with ", tag("code", f"hsae job={job}"), " and name it in ", tag("code", "job.of"), "."
    )
