"""The contexts behind an encyclopedia's raw rows, read once more: by a control, or at another site.

A control that chose contexts of its own would differ in them too; here text, span, pooling and rounding are
those of the rows that it stands beside.

embedding-00000.h5, untrained-00000.h5    for each shard of the encyclopedia and each reader:
    uid, role        of every raw row, in the encyclopedia's order
    <site>/unit, norm    x = norm * unit, float16 and float32 as the encyclopedia keeps its own
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, final

import h5py
import numpy as np
from jaxtyping import Float32

from hsae import artifact
from hsae.encyclopedia.block import Sample
from hsae.encyclopedia.encyclopedia import Encyclopedia, Role
from hsae.encyclopedia.gather import gather
from hsae.encyclopedia.sampled import Sampled, sampled
from hsae.encyclopedia.statistics import ROLES
from hsae.errors import UserError
from hsae.journal import whole
from hsae.lm import LM

EMBEDDING, UNTRAINED = "embedding", "untrained"
"""Readers: the LM's token embeddings alone, and the same LM with random weights."""

EMBED = "embed"
"""The site of the token embeddings, before positions are added to them."""


def reread(
    lm: LM, book: Encyclopedia, folder: Path, *, reader: str, sites: Sequence[str], batch_tokens: int
) -> Iterator[int]:
    """Read the contexts of one shard after the other by `lm` at `sites`; gives the number of each that is
    there. Goes on behind what a killed run left. Raises UserError for a context that `lm` cannot read."""
    for number in range(len(book.shards)):
        path = _file(folder, reader, number)
        if not path.is_file():
            of = sampled(book, number)
            with whole(path) as draft, h5py.File(draft, "w") as file:
                _write(file, lm, of, sites, pooling=book.poolings[0], batch_tokens=batch_tokens)
        yield number


def _write(file: Any, lm: LM, of: Sampled, sites: Sequence[str], *, pooling: Any, batch_tokens: int) -> None:
    found = gather(lm, of.contexts, sites, batch_tokens=batch_tokens, poolings=(pooling,))
    if found.too_long:
        raise UserError(
            f"{len(found.too_long)} contexts do not fit into the model that reads them again, such as "
            f"{found.too_long[0].text!r}.\nTake a model of the same context as the encyclopedia's."
        )
    file["uid"], file["role"] = of.uid, of.role
    for site in sites:
        kept = Sample.of(found.vectors[site, pooling], np.arange(len(of.uid)))
        file[f"{site}/unit"], file[f"{site}/norm"] = kept.unit, kept.norm


@final
class Rereading:
    """Reads what `reread` wrote of an encyclopedia's contexts."""

    def __init__(self, folder: Path, book: Encyclopedia):
        self.folder, self.book = Path(folder), book

    def has(self, reader: str) -> bool:
        """An LM may have no site of token embeddings."""
        return _file(self.folder, reader, 0).is_file()

    def rows(self, reader: str, site: str, *, role: Role) -> Float32[np.ndarray, "row d"]:
        """Row for row the contexts of `book.rows(..., role=role)`. Raises UserError where they are others."""
        parts = []
        for number in range(len(self.book.shards)):
            opened: Any = h5py.File(_file(self.folder, reader, number), "r")
            with opened as file:
                if not np.array_equal(file["uid"][()], sampled(self.book, number).uid):
                    raise UserError(
                        f"{self.folder} holds other contexts than {self.book.folder}.\n"
                        "Make it again: job=reread force=true"
                    )
                group = file[site]
                chosen = slice(None) if role == "all" else file["role"][()] == ROLES.index(role)
                unit, norm = group["unit"][()][chosen], group["norm"][()][chosen]
                parts.append(Sample(unit, norm, np.arange(len(norm))).x)
        return np.concatenate(parts)


def load(folder: Path) -> Rereading:
    """Of a result folder of job=reread, beside the encyclopedia that it was made from."""
    folder = Path(folder)
    said = artifact.read(folder).manifest["inputs"]["encyclopedia"]
    book = folder.parents[1] / said["job"] / f"{said['slug']}-{said['fingerprint']}"
    return Rereading(folder, Encyclopedia(book))


def _file(folder: Path, reader: str, number: int) -> Path:
    return Path(folder) / f"{reader}-{number:05d}.h5"
