"""An encyclopedia on disk: for every concept the statistics of its activations, and so its vector.

shard-00000.h5     a block of concepts, see `hsae.encyclopedia.block`
concepts.jsonl     the taxonomy, so that nobody who reads the encyclopedia needs its source
uncertain.jsonl    the concepts, least certain first
encyclopedia.json  sites and widths, poolings, roles, the model, and what each stage added
journal.jsonl      a line per finished shard
controls/          the same of strings that are no concepts, read in the same contexts
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, final

import h5py
import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int, Int64
from torch import Tensor

from hsae.concepts import Concept, Taxonomy
from hsae.encyclopedia.block import Block, Sample, aligned, read_moments
from hsae.encyclopedia.contexts_table import COLUMNS, ContextTable
from hsae.encyclopedia.statistics import ROLES, Moments, nothing, role_of
from hsae.errors import UserError
from hsae.journal import whole

INDEX = "encyclopedia.json"
CONCEPTS = "concepts.jsonl"
CONTROLS = "controls"

Role = Literal["fit", "tune", "test", "all"]


@final
class RawRows(NamedTuple):
    """A sample of raw rows at one site, with what each is of."""

    x: Float32[np.ndarray, "row d"]
    concept: Int64[np.ndarray, " row"]
    template: Int64[np.ndarray, " row"]
    """Places in the encyclopedia's `templates`."""
    source: Int64[np.ndarray, " row"]
    """Places in its `sources`."""


@final
class Encyclopedia:
    """Reads an encyclopedia. Rows are the concepts of `taxonomy`, in its order.

    `model` is the fingerprint of the LM that is meant; an encyclopedia of another is refused. `shards` are
    the files of its blocks where they are not the index's: those of a stage that is under way.
    """

    def __init__(self, folder: Path, *, model: str | None = None, shards: Sequence[Path] | None = None):
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
        self.poolings: list[str] = self._index["poolings"]
        self.stages: list[dict[str, Any]] = self._index["stages"]
        self.shards = list(shards or (self.folder / name for name in self._index["shards"]))
        self.checksums: dict[str, str] = self._index.get("checksums", {})
        """Of each of its own shards, as `hsae.journal.checksum` gives it; of old ones, none."""
        self.sample: int = self._index["sample"]
        """Raw rows of each concept and role that are kept, at most."""

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The concepts and what stands above what."""
        return read_taxonomy(self.folder / CONCEPTS)

    @property
    def controls(self) -> "Encyclopedia | None":
        """The same of strings that are no concepts; None where none were read."""
        folder = self.folder / CONTROLS
        return Encyclopedia(folder, model=self.model) if (folder / INDEX).is_file() else None

    def d(self, site: str) -> int:
        """Width of the site."""
        self._check(site)
        return self._index["sites"][site]

    def count(self, *, role: Role = "fit") -> Int[Tensor, " concept"]:
        """How many contexts each concept's statistics rest on."""
        count = self._counts
        return torch.from_numpy(count.sum(1) if role == "all" else count[:, ROLES.index(_known(role))])

    def mean(
        self, site: str, *, role: Role = "fit", pooling: str | None = None
    ) -> Float[Tensor, "concept d"]:
        """The mean over each concept's contexts of one role, float32; NaN where there is none.

        `fit` is for whatever is fitted; `tune` and `test` hold other templates; `all` is all three together.
        `pooling` is the encyclopedia's first, where none is named.
        """
        mean, _ = self._moments(site, role, pooling)
        return torch.from_numpy(mean).float().masked_fill(self.count(role=role)[:, None] == 0, float("nan"))

    def variance(
        self, site: str, *, role: Role = "fit", pooling: str | None = None
    ) -> Float[Tensor, "concept d"]:
        """The variance of each unit over a concept's contexts, m2 / (n - 1); NaN below two contexts."""
        _, m2 = self._moments(site, role, pooling)
        n = self.count(role=role)[:, None]
        return (torch.from_numpy(m2) / (n - 1)).float().masked_fill(n < 2, float("nan"))

    def vectors(
        self, site: str, *, role: Role = "fit", pooling: str | None = None
    ) -> Float[Tensor, "concept d"]:
        """Concept vectors: means from which the average over all concepts is taken away.

        Raises `UserError` where a concept has no context in the role: a vector of zeros would be an
        invention.
        """
        mean = self.mean(site, role=role, pooling=pooling)
        if (lacking := mean.isnan().any(1)).any():
            first = self.taxonomy.concepts[int(lacking.nonzero()[0])].id
            raise UserError(
                f"{int(lacking.sum())} of {len(mean)} concepts have no context of the role {role!r}, "
                f"such as {first}.\n"
                "Run a stage with more templates (stage=templates), or choose another role."
            )
        return mean - mean.mean(0)

    def covariance(self, site: str, *, pooling: str | None = None) -> Float64[Tensor, "d d"]:
        """Covariance within concepts, pooled: sum over concepts and contexts of (x - mean)(x - mean)^T / (n -
        concepts).

        Over contexts of the role `fit`, for estimators that whiten by it (LDA). Raises `UserError` where no
        concept has two.
        """
        freedom = int((self.count() - 1).clamp(min=0).sum())
        if freedom == 0:
            raise UserError(
                "no concept has two contexts to fit by: their spread is unknown.\nRun stage=templates."
            )
        scatters = (node["scatter"][()] for node in self._nodes(site, pooling))
        return torch.from_numpy(sum(scatters) / freedom)

    def relative_error(self, site: str, *, pooling: str | None = None) -> Float[Tensor, " concept"]:
        """Standard error of a concept's mean, relative to how far it lies from the average concept; NaN below
        n = 2.

            e = sqrt(sum over units of variance / n) / |mean - average of the means|

        1 says that the vector is as uncertain as it is long; reliability is about 1 / (1 + e^2).
        """
        return self.relative_errors([site], pooling=pooling)[:, 0]

    def relative_errors(
        self, sites: Sequence[str], *, pooling: str | None = None
    ) -> Float[Tensor, "concept site"]:
        """The same at several sites. In memory are the vectors of one shard, however many concepts there
        are."""
        for site in sites:
            self._check(site, pooling)
        n = self._counts[:, ROLES.index("fit")]
        squares = np.full((len(n), len(sites)), np.nan)
        totals: list[Any] = [0.0] * len(sites)
        for here, number, node in self._by_shard(sites, pooling):
            totals[number] = totals[number] + _fit(node, "mean").sum(0)
            squares[here, number] = _fit(node, "m2").sum(1)
        length = np.full_like(squares, np.nan)
        for here, number, node in self._by_shard(sites, pooling):
            center = totals[number] / (n > 0).sum()
            length[here, number] = np.linalg.norm(_fit(node, "mean") - center, axis=1)
        length[length == 0] = np.nan  # a concept by itself is its own centre: no share of nothing
        error = np.sqrt(squares / np.maximum(n * (n - 1), 1)[:, None]) / length
        return torch.from_numpy(np.where(n[:, None] > 1, error, np.nan)).float()

    def _by_shard(self, sites: Sequence[str], pooling: str | None) -> Iterator[tuple[slice, int, Any]]:
        """The rows of each shard, and its group of each site by the site's number."""
        start = 0
        for path in self.shards:
            with self._file(path) as file:
                here = slice(start, start + len(file["rows"]))
                for number, site in enumerate(sites):
                    yield here, number, file[f"sites/{site}/{pooling or self.poolings[0]}"]
            start = here.stop

    def rows(self, site: str, *, role: Role = "fit", pooling: str | None = None) -> RawRows:
        """The sample of raw rows of one role, in half precision, concept after concept; more contexts than
        `sample` of one concept are represented by some of them."""
        parts = [self._sampled(node, file, role) for node, file in self._opened(site, pooling)]
        return RawRows(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _sampled(self, node: Any, file: Any, role: Role) -> RawRows:
        """The sample of one shard."""
        sample = Sample(*(node[f"sample/{name}"][()] for name in Sample._fields))
        of = {name: file[f"contexts/{name}"][()][sample.context] for name in COLUMNS}
        chosen = slice(None) if role == "all" else of["role"] == ROLES.index(_known(role))
        named = []
        for kind, names in (("template", self.templates), ("source", self.sources)):
            own = [name.decode() for name in file[f"contexts/names/{kind}"][()]]
            named.append(np.searchsorted(names, own)[of[kind][chosen]] if own else of[kind][chosen])
        concept = file["rows"][()][of["concept"][chosen]]
        x = Sample(*(column[chosen] for column in sample)).x
        return RawRows(x, concept, *(part.astype(np.int64) for part in named))

    def effects(
        self, site: str, *, pooling: str | None = None
    ) -> tuple[Int64[np.ndarray, " template"], Float64[np.ndarray, "template d"]]:
        """How many contexts each of `templates` gave, of all concepts and roles, and the mean of their
        vectors."""
        total = nothing(len(self.templates), self.d(site))
        for node, file in self._opened(site, pooling):
            own = [name.decode() for name in file["contexts/names/template"][()]]
            mean = node["effects/mean"][()].astype(np.float64)
            part = Moments(node["effects/count"][()], mean, np.zeros_like(mean))
            total = total.merge(aligned(part, own, self.templates))
        return total.count, total.mean

    @cached_property
    def templates(self) -> tuple[str, ...]:
        """The names of all templates, sorted."""
        return self._names("template")

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The names of all sources of contexts, sorted."""
        return self._names("source")

    def mean_tokens(self) -> Float64[np.ndarray, " concept"]:
        """Tokens of a context of each concept, on average; that of all contexts where it has none."""
        tokens, count = [], []
        for path in self.shards:
            with self._file(path) as file:
                concept, concepts = file["contexts/concept"][()], len(file["rows"])
                tokens.append(np.bincount(concept, weights=file["contexts/tokens"][()], minlength=concepts))
                count.append(np.bincount(concept, minlength=concepts))
        total, n = np.concatenate(tokens), np.concatenate(count)
        return np.where(n > 0, total / np.maximum(n, 1), total.sum() / max(1, n.sum()))

    @property
    def block_size(self) -> int:
        """Concepts in one shard."""
        return self._index["block"]

    def block(self, number: int) -> Block:
        """All that one shard knows, for a stage that adds to it."""
        with self._file(self.shards[number]) as file:
            return Block.read(file)

    def table(self, number: int) -> ContextTable:
        """The contexts that the concepts of one shard were read in."""
        with self._file(self.shards[number]) as file:
            return ContextTable.read(file["contexts"])

    def columns(self, number: int) -> tuple[dict[str, np.ndarray], int]:
        """The numbers of that table without the texts, and how many concepts the shard has."""
        with self._file(self.shards[number]) as file:
            return {name: file[f"contexts/{name}"][()] for name in COLUMNS}, len(file["rows"])

    def by_source(self, stage: int) -> dict[str, int]:
        """How many contexts of each source the stage of this number added."""
        found: Counter[str] = Counter()
        for path in self.shards:
            with self._file(path) as file:
                names = [name.decode() for name in file["contexts/names/source"][()]]
                added = file["contexts/source"][()][file["contexts/stage"][()] == stage]
                found.update(dict(zip(names, np.bincount(added, minlength=len(names)).tolist(), strict=True)))
        return dict(sorted(found.items()))

    @cached_property
    def _counts(self) -> Int64[np.ndarray, "concept role"]:
        found = []
        for path in self.shards:
            with self._file(path) as file:
                found.append(file["count"][()])
        return np.concatenate(found)

    def _names(self, kind: str) -> tuple[str, ...]:
        found: set[bytes] = set()
        for path in self.shards:
            with self._file(path) as file:
                found |= set(file[f"contexts/names/{kind}"][()].tolist())
        return tuple(sorted(name.decode() for name in found))

    def _moments(
        self, site: str, role: Role, pooling: str | None
    ) -> tuple[Float64[np.ndarray, "concept d"], Float64[np.ndarray, "concept d"]]:
        """Means and m2 of all concepts, in one role or all together."""
        parts = []
        for node, file in self._opened(site, pooling):
            moments = read_moments(node, file["count"][()])
            roles = ROLES if role == "all" else (_known(role),)
            merged = role_of(moments, roles[0])
            for other in roles[1:]:
                merged = merged.merge(role_of(moments, other))
            parts.append((merged.mean, merged.m2))
        mean, m2 = (np.concatenate(column) for column in zip(*parts, strict=True))
        return mean, m2

    def _opened(self, site: str, pooling: str | None) -> Iterator[tuple[Any, Any]]:
        """Of each shard, the group of the site and pooling, and the file."""
        self._check(site, pooling)
        for path in self.shards:
            with self._file(path) as file:
                yield file[f"sites/{site}/{pooling or self.poolings[0]}"], file

    def _nodes(self, site: str, pooling: str | None) -> Iterator[Any]:
        return (node for node, _ in self._opened(site, pooling))

    @contextmanager
    def _file(self, path: Path) -> Iterator[Any]:
        """The shard. Raises `UserError` where it is damaged."""
        try:
            with h5py.File(path, "r") as file:
                yield file
        except (OSError, KeyError) as problem:
            raise UserError(f"{path} cannot be read: {problem}\nBootstrap again: force=true") from problem

    def _check(self, site: str, pooling: str | None = None) -> None:
        if site not in self.sites:
            raise UserError(
                f"the encyclopedia {self.folder} has no site {site!r}, only {', '.join(self.sites)}.\n"
                f"Bootstrap it too: layers.sites=[{','.join([*self.sites, site])}]"
            )
        if pooling is not None and pooling not in self.poolings:
            raise UserError(
                f"the encyclopedia {self.folder} has no pooling {pooling!r}, only "
                f"{', '.join(self.poolings)}.\n"
                f"Bootstrap it too: encyclopedia.poolings=[{','.join([*self.poolings, pooling])}]"
            )


def _fit(node: Any, name: str) -> Float64[np.ndarray, "concept d"]:
    """Means or m2 of the role fit; zeros where no concept of the shard has any."""
    if f"fit/{name}" in node:
        return node[f"fit/{name}"][()].astype(np.float64)
    return np.zeros((len(node.file["rows"]), node["effects/mean"].shape[1]))


def _known(role: str) -> str:
    if role not in ROLES:
        raise UserError(f"there is no role {role!r}; there are {', '.join(ROLES)} and all.")
    return role


def load(folder: Path) -> Encyclopedia:
    """The encyclopedia in a result folder of `job=bootstrap`."""
    return Encyclopedia(folder)


def write_taxonomy(taxonomy: Taxonomy, path: Path) -> None:
    """One concept per line, in the taxonomy's order."""
    encode, names = json.JSONEncoder(ensure_ascii=False).encode, [part.name for part in fields(Concept)]
    with whole(path) as draft, draft.open("w") as stream:
        for concept in taxonomy:  # one by one: `asdict` would copy each, and all lines at once are megabytes
            stream.write(encode({name: getattr(concept, name) for name in names}) + "\n")


def read_taxonomy(path: Path) -> Taxonomy:
    """What `write_taxonomy` wrote."""
    lines = (json.loads(line) for line in path.read_text().splitlines())
    return Taxonomy(Concept(**{key: _frozen(value) for key, value in line.items()}) for line in lines)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def write_uncertain(encyclopedia: Encyclopedia, taxonomy: Taxonomy, path: Path) -> None:
    """The concepts by the relative error of their mean at their worst site, unknown ones first.

    `taxonomy` is the encyclopedia's, which whoever has just written it holds already. A line holds rank, id,
    name, n, and the error at each site (null where fewer than two contexts leave it unknown).
    """
    errors = encyclopedia.relative_errors(encyclopedia.sites)
    worst = errors.nan_to_num(nan=torch.inf).amax(1).numpy()
    count, each = encyclopedia.count().tolist(), errors.numpy()
    with whole(path) as draft, draft.open("w") as stream:
        for rank, row in enumerate(np.argsort(-worst, kind="stable").tolist()):
            concept, known = taxonomy.concepts[row], zip(encyclopedia.sites, each[row].tolist(), strict=True)
            error = {site: round(e, 6) if e == e else None for site, e in known}
            line = {"rank": rank, "id": concept.id, "name": concept.name, "n": count[row], "error": error}
            stream.write(json.dumps(line) + "\n")
