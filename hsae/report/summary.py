"""The head of the page: what was run, in a few sentences and numbers, from what the manifests say."""

from collections.abc import Iterable, Iterator, Sequence

from hsae.artifact import Artifact
from hsae.report import verdicts
from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import duration, large, plural
from hsae.report.read import Material


def lede(material: Material) -> str:
    """One sentence for each thing that was done; nothing is said of what was not."""
    said = dict.fromkeys([*_books(material), *_saes(material), *_evaluations(material)])
    return (
        " ".join(said)
        or "None of these results is one that a report can show; how they were made stands below."
    )


def facts(material: Material) -> list[tuple[str, Markup | str]]:
    """The numbers that a reader asks for first."""
    found: list[tuple[str, Markup | str]] = []
    wanted = (
        ("encyclopedia", "concepts", "concepts"),
        ("encyclopedia", "contexts", "contexts"),
        ("store", "rows", "tokens"),
    )
    for kind, metric, title in wanted:
        if (
            value := _last(
                material.encyclopedias if kind == "encyclopedia" else material.of_kind(kind), metric
            )
        ) is not None:
            found.append((title, large(value)))
    if material.saes:
        found.append(("autoencoders", str(len(material.saes))))
    if claims := [*material.claims, *material.geometry]:
        found.append((plural(len(claims), "verdict").partition(" ")[2], join(verdicts.tally(claims))))
    if material.artifacts:
        found.append(("computing time", duration(sum(one.manifest["seconds"] for one in material.artifacts))))
    return found


def footer(tables: Sequence[str]) -> Markup:
    """What the page is, and what lies beside it."""
    links = [(", " if row else "", tag("a", name, href=name)) for row, name in enumerate(tables)]
    beside = join(" The numbers as tables lie beside it: ", links, ".") if tables else None
    return join("Written by ", tag("code", "hsae job=report"), ". This page fetches nothing.", beside)


def _last(artifacts: list[Artifact], metric: str) -> float | None:
    """A metric of the last of these, or None where its job names no such number."""
    value = artifacts[-1].metrics.get(metric) if artifacts else None
    return None if value is None else float(value)


def _books(material: Material) -> Iterator[str]:
    for book in material.encyclopedias:
        concepts = _last([book], "concepts")
        many = "Concepts" if concepts is None else plural(int(concepts), "concept")
        source, model = book.config["concepts"]["name"], book.config["model"]["name"]
        yield f"{many} ({source}), as the language model {model} represents them, became an encyclopedia."


def _saes(material: Material) -> Iterator[str]:
    if known := list(material.saes.values()):
        kinds, teachers = _listed(one.name for one in known), _listed(one.teacher for one in known)
        seeds, sites = sorted({one.seed for one in known}), _listed(one.site for one in known)
        repeated = f"{'seed' if len(seeds) == 1 else 'seeds'} {_listed(map(str, seeds))}"
        yield (
            f"{plural(len(known), 'sparse autoencoder')} ({kinds}; {teachers}; {repeated}) learned from its "
            f"activations at {sites}."
        )


def _evaluations(material: Material) -> Iterator[str]:
    if material.rows:
        baselines = _listed(row.name for row in material.rows if row.baseline)
        beside = f", beside {baselines}" if baselines else ""
        yield f"Each was judged on documents that nothing was fitted to{beside}."


def _listed(words: Iterable[str]) -> str:
    """`a, b and c`, each once."""
    once = list(dict.fromkeys(words))
    return " and ".join(filter(None, [", ".join(once[:-1]), once[-1]])) if once else ""
