"""Concept vectors in the space they came from: what each writes, the metric that reads, who is above whom.

On disk: teacher.safetensors (write, metric, parents and, where known, center) and teacher.json (names,
source, site, what was left out).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, final

import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor

from hsae.errors import UserError
from hsae.journal import whole
from hsae.seeding import stream

TENSORS, CARD = "teacher.safetensors", "teacher.json"


@final
@dataclass(frozen=True)
class Patterns:
    """An activation of concept c is, on average, center + write[c]; read[c] = write[c] metric finds it there.

    `metric` is positive definite. `center` is None where only directions are known. `names` are ids of
    concepts, `left_out` counts the concepts that could not be estimated, by reason.
    """

    write: Float[Tensor, "concept d"]
    metric: Float[Tensor, "d d"]
    parents: Int[Tensor, " concept"]
    names: tuple[str, ...]
    center: Float[Tensor, " d"] | None
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def read(self) -> Float[Tensor, "concept d"]:
        """Filters: covectors, where patterns are vectors."""
        return self.write @ self.metric

    @property
    def whitened(self) -> Float[Tensor, "concept d"]:
        """Patterns in coordinates in which the metric is the identity: metric = L L^T, rows are write L."""
        return self.write @ torch.linalg.cholesky(self.metric)

    def save(self, folder: Path, **facts: Any) -> None:
        """Tensors, then the card with `facts` beside its own."""
        tensors = {"write": self.write, "metric": self.metric, "parents": self.parents}
        if self.center is not None:
            tensors["center"] = self.center
        with whole(folder / TENSORS) as draft:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, draft)
        with whole(folder / CARD) as draft:
            said = {"concepts": list(self.names), "left_out": dict(self.left_out), **facts}
            draft.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n")


def load(folder: Path) -> Patterns:
    """What `save` wrote. Raises UserError where there is nothing of the kind."""
    folder = Path(folder)
    if not (folder / CARD).is_file():
        raise UserError(f"there is no teacher in {folder}: it has no {CARD}.\nMake one with: hsae job=teach")
    said, tensors = json.loads((folder / CARD).read_text()), load_file(folder / TENSORS)
    center = tensors.pop("center", None)
    return Patterns(**tensors, names=tuple(said["concepts"]), center=center, left_out=said["left_out"])


def relative_shrinkage(covariance: Float[Tensor, "d d"], share: float) -> Float[Tensor, "d d"]:
    """(1 - share) S + share tr(S) / d I: an absolute ridge would mean another thing at every site."""
    d = len(covariance)
    ridge = covariance.diagonal().mean() * torch.eye(d, dtype=covariance.dtype)
    return (1 - share) * covariance + share * ridge


def controlled(patterns: Patterns, control: Literal["none", "shuffled", "rotated"], *, seed: int) -> Patterns:
    """The same vectors with what they mean taken away: what help remains is not the concepts'.

    shuffled: each concept gets another's vector. rotated: one random rotation of all of them in whitened
    coordinates, which keeps every angle between concepts and loses where they lie in the activations.
    """
    if control == "none":
        return patterns
    generator = stream(seed, f"teacher, {control}")
    if control == "shuffled":
        order = torch.randperm(len(patterns.write), generator=generator)
        return replace(patterns, write=patterns.write[order])
    d = patterns.write.shape[1]
    rotation = torch.linalg.qr(torch.randn(d, d, generator=generator)).Q
    half = torch.linalg.cholesky(patterns.metric)
    return replace(
        patterns,
        write=torch.linalg.solve_triangular(half, patterns.whitened @ rotation, upper=False, left=False),
    )
