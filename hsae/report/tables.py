"""The page's tables as files, for whoever wants to compute with them."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hsae.report.read import Material


def score_rows(material: Material) -> list[dict[str, Any]]:
    """One row a score: which dictionary, which metric, the value with interval, n and chance."""
    return [
        {
            "dictionary": row.name,
            "teacher": row.teacher,
            "site": row.site,
            "seed": row.seed,
            **{key: score[key] for key in ("metric", "value", "low", "high", "n", "unit", "chance")},
        }
        for row in material.rows
        for score in row.scores.values()
    ]


def verdict_rows(material: Material) -> list[dict[str, Any]]:
    """One row a claim."""
    return [{"about": claim.about, **claim.verdict} for claim in (*material.claims, *material.geometry)]


def latent_rows(material: Material) -> list[dict[str, Any]]:
    """One row a latent of each SAE that was evaluated on concepts."""
    return [
        {"dictionary": title, "latent": latent.index, "parent": latent.parent, "concept": latent.concept}
        | {"auroc": latent.auroc, "low": latent.low, "high": latent.high, "n": latent.n}
        for title, _, latents in material.hierarchies
        for latent in latents
    ]


def write_tables(material: Material, folder: Path) -> list[str]:
    """Each table that has rows as <name>.csv, the short ones as <name>.json too. Names of the files."""
    short = {"verdicts": verdict_rows(material), "scores": score_rows(material)}
    written = []
    for name, rows in {**short, "latents": latent_rows(material)}.items():
        if rows:
            _write_csv(folder / f"{name}.csv", rows)
            written.append(f"{name}.csv")
        if rows and name in short:
            text = json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)
            (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
            written.append(f"{name}.json")
    return written


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
