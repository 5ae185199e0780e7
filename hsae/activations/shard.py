"""A shard: rows of all sites in one HDF5 file, each split in one stretch of it.

    sites/<site>      float16, int8, or bfloat16 as uint16 [row d], contiguous; attribute "dtype"
    scales/<site>     float32 [row], of int8 alone
    token, document, position      int32 [row]
    documents/index, documents/id  number and id of each document with a row here

`document` counts the documents of the corpus in its order; `position` counts the tokens of a document from 0.
Within a split the rows are shuffled, so that whoever reads a few of them one behind the other has a sample of
the shard's documents; document and position say which row comes first in the corpus.
"""

import errno
import fcntl
import mmap
import os
from collections.abc import Mapping
from io import SEEK_CUR, SEEK_END, SEEK_SET, RawIOBase
from pathlib import Path
from typing import Any, NamedTuple, final

import h5py
import numpy as np
import torch
from jaxtyping import Int32, Int64, UInt8
from torch import Tensor
from xxhash import xxh3_128

from hsae.activations.encoding import Rows
from hsae.corpora import SHARES
from hsae.journal import whole
from hsae.seeding import stream

SPLITS = tuple(SHARES)

_PAGE = mmap.PAGESIZE
_DIRECT = getattr(os, "O_DIRECT", 0)  # of Linux alone


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


@final
class Image(RawIOBase):
    """A file in memory, for HDF5 to write into; its room is kept for the next file.

    HDF5 itself may crash the process when a disk fills under it; a plain write of all bytes cannot.
    """

    def __init__(self):
        self._room = _pages(_PAGE)
        self._size = self._at = 0

    @property
    def bytes(self) -> memoryview:
        """All that was written."""
        return self._room[: self._size].numpy().data

    def part(self, start: int, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """The bytes from `start` on as a tensor, which writes into them."""
        count = dtype.itemsize * int(np.prod(shape))
        return self._room[start : start + count].view(dtype).view(shape)

    def truncate(self, size: int | None = None) -> int:
        size = self._at if size is None else size
        if size > len(self._room):
            larger = _pages(size + size // 8)
            larger[: self._size] = self._room[: self._size]
            self._room = larger
        self._room[self._size : size] = 0
        self._size = size
        return size

    def write(self, data: Any) -> int:
        end = self._at + len(data)
        if end > self._size:
            self.truncate(end)
        self._room.numpy()[self._at : end] = np.frombuffer(data, np.uint8)
        self._at = end
        return len(data)

    def readinto(self, room: Any) -> int:
        data = self.bytes[self._at : self._at + len(room)]
        room[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        self._at = offset + {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def save(self, path: Path) -> None:
        """Write all of it to a new file, past the system's memory of files where the disk allows it.

        That costs next to no time of the cores, which the model wants, and what is read stays in memory: what
        is written here would not fit. Raises OSError where the disk takes no more.
        """
        try:
            self._save(path, _DIRECT)
        except OSError as refused:
            if refused.errno != errno.EINVAL:
                raise
            self._save(path, 0)  # a file system in memory, or of other pages

    def _save(self, path: Path, direct: int) -> None:
        straight = self._size // _PAGE * _PAGE if direct else 0
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | direct)
        try:
            _put(file, self.bytes[:straight])
            if direct:  # the rest fills no page
                fcntl.fcntl(file, fcntl.F_SETFL, fcntl.fcntl(file, fcntl.F_GETFL) & ~direct)
            _put(file, self.bytes[straight:])
        finally:
            os.close(file)


def _pages(size: int) -> Tensor:
    """Room that begins with a page, as writing past the system's memory of files asks for."""
    return torch.frombuffer(mmap.mmap(-1, size), dtype=torch.uint8)


def _put(file: int, data: memoryview) -> None:
    while data:
        data = data[os.write(file, data) :]


def write(path: Path, shard: Shard, *, image: Image | None = None, only: str | None = None) -> str:
    """The shard as a file that is there whole or not at all, and its checksum.

    The same rows give the same bytes. Nothing is written if `only` is a checksum, and another than the
    shard's. `image` lends its room to one shard after the other. Raises OSError where the disk takes no more.
    """
    image = Image() if image is None else image
    _draw(image, shard)
    found = xxh3_128(image.bytes).hexdigest()
    if only in (None, found):
        with whole(path) as draft:
            image.save(draft)
    return found


def _order(shard: Shard) -> Int64[Tensor, " row"]:
    """The rows as they stand in the file: split by split, each shuffled, the same in every run."""
    split = torch.from_numpy(shard.split)
    by_split = [(split == code).nonzero()[:, 0] for code in range(len(SPLITS))]
    shuffle = stream(0, "rows of a shard")
    return torch.cat([rows[torch.randperm(len(rows), generator=shuffle)] for rows in by_split])


def _draw(image: Image, shard: Shard) -> None:
    """The file that holds the shard. HDF5 lays it out; the rows are then gathered into their places."""
    order = _order(shard)
    columns: dict[str, Tensor] = {}
    for site, rows in shard.sites.items():
        columns[f"sites/{site}"] = rows.values
        if rows.scale is not None:
            columns[f"scales/{site}"] = rows.scale
    for name in ("token", "document", "position"):
        columns[name] = torch.from_numpy(np.ascontiguousarray(getattr(shard, name), np.int32))
    image.seek(0)
    image.truncate()
    # every dataset at an address that suits its numbers
    with h5py.File(image, "w", alignment_threshold=1, alignment_interval=8) as file:
        starts = {name: _lay(file, name, column) for name, column in columns.items()}
        file["documents/index"] = np.array(list(shard.documents), dtype=np.int32)
        file["documents/id"] = np.array([id.encode() for id in shard.documents.values()])
    for name, column in columns.items():
        place = image.part(starts[name], tuple(column.shape), column.dtype)
        if column.device.type == "cpu":
            torch.index_select(column, 0, order, out=place)
        else:
            place.copy_(column.index_select(0, order.to(column.device)))


def _lay(file: h5py.File, name: str, column: Tensor) -> int:
    """Room in the file for a dataset; says where its bytes start."""
    wanted = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    wanted.set_layout(h5py.h5d.CONTIGUOUS)
    wanted.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    wanted.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    wanted.set_obj_track_times(False)  # the same rows give the same bytes
    groups = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    groups.set_create_intermediate_group(True)
    kind = str(column.dtype).removeprefix("torch.")
    stored = h5py.h5t.py_create(np.dtype("uint16" if kind == "bfloat16" else kind))
    space = h5py.h5s.create_simple(tuple(column.shape))
    made = h5py.h5d.create(file.id, name.encode(), stored, space, wanted, groups)
    if name.startswith("sites/"):
        h5py.Dataset(made).attrs["dtype"] = kind
    return made.get_offset()


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
