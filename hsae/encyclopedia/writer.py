"""Writes an encyclopedia, block after block of concepts, on top of an earlier stage's; survives kill -9."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hsae.concepts import Taxonomy
from hsae.contexts import Context
from hsae.encyclopedia.encyclopedia import CONCEPTS, INDEX, Encyclopedia, write_taxonomy, write_uncertain
from hsae.encyclopedia.gather import Gathered, gather, in_blocks
from hsae.encyclopedia.statistics import ROLES, Statistics
from hsae.errors import UserError
from hsae.journal import Journal, whole
from hsae.lm import LM

FEWEST = 256


def block_size(d: int) -> int:
    """Concepts in one shard: so many that the scatter [d d] stays small beside the means [concept role d]."""
    return max(FEWEST, d)


def write(
    lm: LM,
    taxonomy: Taxonomy,
    contexts: Iterable[Context],
    folder: Path,
    *,
    sites: Sequence[str],
    batch_tokens: int,
    stage: str,
    earlier: Encyclopedia | None = None,
    block: int | None = None,
) -> Iterator[int]:
    """Add the contexts to what `earlier` knows and write the sum to `folder`, going on behind what is safe
    there.

    Yields the number of concepts that are done, block by block. Raises `UserError` for an earlier stage of
    another model, of other concepts or without one of the sites.
    """
    lm.check_sites(sites)
    block = block or block_size(lm.d)
    if earlier is not None:
        _check_earlier(earlier, lm, taxonomy, sites)
        block = earlier.block_size
    journal = Journal(folder / "journal.jsonl")
    journal.trust("shard")
    for number, held in enumerate(in_blocks(contexts, taxonomy.index, block=block)):
        if number < len(journal.lines):
            continue
        first = number * block
        size = min(block, len(taxonomy) - first)
        read = gather(lm, held, sites, batch_tokens=batch_tokens)
        statistics = _statistics(read, taxonomy, first=first, concepts=size)
        if earlier is not None:
            known = earlier.block(number)
            statistics = {site: known[site].merge(new) for site, new in statistics.items()}
        path = folder / f"shard-{number:05d}.h5"
        with whole(path) as draft:
            _write_shard(draft, statistics)
        journal.append(_line(path, read))
        yield first + size
    added = {
        "stage": stage,
        "contexts": sum(line["contexts"] for line in journal.lines),
        "too_long": [pair for line in journal.lines for pair in line["too_long"]],
    }
    index = {
        "model": lm.fingerprint,
        "sites": lm.widths(sites),
        "roles": list(ROLES),
        "block": block,
        "shards": [line["shard"] for line in journal.lines],
        "stages": [*(earlier.stages if earlier else ()), added],
    }
    _finish(folder, taxonomy, index)


def _statistics(read: Gathered, taxonomy: Taxonomy, *, first: int, concepts: int) -> dict[str, Statistics]:
    """Of the block of concepts that starts in row `first`, by site."""
    concept = np.array([taxonomy.index[context.concept] - first for context in read.contexts], dtype=np.int64)
    role = np.array([ROLES.index(context.role) for context in read.contexts], dtype=np.int64)
    return {
        site: Statistics.of(x.numpy(), concept, role, concepts=concepts) for site, x in read.vectors.items()
    }


def _line(path: Path, read: Gathered) -> dict[str, Any]:
    return {
        "shard": path.name,
        "bytes": path.stat().st_size,
        "contexts": len(read.contexts),
        "too_long": [[context.concept, context.template] for context in read.too_long],
    }


def _write_shard(path: Path, statistics: dict[str, Statistics]) -> None:
    with h5py.File(path, "w") as file:
        for site, (moments, scatter) in statistics.items():
            by_role = (-1, len(ROLES), moments.mean.shape[1])
            file[f"sites/{site}/mean"] = moments.mean.reshape(by_role).astype(np.float32)
            file[f"sites/{site}/m2"] = moments.m2.reshape(by_role).astype(np.float32)
            file[f"sites/{site}/scatter"] = scatter
        # every site sees the same contexts
        file["count"] = next(iter(statistics.values())).moments.count.reshape(-1, len(ROLES))


def _check_earlier(earlier: Encyclopedia, lm: LM, taxonomy: Taxonomy, sites: Sequence[str]) -> None:
    for site in sites:
        earlier.d(site)
    if earlier.model != lm.fingerprint:
        raise UserError(f"the earlier stage is of the model {earlier.model}, this one of {lm.fingerprint}.")
    if earlier.taxonomy.concepts != taxonomy.concepts:
        raise UserError(
            f"the earlier stage knows {len(earlier.taxonomy)} concepts, "
            f"not the same as the {len(taxonomy)} of this one.\n"
            "Run it again with the same choice of concepts."
        )


def _finish(folder: Path, taxonomy: Taxonomy, index: dict[str, Any]) -> None:
    write_taxonomy(taxonomy, folder / CONCEPTS)
    with whole(folder / INDEX) as draft:
        draft.write_text(json.dumps(index, indent=1) + "\n")
    write_uncertain(Encyclopedia(folder), folder / "uncertain.jsonl")
