"""A shard: rows of all sites in one HDF5 file, each split in one stretch of it.

    sites/<site>      float16, int8, or bfloat16 as uint16 [row d], contiguous; attribute "dtype"
    scales/<site>     float32 [row], of int8 alone
    token, document, position      int32 [row]
    documents/index, documents/id  number and id of each document with a row here

`document` counts the documents of the corpus in its order; `position` counts the tokens of a document from 0.
Within a split the rows are shuffled, so that whoever reads a few of them one behind the other has a sample of
the shard's documents; document and position say which row comes first in the corpus.
"""

from collections.abc import Mapping
from functools import partial
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, final

import h5py
import numpy as np
import torch
from jaxtyping import Int32, Int64, UInt8
from torch import Tensor

from hsae.activations.encoding import Rows
from hsae.corpora import SHARES
from hsae.journal import whole
from hsae.seeding import stream

SPLITS = tuple(SHARES)

_READ = 1 << 20  # bytes at a time, for a checksum


@final
class Shard(NamedTuple):
    """Rows that are written together, in the order of the corpus."""

    sites: Mapping[str, Rows]
    token: Int32[np.ndarray, " row"]
    document: Int32[np.ndarray, " row"]
    position: Int32[np.ndarray, " row"]
    split: UInt8[np.ndarray, " row"]
    """Places in SPLITS."""
    documents: Mapping[int, str]
    """Number and id of every document with a row in the shard."""

    @property
    def bytes(self) -> int:
        """What the rows take on a disk, a few thousand bytes of names apart."""
        kept = [part.nbytes for rows in self.sites.values() for part in rows if part is not None]
        return sum(kept) + 3 * self.token.nbytes

    @property
    def splits(self) -> dict[str, int]:
        """Rows of each split."""
        counts = np.bincount(self.split, minlength=len(SPLITS)).tolist()
        return dict(zip(SPLITS, counts, strict=True))


def write(path: Path, shard: Shard, *, only: str | None = None) -> str:
    """The shard as a file that is there whole or not at all, and its checksum.

    The same rows give the same bytes. Nothing is written if `only` is a checksum, and another than the
    shard's. Raises OSError where the disk takes no more.
    """
    # HDF5 itself may crash the process when a disk fills under it; a plain write of all bytes cannot
    image = BytesIO()
    with h5py.File(image, "w") as file:
        _fill(file, shard)
    found = _hash(image.getbuffer()).hexdigest()
    if only in (None, found):
        with whole(path) as draft:
            draft.write_bytes(image.getbuffer())
    return found


def _order(shard: Shard) -> Int64[Tensor, " row"]:
    """The rows as they stand in the file: split by split, each shuffled, the same in every run."""
    split = torch.from_numpy(shard.split)
    by_split = [(split == code).nonzero()[:, 0] for code in range(len(SPLITS))]
    shuffle = stream(0, "rows of a shard")
    return torch.cat([rows[torch.randperm(len(rows), generator=shuffle)] for rows in by_split])


def _fill(file: h5py.File, shard: Shard) -> None:
    order = _order(shard)
    for site, rows in shard.sites.items():
        values = rows.values.cpu()[order]
        kept = values.view(torch.uint16) if values.dtype == torch.bfloat16 else values
        file[f"sites/{site}"] = kept.numpy()
        file[f"sites/{site}"].attrs["dtype"] = str(values.dtype).removeprefix("torch.")
        if rows.scale is not None:
            file[f"scales/{site}"] = rows.scale.cpu()[order].numpy()
    for name in ("token", "document", "position"):
        file[name] = getattr(shard, name)[order.numpy()]
    file["documents/index"] = np.array(list(shard.documents), dtype=np.int32)
    file["documents/id"] = np.array([id.encode() for id in shard.documents.values()])


def checksum(path: Path) -> str:
    """blake2b of the file, in hexadecimal."""
    found = _hash()
    with path.open("rb") as stream:
        while block := stream.read(_READ):
            found.update(block)
    return found.hexdigest()


def offsets(path: Path) -> dict[str, int]:
    """Where in the file the bytes of each dataset of numbers start."""
    found: dict[str, int] = {}

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and not name.startswith("documents/"):
            found[name] = node.id.get_offset()

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found


def documents(path: Path) -> dict[int, str]:
    """The number and id of every document with a row in the shard."""
    with h5py.File(path, "r") as file:
        node: Any = file["documents"]  # h5py knows groups and datasets apart only when it runs
        pairs = zip(node["index"][()], node["id"][()], strict=True)
        return {int(number): id.decode() for number, id in pairs}


_hash = partial(blake2b, digest_size=32)
