"""All concept vectors of one site in one matrix, read through the spread within concepts (LDA).

    z   = (x - center) L           L L^T = S^-1, S the pooled covariance within concepts, shrunk
    w_c = (mean_c - center) L      = norm_c u_c, with u_c of unit length
    cosine        s_c = z / |z| . u_c
    discriminant  s_c = z . w_c - |w_c|^2 / 2     log odds of c against a concept at the center

Either is one product with a matrix [concept d] behind one map [d d] of the row. Source: Fisher 1936; Hastie,
Tibshirani & Friedman 2009, 4.3.

On disk: prototypes.safetensors (unit, norm, center and L's upper triangle), prototypes.json (model, site and
how they were made), concepts.txt.gz (the ids, a line each). A concept costs 2 d + 4 bytes in float16, d + 4
in int8, and its id.
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, final

import torch
from jaxtyping import Float, Shaped
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from hsae.errors import ConfigError, UserError
from hsae.journal import whole

TENSORS, CARD, IDS = "prototypes.safetensors", "prototypes.json", "concepts.txt.gz"

Dtype = Literal["float16", "float32", "int8"]
Score = Literal["cosine", "discriminant"]


@final
@dataclass(frozen=True)
class Prototypes:
    """Row c belongs to the concept `ids[c]`.

    `unit` is u in the dtype it rests in; an int8 row is u times a factor of its own, which its length tells.
    `whitener` is L, None for the identity. `left_out` counts concepts without a prototype, by reason.
    """

    ids: tuple[str, ...]
    unit: Shaped[Tensor, "concept d"]
    norm: Float[Tensor, " concept"]
    center: Float[Tensor, " d"]
    whitener: Float[Tensor, "d d"] | None
    kind: Score = "cosine"
    model: str = ""
    site: str = ""
    shrinkage: float = 0.0
    left_out: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        mean: Float[Tensor, "concept d"],
        within: Float[Tensor, "d d"] | None,
        *,
        ids: Sequence[str],
        shrinkage: float,
        dtype: Dtype = "float16",
        kind: Score = "cosine",
        model: str = "",
        site: str = "",
    ) -> "Prototypes":
        """Prototypes of concepts from their means and the covariance within them (None: plain, not whitened).

        A concept whose mean is unknown (NaN) or is the center itself is left out, and counted. `shrinkage` is
        the share of tr(S) / d I in S. Raises `UserError` where S has no inverse or no concept is left.
        """
        known = ~mean.isnan().any(1)
        if not known.any():
            raise UserError(
                f"none of {len(mean)} concepts has a mean at {site or 'the site'}.\n"
                "Bootstrap first: hsae job=bootstrap stage=templates"
            )
        center = mean[known].double().mean(0)
        whitener = None if within is None else _whitener(within.double(), shrinkage)
        vectors = mean.double() - center
        vectors = vectors if whitener is None else vectors @ whitener
        norm = vectors.norm(dim=1)
        fine = known & (norm > 0)
        reasons = {"without a mean": int((~known).sum()), "at the center": int((known & (norm == 0)).sum())}
        return cls(
            ids=tuple(id for id, kept in zip(ids, fine.tolist(), strict=True) if kept),
            unit=_encode(functional.normalize(vectors[fine]), dtype),
            norm=norm[fine].float(),
            center=center.float(),
            whitener=None if whitener is None else whitener.float(),
            kind=kind,
            model=model,
            site=site,
            shrinkage=shrinkage,
            left_out={why: n for why, n in reasons.items() if n},
        )

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def index(self) -> dict[str, int]:
        """Row of each concept."""
        return {id: row for row, id in enumerate(self.ids)}

    @property
    def d(self) -> int:
        """Width of the site."""
        return len(self.center)

    @property
    def dtype(self) -> Dtype:
        """What the rows rest in."""
        names: dict[torch.dtype, Dtype] = {torch.float16: "float16", torch.float32: "float32"}
        return names.get(self.unit.dtype, "int8")

    @property
    def compute(self) -> torch.dtype:
        """What products run in: half on a GPU; float32 on a CPU, which multiplies halves slowly."""
        return torch.float16 if self.unit.device.type == "cuda" else torch.float32

    @cached_property
    def rows(self) -> Float[Tensor, "concept d"]:
        """u, ready for products: decoded once."""
        return functional.normalize(self.unit.float()).to(self.compute)

    @cached_property
    def weights(self) -> Float[Tensor, "concept d"]:
        """What the product multiplies z (or z / |z|) by."""
        return self.rows if self.kind == "cosine" else self.rows * self.norm[:, None].to(self.compute)

    @cached_property
    def bias(self) -> Float[Tensor, " concept"]:
        """What the product adds."""
        return torch.zeros_like(self.norm) if self.kind == "cosine" else -self.norm.square() / 2

    def features(self, x: Float[Tensor, "row d"]) -> Float[Tensor, "row d"]:
        """z, of unit length if scores are cosines: all that depends on the row alone."""
        z = x.to(self.center) - self.center
        z = z if self.whitener is None else z @ self.whitener
        return functional.normalize(z) if self.kind == "cosine" else z

    def score(self, x: Float[Tensor, "row d"]) -> Float[Tensor, "row concept"]:
        """s of every row and concept, in one product."""
        bias = None if self.kind == "cosine" else self.bias.to(self.compute)
        return functional.linear(self.features(x).to(self.compute), self.weights, bias)

    def to(self, device: torch.device | str) -> "Prototypes":
        """The same on another device."""
        tensors = {name: getattr(self, name).to(device) for name in ("unit", "norm", "center")}
        whitener = None if self.whitener is None else self.whitener.to(device)
        return replace(self, **tensors, whitener=whitener)

    def rounded(self, dtype: Dtype) -> "Prototypes":
        """The same at rest in another precision."""
        return replace(self, unit=_encode(functional.normalize(self.unit.float()), dtype))

    def save(self, folder: Path) -> None:
        """Tensors and ids, then the card."""
        tensors = {"unit": self.unit, "norm": self.norm, "center": self.center}
        if self.whitener is not None:
            upper = torch.triu_indices(self.d, self.d)
            tensors["whitener"] = self.whitener.cpu()[upper[0], upper[1]]
        with whole(folder / TENSORS) as draft:
            save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, draft)
        with whole(folder / IDS) as draft:
            draft.write_bytes(gzip.compress("\n".join(self.ids).encode(), mtime=0))
        said = {name: getattr(self, name) for name in _SAID}
        with whole(folder / CARD) as draft:
            draft.write_text(json.dumps({"concepts": len(self), **said}, indent=1) + "\n")


_SAID = ("kind", "dtype", "model", "site", "shrinkage", "left_out")


def load(folder: Path, *, model: str | None = None) -> Prototypes:
    """What `save` wrote. Raises `UserError` where there is nothing, or prototypes of another model."""
    folder = Path(folder)
    if not (folder / CARD).is_file():
        raise UserError(f"there are no prototypes in {folder}: it has no {CARD}.")
    said = json.loads((folder / CARD).read_text())
    if model is not None and model != said["model"]:
        raise UserError(f"the prototypes in {folder} are of the model {said['model']}, not of {model}.")
    tensors = load_file(folder / TENSORS)
    packed = tensors.pop("whitener", None)
    facts: dict[str, Any] = {name: said[name] for name in _SAID if name != "dtype"}
    ids = gzip.decompress((folder / IDS).read_bytes()).decode().split("\n")
    return Prototypes(ids=tuple(ids), whitener=_unpacked(packed, len(tensors["center"])), **tensors, **facts)


def _unpacked(packed: Tensor | None, d: int) -> Tensor | None:
    if packed is None:
        return None
    upper = torch.triu_indices(d, d)
    whitener = torch.zeros(d, d)
    whitener[upper[0], upper[1]] = packed
    return whitener


def _whitener(within: Float[Tensor, "d d"], shrinkage: float) -> Float[Tensor, "d d"]:
    """L for S = (1 - shrinkage) S_within + shrinkage tr(S_within) / d I."""
    if not 0 <= shrinkage <= 1:
        raise ConfigError(f"shrinkage is a share between 0 and 1, not {shrinkage}.")
    one = torch.eye(len(within), dtype=within.dtype, device=within.device)
    spread = (1 - shrinkage) * within + shrinkage * within.diagonal().mean() * one
    root, failed = torch.linalg.cholesky_ex(spread)
    if failed:
        raise UserError(
            f"the covariance within concepts has no inverse at shrinkage {shrinkage:g}: there are too few "
            "contexts for its width.\nRaise the shrinkage (0.1, say), or give the concepts more contexts."
        )
    # S = R R^T, so L = R^-T: upper triangular, half the bytes on disk
    return torch.linalg.solve_triangular(root, one, upper=False).T.contiguous()


def _encode(unit: Float[Tensor, "concept d"], dtype: Dtype) -> Shaped[Tensor, "concept d"]:
    if dtype != "int8":
        return unit.to(getattr(torch, dtype))
    return (unit * (127 / unit.abs().amax(1, keepdim=True))).round().to(torch.int8)
