"""Stores whose rows are known: row i of the corpus is token i, in documents of ten tokens."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hsae.activations.encoding import Dtype, encode
from hsae.activations.shard import Shard
from hsae.activations.store import Store
from hsae.activations.windows import Cursor
from hsae.activations.writer import StoreWriter
from hsae.seeding import stream

LENGTH = 10
"""Tokens of a document."""


def shard(
    sites: Mapping[str, Tensor],
    *,
    first: int = 0,
    dtype: Dtype = "float16",
    length: int = LENGTH,
    split: Sequence[int] | None = None,
) -> Shard:
    """Rows `first`, `first + 1`, ... of the corpus; of five documents the last is for the test split, unless
    `split` says of each row where it belongs."""
    row = first + np.arange(len(next(iter(sites.values()))))
    document = row // length
    code = np.where(document % 5 == 4, 2, 0) if split is None else np.asarray(split)
    return Shard(
        sites={site: encode(rows, dtype) for site, rows in sites.items()},
        token=row.astype(np.int32),
        document=document.astype(np.int32),
        position=(row % length).astype(np.int32),
        split=code.astype(np.uint8),
        documents={int(number): f"document {number}" for number in np.unique(document)},
    )


def noise(rows: int, *, first: int = 0, d: int = 4, dtype: Dtype = "float16", length: int = LENGTH) -> Shard:
    """Such rows at two sites, `a` of width d and `b` of width 2d, that are noise."""
    g = stream(first, "noise for a shard")
    sites = {"a": torch.randn(rows, d, generator=g), "b": torch.randn(rows, 2 * d, generator=g)}
    return shard(sites, first=first, dtype=dtype, length=length)


def add(writer: StoreWriter, number: int, rows: Shard, **said) -> None:
    """Write a shard of such rows."""
    places = {"start": Cursor(int(rows.document[0]), 0), "next": Cursor(int(rows.document[-1]) + 1, 0)}
    writer.write(number, rows, **{**places, "skipped": [], "dropped": 0, **said})


def finish(writer: StoreWriter, rows: Shard, **said) -> Store:
    """Finish a store of shards like this one, and open it."""
    widths = {site: of.values.shape[1] for site, of in rows.sites.items()}
    dtype = str(next(iter(rows.sites.values())).values.dtype).removeprefix("torch.")
    facts = {"context": LENGTH, "packing": "documents", "limits": {}, "skipped": []}
    writer.finish(**{"model": "toy", "widths": widths, "dtype": dtype, **facts, **said})
    return Store(writer.folder)


def store(folder: Path, shards: Sequence[Shard]) -> Store:
    """The store of these shards."""
    writer = StoreWriter(folder)
    for number, rows in enumerate(shards):
        add(writer, number, rows)
    return finish(writer, shards[0])


def harvested(lm, documents, folder, *, sites, context):
    """A store of all rows that documents give at these sites."""
    from hsae.activations.harvest import Reading, finish, harvest, result

    reading = Reading(sites=sites, context=context, tokens=None, batch_tokens=2048)
    writer = StoreWriter(folder)
    behind = result(harvest(lm, lambda: documents, writer, reading, limits={}))
    finish(writer, lm, reading, limits={}, skipped=behind)
    return Store(folder)
