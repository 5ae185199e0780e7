"""A world whose concepts are known: families of vectors, activations that are sums of them, a teacher."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from hsae import build
from hsae.sae.teacher import Teacher
from hsae.seeding import stream

D, FAMILIES, CHILDREN, LOUD = 32, 6, 3, 20.0
CONF = Path(__file__).parents[1] / "conf" / "sae"
VARIANTS = sorted(path.stem for path in CONF.glob("*.yaml"))


class World(NamedTuple):
    """Concept rows: the families' parents, then the children of the first, of the second, ..."""

    patterns: Tensor  # [concept d], what each concept adds: a child's is its parent's and its own increment
    parents: Tensor  # [concept]
    center: Tensor  # [d]

    def activations(self, rows: int, *, seed: int, noise: float = 0.05) -> Tensor:
        """Each row holds one child of each of two families, louder or softer, upon the center."""
        g = stream(seed, "toy activations")
        families = torch.rand(rows, FAMILIES, generator=g).topk(2).indices
        child = torch.randint(CHILDREN, (rows, 2), generator=g)
        loudness = 0.5 + torch.rand(rows, 2, generator=g)
        chosen = self.patterns[FAMILIES + families * CHILDREN + child]
        clean = (loudness[..., None] * chosen).sum(1)
        return self.center + clean + noise * torch.randn(rows, D, generator=g)

    def teacher(self) -> Teacher:
        """Filters are not patterns: they look away from some directions, as they would from noise there."""
        names = tuple(f"concept {row}" for row in range(len(self.patterns)))
        noisy = torch.randn(D, 6, generator=stream(0, "noisy directions"))
        metric = torch.linalg.inv(torch.eye(D) + noisy @ noisy.T / D)
        return Teacher(self.patterns @ metric, self.patterns, self.parents, names, self.center)


def world(seed: int = 0) -> World:
    """Parents of length 3 and increments of length 2, all at right angles."""
    count = FAMILIES * (1 + CHILDREN)
    axes = torch.linalg.qr(torch.randn(D, count, generator=stream(seed, "toy world"))).Q.T
    tops, increments = 3 * axes[:FAMILIES], 2 * axes[FAMILIES:]
    children = tops.repeat_interleave(CHILDREN, 0) + increments
    parents = torch.cat([torch.full((FAMILIES,), -1), torch.arange(FAMILIES).repeat_interleave(CHILDREN)])
    center = normalize(torch.randn(D, generator=stream(seed, "toy center")), dim=0)
    return World(torch.cat([tops, children]), parents, center)


@cache
def _settings(variant: str, overrides: tuple[str, ...]):
    small = ["sae.latents=48", "sae.k=4", "sae.taught=1.0"]
    small += ["sae.children=3", "sae.subspace=3"] if variant == "hierarchical" else []
    return build.plugin("sae", build.compose([f"sae={variant}", *small, *overrides]).sae)


def make(variant: str, *overrides: str, teacher: Teacher | None = None, seed: int = 0, d: int = D):
    """An SAE by the name of its YAML, as the command line builds it: 48 latents of which 4 fire."""
    module, settings = _settings(variant, overrides)
    return module.build(settings, d=d, teacher=teacher, seed=seed), settings


def toy_store(folder: Path, site: str, splits: tuple[int, int, int] = (1000, 150, 50)) -> Path:
    """A store of toy activations at one site, LOUD times as long as the toy's, ten rows to a document."""
    from worlds_store import shard, store

    rows = LOUD * world().activations(sum(splits), seed=5)
    code = [number for number, count in enumerate(splits) for _ in range(count)]
    store(folder, [shard({site: rows}, split=code)])
    return folder
