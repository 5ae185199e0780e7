"""Artifacts -> what the page shows of them. Formats are those that each artifact's job writes."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, final

import h5py
import numpy as np
from jaxtyping import Float, Int

from hsae import artifact, json_file
from hsae.artifact import Artifact
from hsae.concepts.categories import ABOVE, categories
from hsae.errors import MissingInput, UserError
from hsae.report.baselines import Beside, baselines
from hsae.report.concept_map import ConceptMap, Entry
from hsae.report.curves import Curve
from hsae.report.dictionaries import COLUMNS, Row
from hsae.report.identity import Identity, identify
from hsae.report.interpreters import Interpretation
from hsae.report.latents import Latent
from hsae.report.numbers import Number
from hsae.report.provenance import link
from hsae.report.verdicts import Claim

HELD_OUT = "held_out/explained_variance"
STUDIED = "sae"
MOST_POINTS = 200


@final
class Material:
    """Everything that the asked artifacts, and those they were made from, have to show."""

    def __init__(self, asked: Iterable[Artifact]):
        self.artifacts = with_origins(asked)

    @cached_property
    def encyclopedias(self) -> list[Artifact]:
        """Those that no later stage among the results has added to; of several that set out from the same
        one, as policies in a race do, that with most contexts."""
        books = self.of_kind("encyclopedia")
        inputs = {book.fingerprint: [*book.manifest["inputs"].values()] for book in books}
        earlier = {said["fingerprint"] for each in inputs.values() for said in each}
        found: dict[str, Artifact] = {}
        for book in books:
            if book.fingerprint not in earlier:
                before = inputs[book.fingerprint]
                start = before[0]["fingerprint"] if before else book.fingerprint
                most = found.setdefault(start, book)
                if float(book.metrics.get("contexts", 0)) > float(most.metrics.get("contexts", 0)):
                    found[start] = book
        return [*found.values()]

    def of_kind(self, kind: str) -> list[Artifact]:
        return [one for one in self.artifacts if one.kind == kind]

    @cached_property
    def saes(self) -> dict[str, Identity]:
        """Fingerprint of an SAE -> what to call it."""
        saes = self.of_kind("sae")
        return identify(saes, {sae.fingerprint: _card(sae)["site"] for sae in saes})

    @cached_property
    def claims(self) -> list[Claim]:
        """Verdicts on dictionaries."""
        return [
            Claim(verdict, self._title(self._sae(evaluation)), link(evaluation))
            for evaluation in self.of_kind("evaluation")
            for verdict in json_of(evaluation, "verdicts.json")
        ]

    @cached_property
    def geometry(self) -> list[Claim]:
        """Verdicts on teachers."""
        return [
            Claim(verdict, teacher.manifest["slug"], link(teacher))
            for teacher in self.of_kind("teacher")
            for verdict in json_of(teacher, "verdicts.json")
        ]

    @cached_property
    def rows(self) -> list[Row]:
        """Every dictionary that was scored. Baselines of several SAEs that were scored alike stand once."""
        studied: list[Beside] = []
        beside: list[Beside] = []
        for evaluation in self.of_kind("evaluation"):
            for name, scores in _by_dictionary(json_of(evaluation, "scores.json")).items():
                # what has no column is an edit of the LM that is no dictionary, such as none at all
                if any(column.metric in scores for column in COLUMNS):
                    scored = Beside(name, self._sae(evaluation), scores, evaluation)
                    (studied if name == STUDIED else beside).append(scored)
        return [_row(one) for one in studied] + baselines(beside)

    @cached_property
    def interpretations(self) -> list[Interpretation]:
        """Interpreters that were judged on other templates than they were fitted on."""
        found = []
        for one in self.of_kind("interpreter"):
            scores = json_of(one, "scores.json")
            if scores["split"] == "role":
                config, sites = one.config, json_of(one, "interpreter.json")["sites_named"]
                names = config["interpreter"]["name"], config["stage"]["name"], ", ".join(sites)
                found.append(
                    Interpretation(*names, config["policy"]["name"], config["seed"], scores, link(one))
                )
        return found

    @cached_property
    def historical_splits(self) -> list[tuple[Artifact, dict[str, Any]]]:
        """Interpreters that were split by concept, as in 2025, and their scores."""
        read = [(one, json_of(one, "scores.json")) for one in self.of_kind("interpreter")]
        return [(one, scores) for one, scores in read if scores["split"] == "concept"]

    @cached_property
    def curves(self) -> dict[str, list[Curve]]:
        """Site -> how held-out explained variance went in each training that logged it."""
        found: dict[str, list[Curve]] = {}
        for sae in self.of_kind("sae"):
            about = self.saes[sae.fingerprint]
            points = tuple(_points(sae))
            if points:
                found.setdefault(about.site, []).append(Curve(about.group, about.seed, points))
        return found

    @cached_property
    def hierarchies(self) -> list[tuple[str, Artifact, list[Latent]]]:
        """Each SAE that was evaluated on concepts: its title, the evaluation, its latents."""
        found = []
        for evaluation in self.of_kind("evaluation"):
            if "latents.jsonl" in evaluation.manifest["files"]:
                about = self._sae(evaluation)
                parents = _card(self._origin(evaluation, "sae"))["parents"]
                found.append((self._title(about), evaluation, list(_latents(evaluation, parents))))
        # those with a hierarchy first, for the others have only a ranking to show; then one seed of each
        flat = lambda latents: all(latent.parent < 0 for latent in latents)
        return sorted(found, key=lambda one: (flat(one[2]), self._sae(one[1]).seed))

    def _title(self, about: Identity) -> str:
        """Name, teacher, seed; the site where there are several."""
        sites = {one.site for one in self.saes.values()}
        return " · ".join([about.group, *([about.site] if len(sites) > 1 else []), f"seed {about.seed}"])

    def _sae(self, evaluation: Artifact) -> Identity:
        return self.saes[self._origin(evaluation, "sae").fingerprint]

    def _origin(self, of: Artifact, role: str) -> Artifact:
        """The artifact that another was made from. Raises UserError where it was deleted since."""
        said = of.manifest["inputs"][role]
        for one in self.artifacts:
            if one.fingerprint == said["fingerprint"]:
                return one
        raise UserError(
            f"{of.folder} was made from {said['slug']}-{said['fingerprint']}, which is not there any more.\n"
            f"Make that again with hsae job={said['job']}, or show what is left: take this one out of job.of."
        )


def with_origins(asked: Iterable[Artifact]) -> list[Artifact]:
    """The artifacts and all that they were made from and is still there, inputs before their readers."""
    found: dict[str, Artifact] = {}

    def visit(one: Artifact) -> None:
        if one.fingerprint in found:
            return
        for said in one.manifest["inputs"].values():
            try:
                visit(
                    artifact.read(
                        one.folder.parents[1] / said["job"] / f"{said['slug']}-{said['fingerprint']}"
                    )
                )
            except MissingInput:
                continue  # an origin that was deleted is named by its reader's manifest all the same
        found[one.fingerprint] = one

    for one in asked:
        visit(one)
    return list(found.values())


def _row(one: Beside) -> Row:
    about = one.about
    return Row(about.name, about.teacher, about.site, about.seed, False, one.scores, link(one.evaluation))


def read_map(encyclopedia: Artifact, *, seed: int) -> ConceptMap:
    """The mean activation of every concept at an encyclopedia's last site, over all of its contexts."""
    index, concepts = json_of(encyclopedia, "encyclopedia.json"), _lines(encyclopedia, "concepts.jsonl")
    site = list(index["sites"])[-1]
    count, vectors = _means(encyclopedia, index, site)
    rows = {concept["id"]: row for row, concept in enumerate(concepts)}
    parents = [rows[concept["parents"][0]] if concept["parents"] else -1 for concept in concepts]
    category = categories(parents)
    entries = [
        Entry(
            id=concept["id"],
            name=concept["name"],
            gloss=concept["gloss"],
            contexts=int(count[row]),
            category=None if category[row] == ABOVE else concepts[category[row]]["name"],
            parent=parents[row],
            words=frozenset(word.lower() for word in (concept["name"], *concept["lemmas"])),
        )
        for row, concept in enumerate(concepts)
        if count[row]
    ]
    # a concept without contexts has no vector: the zeros that stand in its place are nothing to draw
    return ConceptMap(entries, vectors[count > 0], site, "mean activation over its contexts", seed)


def _means(
    encyclopedia: Artifact, index: Mapping[str, Any], site: str
) -> tuple[Int[np.ndarray, " concept"], Float[np.ndarray, "concept d"]]:
    """Contexts of each concept and their mean with the first pooling, all roles together."""
    place, d = f"sites/{site}/{index['poolings'][0]}", index["sites"][site]
    counts, sums = [], []
    for shard in index["shards"]:
        with h5py.File(encyclopedia.path(shard)) as file:
            count = np.asarray(file["count"])
            counts.append(count.sum(1))
            total = np.zeros((len(count), d))
            for number, role in enumerate(index["roles"]):
                if f"{place}/{role}/mean" in file:  # absent where no concept has a context of the role
                    total += count[:, number, None] * np.asarray(file[f"{place}/{role}/mean"])
            sums.append(total)
    count = np.concatenate(counts)
    return count, np.concatenate(sums) / np.maximum(count, 1)[:, None]


def _latents(evaluation: Artifact, parents: Sequence[int]) -> Iterator[Latent]:
    for line in _lines(evaluation, "latents.jsonl"):
        index = line["latent"]
        yield Latent(
            index=index,
            parent=parents[index],
            concept=line.get("name"),
            gloss=line.get("gloss", ""),
            auroc=line.get("auroc"),
            low=line.get("low"),
            high=line.get("high"),
            n=line.get("n", 0),
            asked_as=line.get("as"),
        )


def _points(sae: Artifact) -> list[tuple[int, Number]]:
    """What was logged of the held-out rows, thinned to MOST_POINTS; the last always stays."""
    lines = [line for line in _lines(sae, "log.jsonl") if line.get(HELD_OUT) is not None]
    step = -(-len(lines) // MOST_POINTS) or 1
    return [(line["tokens"], line[HELD_OUT]) for line in reversed(lines[::-1][::step])]


def _card(sae: Artifact) -> dict[str, Any]:
    return json_of(sae, "sae.json")


def _by_dictionary(scores: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Mapping[str, Any]]]:
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for score in scores:
        found.setdefault(score["dictionary"], {})[score["metric"]] = score
    return found


def json_of(of: Artifact, name: str) -> Any:
    """What a JSON file of an artifact holds."""
    return json_file.read(of.path(name))


def _lines(of: Artifact, name: str) -> list[dict[str, Any]]:
    path: Path = of.path(name)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
