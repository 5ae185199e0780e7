"""Results that no job made, in the formats of those that do: planted numbers for the report to show."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hsae import artifact
from hsae.artifact import Address, Artifact
from hsae.stats import Interval, judge

CATEGORIES = [
    "animal",
    "plant",
    "food",
    "tool",
    "vehicle",
    "building",
    "clothing",
    "weather",
    "emotion",
    "sport",
    "instrument",
    "mineral",
]
SITE = "resid_post.2"
LATENTS, CHILDREN, D = 64, 7, 24
CONFIG = {
    "seed": 0,
    "model": {"name": "tiny"},
    "corpus": {"name": "wordnet", "tokens": 300_000},
    "concepts": {"name": "wordnet", "n": 1000},
    "stage": {"name": "templates"},
    "teacher": {"name": "none"},
    "sae": {"name": "topk", "k": 32},
    "train": {"tokens": 400_000},
}


@dataclass
class World:
    """Publishes artifacts into a folder, as `hsae.execute` does."""

    outputs: Path
    made: list[Artifact] = field(default_factory=list)

    def publish(
        self,
        job: str,
        kind: str,
        files: Mapping[str, str],
        *,
        inputs: Mapping[str, Artifact] | None = None,
        config: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float | str] | None = None,
        slug: str = "toy",
        h5: Any = None,
    ) -> Artifact:
        inputs = inputs or {}
        choices = {"config": dict(config or {}), "slug": slug}
        finger = artifact.fingerprint(job, 1, choices, {role: of.fingerprint for role, of in inputs.items()})
        address = Address(
            job,
            slug,
            finger,
            self.outputs,
            kind,
            1,
            choices,
            {},
            f"hsae job={job} {' '.join(_words(config))}",
        )
        with artifact.claimed(address, afresh=False) as folder:
            for name, text in files.items():
                (folder / name).write_text(text, encoding="utf-8")
            if h5 is not None:
                h5(folder)
            self.made.append(artifact.publish(address, _manifest(address, inputs, config, metrics)))
        return self.made[-1]


def _words(config: Mapping[str, Any] | None) -> list[str]:
    config = config or {}
    chosen = [f"{group}={config[group]['name']}" for group in ("sae", "teacher") if group in config]
    return [*chosen, f"seed={config.get('seed', 0)}"]


def _manifest(address: Address, inputs: Mapping[str, Artifact], config: Any, metrics: Any) -> dict[str, Any]:
    return {
        "kind": address.kind,
        "job": address.job,
        "slug": address.slug,
        "fingerprint": address.fingerprint,
        "format": 1,
        "made": "2026-01-02 03:04:05 +0000",
        "seconds": 12.5,
        "command": address.command,
        "seed": {**CONFIG, **(config or {})}["seed"],
        "metrics": metrics or {},
        "choices": address.choices,
        "inputs": {
            role: {"job": of.job, "slug": of.manifest["slug"], "fingerprint": of.fingerprint}
            for role, of in inputs.items()
        },
        "config": {**CONFIG, **(config or {})},
        "code": {"version": "0.1.0", "revision": "0123456789abcdef", "dirty": False},
        "versions": {"python": "3.11", "torch": "2.13.0"},
        "hardware": {"system": "Linux", "machine": "x86_64", "cpus": 2},
    }


def lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def concepts() -> list[dict[str, Any]]:
    """entity > category > kind > concept; a name holds what would end a script element if it were not
    escaped.
    """
    rows = [_concept("entity", None)]
    for category in CATEGORIES:
        rows.append(_concept(category, "entity"))
        for kind in range(4):
            rows.append(_concept(f"{category} {kind}", category))
            rows += [_concept(f"{category} {kind}.{leaf}", f"{category} {kind}") for leaf in range(6)]
    rows[-1]["gloss"] = 'a </script><b>gloss</b> & "quotes"'
    return rows


def _concept(name: str, parent: str | None) -> dict[str, Any]:
    return {
        "id": f"toy:{name}",
        "name": name,
        "gloss": f"what is meant by {name}, said in a sentence of common length",
        "pos": "n",
        "parents": [f"toy:{parent}"] if parent else [],
        "depth": 0,
        "frequency": 1.0,
        "lemmas": [name],
    }


def vectors(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Each concept near its parent: neighbours share parents far more often than by chance."""
    rng, found = np.random.default_rng(0), {}
    for row in rows:
        above = found[row["parents"][0]] if row["parents"] else np.zeros(D)
        found[row["id"]] = above + rng.normal(size=D)
    return np.stack(list(found.values())).astype(np.float32)


def encyclopedia(world: World, *, lacking: int | None = None, earlier: Artifact | None = None) -> Artifact:
    """`lacking` is the row of a concept without contexts; `earlier` the stage that this one adds to."""
    rows = concepts()

    def write(folder: Path) -> None:
        with h5py.File(folder / "shard-00000.h5", "w") as file:
            # the roles fit, tune, test; the second has no contexts here, and so no mean
            count = np.tile([8, 0, 4], (len(rows), 1))
            if lacking is not None:
                count[lacking] = 0
            file["count"] = count
            for role in ("fit", "test"):
                file[f"sites/{SITE}/span/{role}/mean"] = vectors(rows)

    index = {"sites": {SITE: D}, "roles": ["fit", "tune", "test"], "shards": ["shard-00000.h5"], "stages": []}
    index["poolings"] = ["span"]
    return world.publish(
        "bootstrap",
        "encyclopedia",
        {"concepts.jsonl": lines(rows), "encyclopedia.json": json.dumps(index)},
        h5=write,
        inputs={"earlier": earlier} if earlier else {},
        metrics={"concepts": len(rows), "contexts": 12 * len(rows)},
    )


def teacher(world: World, of: Artifact) -> Artifact:
    found = [
        judge(
            "children differ from their parents at right angles",
            "mean |cos|",
            Interval(0.08, 0.05, 0.11, 60),
            threshold=0.15,
            null=0.12,
            unit="parents",
            above=False,
        ),
        judge(
            "siblings are nearer than strangers",
            "mean cos, siblings - strangers",
            Interval(0.31, 0.27, 0.35, 60),
            threshold=0.05,
            null=0.001,
            unit="parents",
        ),
    ]
    return world.publish(
        "teach",
        "teacher",
        {"verdicts.json": json.dumps([v.to_dict() for v in found])},
        inputs={"encyclopedia": of},
        slug="encyclopedia",
    )


def sae(
    world: World,
    variant: str,
    taught: str,
    seed: int,
    taught_by: Artifact | None = None,
    *,
    control: str = "none",
    steps: int = 40,
    **choices: Any,
) -> Artifact:
    teacher = {"name": taught, "control": control}
    config = {"seed": seed, "teacher": teacher, "sae": {"name": variant, "k": 32, **choices}}
    nested = [
        -1 if latent % (CHILDREN + 1) == 0 else latent - latent % (CHILDREN + 1) for latent in range(LATENTS)
    ]
    parents = nested if variant == "hierarchical" else [-1] * LATENTS
    card = {"variant": variant, "site": SITE, "d": D, "latents": LATENTS, "k": 32, "parents": parents}
    return world.publish(
        "train_sae",
        "sae",
        {"sae.json": json.dumps(card), "log.jsonl": lines(list(learning(variant, taught, seed, steps)))},
        inputs={"teacher": taught_by} if taught_by else {},
        config=config,
        slug=f"tiny-{SITE}-{variant}-{taught}-seed{seed}",
        metrics={"explained_variance": quality(variant, taught, seed)},
    )


def quality(variant: str, taught: str, seed: int) -> float:
    return 0.78 + 0.05 * (variant == "topk") + 0.02 * (taught != "none") + 0.004 * seed


def learning(variant: str, taught: str, seed: int, steps: int):
    goal = quality(variant, taught, seed)
    for step in range(1, steps + 1):
        tokens = step * 10_000
        line = {"tokens": tokens, "sae/fvu": 1 - goal, "seconds": step / 10}
        if step % 2 == 0 or step == 1:
            line["held_out/explained_variance"] = goal - 1.4 * math.exp(-step / (5 + 2 * seed))
        yield line


def evaluation(world: World, of: Artifact) -> Artifact:
    config = of.config
    explained = quality(config["sae"]["name"], config["teacher"]["name"], config["seed"])
    untrained = -0.5 if config["sae"]["name"] == "topk" else -0.4
    scores = [
        *_scores("sae", explained, 0.96, 0.81, 0.08, 2 * LATENTS * D, 12_000.0),
        *_scores("pca", 0.71, 0.9, 0.66, 0.0, D * D, 9_000.0),
        *_scores("random", 0.28, 0.31, 0.61 + 0.01 * config["seed"], 0.0, LATENTS * D, 12_000.0),
        *_scores("untrained", untrained, 0.12, 0.6, 0.31, 2 * LATENTS * D, 12_000.0),
    ]
    found = [
        judge(
            "sae explains more variance than pca at the same L0",
            "explained variance, sae - pca",
            Interval(explained - 0.71, explained - 0.73, explained - 0.69, 512),
            threshold=0.02,
            null=-1.1,
            unit="documents",
        ),
        judge(
            "sae keeps more of what the LM needs than pca at the same L0",
            "CE recovered, sae - pca",
            Interval(0.02, -0.01, 0.05, 128),
            threshold=0.01,
            null=-0.7,
            unit="documents",
        ),
        judge(
            "sae has a latent for each word",
            "mean AUROC, sae - permuted labels",
            Interval(0.14, 0.12, 0.16, 200),
            threshold=0.05,
            null=0.09,
            unit="concepts",
        ),
        judge(
            "sae finds kinds better than random directions",
            "mean AUROC, sae - random",
            Interval(-0.012, -0.02, -0.004, 200),
            threshold=0.0,
            null=-0.03,
            unit="concepts",
        ),
    ]
    return world.publish(
        "evaluate",
        "evaluation",
        {
            "scores.json": json.dumps(scores),
            "verdicts.json": json.dumps([v.to_dict() for v in found]),
            "latents.jsonl": lines(list(latents())),
        },
        inputs={"sae": of},
        config=config,
        slug=of.manifest["slug"],
        metrics={"explained_variance": explained},
    )


def _scores(
    name: str, explained: float, recovered: float, recovery: float, dead: float, weights: int, flops: float
):
    score = lambda metric, value, half, n, unit, chance=None: {
        "dictionary": name,
        "metric": metric,
        "value": value,
        "low": value - half,
        "high": value + half,
        "n": n,
        "unit": unit,
        "chance": chance,
    }
    yield score("explained_variance", explained, 0.012, 512, "documents", 0.0)
    yield score("l0", 31.87, 0.02, 512, "documents")
    yield score("dead", dead, 0.03 if dead else 0.0, LATENTS, "latents")
    yield score("dead_bound", 2e-4, 0, 15_000, "tokens")
    yield score("ce_recovered", recovered, 0.015, 128, "documents", 0.35)
    yield score("recovery_word", recovery, 0.01, 200, "concepts", 0.5)
    yield score("recovery_kind", recovery - 0.1, 0.02, 60, "concepts", 0.5)
    yield score("parameters", weights, 0, 15_000, "tokens")
    yield score("flops_per_token", flops, 0, 15_000, "tokens")


def latents():
    names = [row for row in concepts() if row["parents"]]
    for latent in range(LATENTS):
        row = {"latent": latent, "name": None, "auroc": None}
        if latent % 9:
            auroc = 0.98 - 0.006 * latent
            concept = names[(17 * latent) % len(names)]
            row |= {
                "name": concept["name"],
                "concept": concept["id"],
                "gloss": concept["gloss"],
                "as": "kind" if latent % 3 else "word",
                "auroc": auroc,
                "n": 40,
            }
            row |= {"low": auroc - 0.04, "high": min(1.0, auroc + 0.03)}
        yield row


def whole(outputs: Path) -> World:
    """Two variants, blank and taught, two seeds, evaluated; their encyclopedia and teacher."""
    world = World(outputs)
    world.publish("extract", "store", {"index.json": "{}"}, metrics={"rows": 300_000})
    book = encyclopedia(world)
    taught_by = teacher(world, book)
    for variant in ("topk", "hierarchical"):
        for taught in ("none", "encyclopedia"):
            for seed in (0, 1):
                evaluation(world, sae(world, variant, taught, seed, taught_by if taught != "none" else None))
    return world
