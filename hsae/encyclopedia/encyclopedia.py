"""An encyclopedia on disk: for every concept the statistics of its activations, and so its vector.

    shard-00000.h5     a block of concepts: count int64 [concept role]; sites/<site>/mean and m2 float32
                       [concept role d]; sites/<site>/scatter float64 [d d] of the role `fit`
    concepts.jsonl     the taxonomy, so that nobody who reads the encyclopedia needs its source
    uncertain.jsonl    the concepts, least certain first
    encyclopedia.json  sites and widths, roles, the model, and what each stage added
    journal.jsonl      a line per finished shard

Means and m2 rest in float32: rounding them is 6e-8 of their size, a thousandth of the standard error that
even 10,000 contexts would leave; sums and merges run in float64. A scatter is a sum over blocks, so it keeps
float64.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, final

import h5py
import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from hsae.concepts import Concept, Taxonomy
from hsae.encyclopedia.statistics import ROLES, Moments, Statistics, role_of
from hsae.errors import UserError
from hsae.journal import whole

INDEX = "encyclopedia.json"
CONCEPTS = "concepts.jsonl"

Role = Literal["fit", "tune", "test", "all"]


@final
class Encyclopedia:
    """Reads a finished encyclopedia. Rows are the concepts of `taxonomy`, in its order.

    `model` is the fingerprint of the LM that is meant; an encyclopedia of another is refused.
    """

    def __init__(self, folder: Path, *, model: str | None = None):
        self.folder = Path(folder)
        if not (self.folder / INDEX).is_file():
            raise UserError(
                f"{folder} is no finished encyclopedia: it has no {INDEX}.\nMake one with: hsae job=bootstrap"
            )
        self._index: dict[str, Any] = json.loads((self.folder / INDEX).read_text())
        self.model: str = self._index["model"]
        if model is not None and model != self.model:
            raise UserError(
                f"the encyclopedia {folder} is of the model {self.model}, not of {model}.\n"
                "Bootstrap again with the model that is meant, or name the encyclopedia's own."
            )
        self.sites: list[str] = list(self._index["sites"])
        self.stages: list[dict[str, Any]] = self._index["stages"]
        self._loaded: dict[str, np.ndarray] = {}

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The concepts and what stands above what."""
        return read_taxonomy(self.folder / CONCEPTS)

    def d(self, site: str) -> int:
        """Width of the site."""
        self._check(site)
        return self._index["sites"][site]

    def count(self, site: str, *, role: Role = "fit") -> Int[Tensor, " concept"]:
        """How many contexts each concept's statistics rest on."""
        return torch.from_numpy(self._moments(site, role).count)

    def mean(self, site: str, *, role: Role = "fit") -> Float[Tensor, "concept d"]:
        """The mean over each concept's contexts of one role, float32; NaN where there is none.

        `fit` is for whatever is fitted; `tune` and `test` hold other templates; `all` is all three together.
        """
        moments = self._moments(site, role)
        mean = torch.from_numpy(moments.mean).float()
        return mean.masked_fill(torch.from_numpy(moments.count == 0)[:, None], float("nan"))

    def variance(self, site: str, *, role: Role = "fit") -> Float[Tensor, "concept d"]:
        """The variance of each unit over a concept's contexts, m2 / (n - 1); NaN below two contexts."""
        moments = self._moments(site, role)
        n = torch.from_numpy(moments.count)[:, None]
        variance = torch.from_numpy(moments.m2) / (n - 1)
        return variance.float().masked_fill(n < 2, float("nan"))

    def vectors(self, site: str, *, role: Role = "fit") -> Float[Tensor, "concept d"]:
        """Concept vectors: means from which the average over all concepts is taken away.

        Raises `UserError` where a concept has no context in the role: a vector of zeros would be an
        invention.
        """
        mean = self.mean(site, role=role)
        if (lacking := mean.isnan().any(1)).any():
            first = self.taxonomy.concepts[int(lacking.nonzero()[0])].id
            raise UserError(
                f"{int(lacking.sum())} of {len(mean)} concepts have no context of the role {role!r}, "
                f"such as {first}.\n"
                "Run a stage with more templates (stage=templates), or choose another role."
            )
        return mean - mean.mean(0)

    def covariance(self, site: str) -> Float64[Tensor, "d d"]:
        """Covariance within concepts, pooled: sum over concepts and contexts of (x - mean)(x - mean)^T / (n -
        concepts).

        Over contexts of the role `fit`, for estimators that whiten by it (LDA). Raises `UserError` where no
        concept has two.
        """
        self._check(site)
        n = self.count(site)
        freedom = int((n - 1).clamp(min=0).sum())
        if freedom == 0:
            raise UserError(
                "no concept has two contexts to fit by: their spread is unknown.\nRun stage=templates."
            )
        total = sum(self._read(shard, f"sites/{site}/scatter") for shard in self._index["shards"])
        return torch.from_numpy(total / freedom)

    def relative_error(self, site: str) -> Float[Tensor, " concept"]:
        """Standard error of a concept's mean, relative to how far it lies from the average concept; NaN below
        n = 2.

            e = sqrt(sum over units of variance / n) / |mean - average of the means|

        1 says that the vector is as uncertain as it is long; reliability is about 1 / (1 + e^2).
        """
        n = self.count(site)
        vectors = self.mean(site)
        vectors = vectors - vectors[n > 0].mean(0)
        return (self.variance(site).sum(1) / n).sqrt() / vectors.norm(dim=1)

    @property
    def block_size(self) -> int:
        """Concepts in one shard."""
        return self._index["block"]

    def block(self, number: int) -> dict[str, Statistics]:
        """What one shard knows, by site, for a stage that adds to it."""
        return {site: self._statistics(self._index["shards"][number], site) for site in self.sites}

    def _statistics(self, shard: str, site: str) -> Statistics:
        count = self._read(shard, "count").reshape(-1)
        mean, m2 = (self._read(shard, f"sites/{site}/{name}").astype(np.float64) for name in ("mean", "m2"))
        moments = Moments(count, mean.reshape(len(count), -1), m2.reshape(len(count), -1))
        return Statistics(moments, self._read(shard, f"sites/{site}/scatter"))

    def _moments(self, site: str, role: Role) -> Moments:
        """Of all concepts, in one role or all together."""
        self._check(site)
        if role not in (*ROLES, "all"):
            raise UserError(f"there is no role {role!r}; there are {', '.join(ROLES)} and all.")
        count = self._whole("count").reshape(-1)
        mean, m2 = (self._whole(f"sites/{site}/{name}").reshape(len(count), -1) for name in ("mean", "m2"))
        both = Moments(count, mean.astype(np.float64), m2.astype(np.float64))
        if role != "all":
            return role_of(both, role)
        fit, tune, test = (role_of(both, each) for each in ROLES)
        return fit.merge(tune).merge(test)

    def _whole(self, name: str) -> np.ndarray:
        if name not in self._loaded:
            self._loaded[name] = np.concatenate([self._read(shard, name) for shard in self._index["shards"]])
        return self._loaded[name]

    def _read(self, shard: str, name: str) -> np.ndarray:
        try:
            with h5py.File(self.folder / shard, "r") as file:
                return file[name][()]  # type: ignore[index]  h5py knows groups and datasets apart only when it runs
        except OSError as problem:
            raise UserError(
                f"{self.folder / shard} cannot be read: {problem}\nBootstrap again: force=true"
            ) from None

    def _check(self, site: str) -> None:
        if site not in self.sites:
            raise UserError(
                f"the encyclopedia {self.folder} has no site {site!r}, only {', '.join(self.sites)}.\n"
                f"Bootstrap it too: layers.sites=[{','.join([*self.sites, site])}]"
            )


def load(folder: Path) -> Encyclopedia:
    """The encyclopedia in a result folder of `job=bootstrap`."""
    return Encyclopedia(folder)


def write_taxonomy(taxonomy: Taxonomy, path: Path) -> None:
    """One concept per line, in the taxonomy's order."""
    with whole(path) as draft:
        draft.write_text(
            "".join(json.dumps(asdict(concept), ensure_ascii=False) + "\n" for concept in taxonomy)
        )


def read_taxonomy(path: Path) -> Taxonomy:
    """What `write_taxonomy` wrote."""
    lines = (json.loads(line) for line in path.read_text().splitlines())
    return Taxonomy(Concept(**{key: _frozen(value) for key, value in line.items()}) for line in lines)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def write_uncertain(encyclopedia: Encyclopedia, path: Path) -> None:
    """The concepts by the relative error of their mean at their worst site, unknown ones first.

    A line holds rank, id, name, n, and the error at each site (null where fewer than two contexts leave it
    unknown).
    """
    errors = torch.stack([encyclopedia.relative_error(site) for site in encyclopedia.sites], 1)
    worst = errors.nan_to_num(nan=torch.inf).amax(1).tolist()
    count = encyclopedia.count(encyclopedia.sites[0]).tolist()
    order = sorted(range(len(worst)), key=lambda row: -worst[row])
    with whole(path) as draft:
        draft.write_text(
            "".join(
                _line(encyclopedia, rank, row, count[row], errors[row].tolist())
                for rank, row in enumerate(order)
            )
        )


def _line(encyclopedia: Encyclopedia, rank: int, row: int, n: int, errors: Sequence[float]) -> str:
    concept = encyclopedia.taxonomy.concepts[row]
    known = {
        site: round(e, 6) if e == e else None for site, e in zip(encyclopedia.sites, errors, strict=True)
    }
    return json.dumps({"rank": rank, "id": concept.id, "name": concept.name, "n": n, "error": known}) + "\n"
