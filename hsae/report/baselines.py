"""Baselines were scored beside each SAE, at its size and L0: which of them are one and the same?"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hsae.artifact import Artifact
from hsae.report.dictionaries import Row, Score
from hsae.report.identity import Identity
from hsae.report.provenance import link

NAMES = {
    "pca": "PCA",
    "random": "random directions",
    "untrained": "untrained SAE",
    "mean_difference": "mean difference",
    "mean": "mean activation",
}


@dataclass(frozen=True)
class Beside:
    """A baseline's scores, and the SAE beside which they were measured."""

    name: str
    about: Identity
    scores: Mapping[str, Score]
    evaluation: Artifact


DETAIL: tuple[Callable[[Identity], str], ...] = (
    lambda about: "",  # noqa: ARG005  it depends on no SAE
    lambda about: f"as {about.name}",
    lambda about: f"as {about.name} {about.teacher}",
)
"""What a baseline must be told apart by: nothing, the SAE's kind, or its teacher too (which moves its L0)."""


def baselines(found: Sequence[Beside]) -> list[Row]:
    """One row for each baseline, site and seed, and for each kind of SAE where that makes a difference."""
    rows: dict[tuple[str, str, str, int], Row] = {}
    for name, site in dict.fromkeys((one.name, one.about.site) for one in found):
        same = [one for one in found if (one.name, one.about.site) == (name, site)]
        detail = next((detail for detail in DETAIL if _agree(same, detail)), DETAIL[-1])
        for one in same:
            told = (NAMES.get(name, name), detail(one.about), site, one.about.seed)
            rows.setdefault(told, Row(*told, True, one.scores, link(one.evaluation)))
    return list(rows.values())


def _agree(same: Sequence[Beside], detail: Callable[[Identity], str]) -> bool:
    """Whether those with one seed and one detail were scored alike."""
    values: dict[tuple[str, int], set[str]] = {}
    for one in same:
        scored = json.dumps({metric: score["value"] for metric, score in one.scores.items()}, sort_keys=True)
        values.setdefault((detail(one.about), one.about.seed), set()).add(scored)
    return all(len(scored) == 1 for scored in values.values())
