"""A store: activations of many sites on disk, where row i of every site is the same token.

    shard-00000.h5   sites/<site> float16 [row d]; token, document, position int32 [row]; split uint8 [row];
                     documents/index, documents/id: the documents that have rows here
    journal.jsonl    a line per finished shard: its rows, its size, the place in the corpus where the next one
    starts store.json       sites and widths, the model, counts by split, documents that were skipped and why

`document` counts the documents of the corpus in its order; `position` counts the tokens of a document from 0.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import h5py
import numpy as np
import torch
from jaxtyping import Float, Float16, Int, Int32, UInt8
from torch import Tensor

from hsae.corpora import SHARES
from hsae.errors import UserError
from hsae.journal import Journal, whole
from hsae.seeding import stream

SPLITS = tuple(SHARES)
INDEX = "store.json"


@final
class Cursor(NamedTuple):
    """A place in a corpus: the next token to read is number `position` of document number `document`."""

    document: int
    position: int


START = Cursor(0, 0)


@final
class Shard(NamedTuple):
    """Rows that are written together."""

    sites: Mapping[str, Float16[np.ndarray, "row d"]]
    token: Int32[np.ndarray, " row"]
    document: Int32[np.ndarray, " row"]
    position: Int32[np.ndarray, " row"]
    split: UInt8[np.ndarray, " row"]
    documents: Mapping[int, str]
    """Index and id of every document with a row in the shard."""


@final
class StoreWriter:
    """Writes shards one after the other and knows where to go on after a kill."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._journal = Journal(folder / "journal.jsonl")
        self._journal.trust("shard")

    @property
    def rows(self) -> int:
        """Rows that are safe."""
        return sum(line["rows"] for line in self._journal.lines)

    @property
    def cursor(self) -> Cursor:
        """Where in the corpus the next shard starts."""
        return Cursor(*self._journal.lines[-1]["next"]) if self._journal.lines else START

    def write(self, shard: Shard, *, next: Cursor, skipped: Sequence[tuple[str, str]]) -> None:
        """Add a shard; `skipped` are the ids of documents passed over since the last one, each with the
        reason."""
        path = self.folder / f"shard-{len(self._journal.lines):05d}.h5"
        with whole(path) as draft, h5py.File(draft, "w") as file:
            for site, rows in shard.sites.items():
                file[f"sites/{site}"] = rows
            for name in ("token", "document", "position", "split"):
                file[name] = getattr(shard, name)
            file["documents/index"] = np.array(list(shard.documents), dtype=np.int32)
            file["documents/id"] = np.array([id.encode() for id in shard.documents.values()])
        counts = np.bincount(shard.split, minlength=len(SPLITS)).tolist()
        self._journal.append(
            {
                "shard": path.name,
                "bytes": path.stat().st_size,
                "rows": len(shard.token),
                "splits": dict(zip(SPLITS, counts, strict=True)),
                "next": list(next),
                "skipped": [list(pair) for pair in skipped],
            }
        )

    def finish(
        self, *, model: str, sites: Mapping[str, int], context: int, skipped: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Write store.json: the store can now be read. `skipped` are documents behind the last row."""
        lines = self._journal.lines
        index = {
            "model": model,
            "context": context,
            "sites": dict(sites),
            "rows": self.rows,
            "splits": {name: sum(line["splits"][name] for line in lines) for name in SPLITS},
            "skipped": [*(pair for line in lines for pair in line["skipped"]), *map(list, skipped)],
            "shards": [{"file": line["shard"], "splits": line["splits"]} for line in lines],
        }
        with whole(self.folder / INDEX) as draft:
            draft.write_text(json.dumps(index, indent=1) + "\n")


@final
class Store:
    """Reads a finished store. Only what is asked for is loaded: one site, one split.

    `model` is the fingerprint of the LM whose activations are wanted; a store of another is refused.
    """

    def __init__(self, folder: Path, *, model: str | None = None):
        self.folder = Path(folder)
        if not (self.folder / INDEX).is_file():
            raise UserError(
                f"{folder} is no finished store: it has no {INDEX}.\nMake one with: hsae job=extract"
            )
        self._index: dict[str, Any] = json.loads((self.folder / INDEX).read_text())
        self.model: str = self._index["model"]
        if model is not None and model != self.model:
            raise UserError(
                f"the store {folder} holds activations of the model {self.model}, not of {model}.\n"
                "Extract again with the model that is meant, or name the store's own."
            )
        self.sites: list[str] = list(self._index["sites"])
        self.skipped: list[tuple[str, str]] = [(id, why) for id, why in self._index["skipped"]]
        self._loaded: dict[tuple[str, str], Tensor] = {}

    def d(self, site: str) -> int:
        """Width of the site."""
        self._check(site)
        return self._index["sites"][site]

    def count(self, split: str | None = None) -> int:
        """Rows of a split, or of all."""
        return self._index["rows"] if split is None else self._index["splits"][_known(split)]

    def rows(
        self, site: str, split: str = "train", start: int = 0, stop: int | None = None
    ) -> Float[Tensor, "row d"]:
        """Rows of a split in the order of the corpus, float32."""
        self._check(site)
        return self._column(f"sites/{site}", split)[start:stop].float()

    def tokens(self, split: str) -> Int[Tensor, " row"]:
        """The token of each row of a split."""
        return self._column("token", split)

    def positions(self, split: str) -> Int[Tensor, " row"]:
        """Where in its document each row's token stands."""
        return self._column("position", split)

    def documents(self, split: str) -> Int[Tensor, " row"]:
        """The document of each row of a split: the unit that intervals resample. Its id is in
        `document_ids`."""
        return self._column("document", split)

    def document_ids(self) -> dict[int, str]:
        """The id of every document that has rows."""
        found: dict[int, str] = {}
        for shard in self._index["shards"]:
            with self._open(shard["file"]) as file:
                indices, ids = _array(file, "documents/index"), _array(file, "documents/id")
                found |= {int(index): id.decode() for index, id in zip(indices, ids, strict=True)}
        return found

    def batches(
        self, site: str, *, split: str = "train", batch: int, seed: int, skip: int = 0
    ) -> Iterator[Float[Tensor, "batch d"]]:
        """Endless batches of a split, float32; every epoch in an order of its own, the same for all sites.

        An epoch drops the few rows that do not fill a batch. `skip` batches are passed over without being
        read: `batches(skip=n)` goes on exactly where n batches of the same seed ended.
        """
        self._check(site)
        each = self.count(split) // batch
        if each == 0:
            raise UserError(
                f"the store has {self.count(split)} rows of the split {split}, "
                f"fewer than one batch of {batch}.\n"
                "Extract more (corpus.tokens=...), or take a smaller train.batch."
            )
        return self._endless(site, split, batch, seed, skip, each)

    def _endless(
        self, site: str, split: str, batch: int, seed: int, skip: int, each: int
    ) -> Iterator[Float[Tensor, "batch d"]]:
        rows = self._column(f"sites/{site}", split)
        epoch, first = divmod(skip, each)
        while True:
            order = torch.randperm(
                len(rows), generator=stream(seed, f"batch order of {split}, epoch {epoch}")
            )
            for number in range(first, each):
                yield rows[order[number * batch : (number + 1) * batch]].float()
            epoch, first = epoch + 1, 0

    def _column(self, name: str, split: str) -> Tensor:
        """One dataset's rows of one split, read once."""
        key = (name, _known(split))
        if key not in self._loaded:
            code, parts = SPLITS.index(split), []
            for shard in self._index["shards"]:
                with self._open(shard["file"]) as file:
                    parts.append(_array(file, name)[_array(file, "split") == code])
            self._loaded[key] = torch.from_numpy(np.concatenate(parts))
        return self._loaded[key]

    def _open(self, name: str) -> h5py.File:
        try:
            return h5py.File(self.folder / name, "r")
        except OSError as problem:
            raise UserError(
                f"{self.folder / name} cannot be read: {problem}\nExtract again: force=true"
            ) from None

    def _check(self, site: str) -> None:
        if site not in self.sites:
            raise UserError(
                f"the store {self.folder} has no site {site!r}, only {', '.join(self.sites)}.\n"
                f"Extract it too: layers.sites=[{','.join([*self.sites, site])}]"
            )


def load(folder: Path) -> Store:
    """The store in a result folder of `job=extract`."""
    return Store(folder)


def _known(split: str) -> str:
    if split not in SPLITS:
        raise UserError(f"there is no split {split!r}; there are {', '.join(SPLITS)}.")
    return split


def _array(file: h5py.File, name: str) -> np.ndarray:
    return file[name][()]  # type: ignore[index]  h5py knows groups and datasets apart only when it runs
