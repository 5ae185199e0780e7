"""What each concept's score is on tokens that are not of it: the null that a p-value is against.

    z_rc = (s_rc - mean_c) / std_c          mean and std of c's own null scores
    p(z) = (1 + scores with z' >= z) / (1 + scores)         over all rows r and concepts c of the background

So location and scale are each concept's own and the shape of the upper tail is shared: 50,000 concepts tested
at once need p below 1e-6, more than the rows of any background could show for a single concept. p is never
below 1 / (1 + scores), and z is read off a grid of 1/256 towards the larger p. Source: Phipson & Smyth 2010;
Efron 2004 (pooled nulls).

Scores are affine in the row, so mean and std follow from the background's mean [d] and covariance [d d]: the
product over all concepts is only made for the tail.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from hsae.encyclopedia.queries.prototypes import Prototypes
from hsae.encyclopedia.statistics import Moments
from hsae.errors import UserError
from hsae.journal import whole

TENSORS, CARD = "nulls.safetensors", "nulls.json"

LOW, HIGH, STEP = -16.0, 64.0, 1 / 256
BINS = int((HIGH - LOW) / STEP)

MOST = 2**24
"""Scores at once: 64 MB in float32. Above it, float32 would not count a bin of a histogram exactly."""

FEWEST = 30
"""Null scores of a concept below which its std says too little (off by a seventh at thirty)."""


@final
class Background(NamedTuple):
    """Rows, and for each the row of the concept that it is known to be of, -1 where none is known."""

    x: Float[Tensor, "row d"]
    own: Int[Tensor, " row"]


@final
@dataclass(frozen=True)
class Nulls:
    """`tail[b]` counts the null scores, all concepts together, in the b-th bin of z between LOW and HIGH."""

    mean: Float[Tensor, " concept"]
    std: Float[Tensor, " concept"]
    tail: Int[Tensor, " bin"]
    rows: int

    @property
    def scores(self) -> int:
        """How many null scores the tail rests on; they share rows, so they are not independent."""
        return int(self.tail.sum())

    def p(self, z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The share of null scores at least as large as z, in float64."""
        above = self.tail.double().flip(0).cumsum(0).flip(0)
        survival = (1 + above) / (1 + above[0])
        return survival[_bin(z.to(self.tail.device))]

    def to(self, device: torch.device | str) -> "Nulls":
        """The same on another device."""
        return Nulls(self.mean.to(device), self.std.to(device), self.tail.to(device), self.rows)

    def save(self, folder: Path) -> None:
        """Beside the prototypes they are of."""
        with whole(folder / TENSORS) as draft:
            save_file({"mean": self.mean.cpu(), "std": self.std.cpu(), "tail": self.tail.cpu()}, draft)
        with whole(folder / CARD) as draft:
            draft.write_text(json.dumps({"rows": self.rows, "scores": self.scores}) + "\n")


def load(folder: Path) -> Nulls:
    """What `save` wrote. Raises `UserError` where there is nothing of the kind."""
    if not (Path(folder) / CARD).is_file():
        raise UserError(f"there are no nulls in {folder}: it has no {CARD}.")
    said = json.loads((Path(folder) / CARD).read_text())
    return Nulls(**load_file(Path(folder) / TENSORS), rows=said["rows"])


def fit(prototypes: Prototypes, background: Callable[[], Iterable[Background]]) -> Nulls:
    """The nulls of all concepts from a background that can be gone through twice.

    A row that is known to be of a concept does not enter that concept's null; where nothing is known, a
    concept's own tokens stay in, and p can only be too large. Memory: one block of scores and [d d]. Raises
    `UserError` for a concept with fewer than FEWEST null scores or none that differ.
    """
    mean, std, rows = _moments(prototypes, background())
    weights, bias = standardised(prototypes, mean, std)
    tail = torch.zeros(BINS, dtype=torch.int64, device=mean.device)
    seen = 0
    for x, own in _blocks(background(), len(prototypes)):
        z = functional.linear(prototypes.features(x).to(weights), weights, bias).float()
        labelled = torch.nonzero(own >= 0).squeeze(1)
        z[labelled.to(z.device), own[labelled].to(z.device)] = LOW
        tail += torch.histc(z.clamp(LOW, HIGH - STEP / 2), BINS, LOW, HIGH).long()
        tail[0] -= len(labelled)
        seen += len(x)
    if seen != rows:
        raise ValueError(f"the background gave {rows} rows, then {seen}: it must be the same twice")
    return Nulls(mean.float(), std.float(), tail, rows)


def standardised(
    prototypes: Prototypes, mean: Float[Tensor, " concept"], std: Float[Tensor, " concept"]
) -> tuple[Float[Tensor, "concept d"], Float[Tensor, " concept"]]:
    """Weights and bias whose product with a row's features is z, not s: standardising costs nothing a row."""
    scale = std.to(torch.float32)
    weights = (prototypes.weights.float() / scale[:, None]).to(prototypes.compute)
    return weights, ((prototypes.bias - mean.to(torch.float32)) / scale).to(prototypes.compute)


def _moments(
    prototypes: Prototypes, background: Iterable[Background]
) -> tuple[Float[Tensor, " concept"], Float[Tensor, " concept"], int]:
    """Mean and std of each concept's null scores in float64, and the number of rows."""
    n, center, scatter = 0, torch.zeros(0), torch.zeros(0)
    own_scores = _none(len(prototypes))
    for x, own in background:
        features = prototypes.features(x).double()
        n, center, scatter = _merged((n, center, scatter), features)
        own_scores = own_scores.merge(_own(prototypes, features, own))
    if n == 0:
        raise UserError("the background has no rows: the nulls need a corpus of some thousand tokens.")
    mean, m2 = _affine(prototypes, center, scatter)
    return _without(mean, m2, n, own_scores)


def _merged(
    known: tuple[int, Tensor, Tensor], rows: Float[Tensor, "row d"]
) -> tuple[int, Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """Count, mean and scatter of what was known and the rows together (Chan, Golub & LeVeque 1979)."""
    n, mean, scatter = known
    new = rows.mean(0)
    deviation = rows - new
    if n == 0:
        return len(rows), new, deviation.T @ deviation
    total, delta = n + len(rows), new - mean
    scatter = scatter + deviation.T @ deviation + torch.outer(delta, delta) * (n * len(rows) / total)
    return total, mean + delta * (len(rows) / total), scatter


def _affine(
    prototypes: Prototypes, center: Float[Tensor, " d"], scatter: Float[Tensor, "d d"]
) -> tuple[Float[Tensor, " concept"], Float[Tensor, " concept"]]:
    """Mean and sum of squared deviations of every concept's score, from those of the features."""
    mean, m2 = [], []
    for some in prototypes.weights.split(4096):
        wide = some.double()
        mean.append(wide @ center)
        m2.append(((wide @ scatter) * wide).sum(1))
    return torch.cat(mean) + prototypes.bias.double(), torch.cat(m2)


def _own(prototypes: Prototypes, features: Float[Tensor, "row d"], own: Int[Tensor, " row"]) -> Moments:
    """Statistics of the scores of rows with the concept that they are of: those that are no null scores."""
    own = own.to(features.device)
    row = torch.nonzero(own >= 0).squeeze(1)
    concept = own[row]
    scores = (features[row] * prototypes.weights[concept].double()).sum(1) + prototypes.bias[concept].double()
    return Moments.of(scores[:, None].cpu().numpy(), concept.cpu().numpy(), groups=len(prototypes))


def _none(concepts: int) -> Moments:
    return Moments(np.zeros(concepts, dtype=np.int64), np.zeros((concepts, 1)), np.zeros((concepts, 1)))


def _without(
    mean: Float[Tensor, " concept"], m2: Float[Tensor, " concept"], n: int, own: Moments
) -> tuple[Float[Tensor, " concept"], Float[Tensor, " concept"], int]:
    """The merge of statistics undone: what is left when each concept's own rows are taken out."""
    taken, own_mean, own_m2 = (
        torch.from_numpy(part).double().to(mean) for part in (own.count, own.mean[:, 0], own.m2[:, 0])
    )
    left = n - taken
    if (left < FEWEST).any():
        raise UserError(
            f"a concept has {int(left.min())} null scores, which is fewer than {FEWEST}: its spread would be "
            "a guess.\nTake a larger background."
        )
    rest = (n * mean - taken * own_mean) / left
    m2 = m2 - own_m2 - (own_mean - rest).square() * (taken * left / n)
    std = (m2 / (left - 1)).clamp(min=0).sqrt()
    if not (std > 0).all():
        raise UserError(
            f"{int((std == 0).sum())} concepts score the same on every token of the background.\n"
            "Take a background of different texts."
        )
    return rest, std, n


def _blocks(background: Iterable[Background], concepts: int) -> Iterator[Background]:
    """The same rows, few enough at once that a block of scores stays small."""
    size = max(1, MOST // concepts)
    for x, own in background:
        for start in range(0, len(x), size):
            yield Background(x[start : start + size], own[start : start + size])


def _bin(z: Float[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    return ((z.double() - LOW) / STEP).floor().clamp(0, BINS - 1).long()
