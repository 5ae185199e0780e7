"""Writes a stage of an encyclopedia, block after block, on top of an earlier one; survives kill -9."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, final

import h5py
import numpy as np

from hsae.concepts import Taxonomy
from hsae.contexts import Context
from hsae.encyclopedia.block import Block
from hsae.encyclopedia.contexts_table import ContextTable, uid
from hsae.encyclopedia.encyclopedia import CONCEPTS, INDEX, Encyclopedia, write_taxonomy, write_uncertain
from hsae.encyclopedia.gather import Gathered, Pooling, gather, in_blocks
from hsae.encyclopedia.statistics import ROLES
from hsae.errors import UserError
from hsae.journal import Journal, checksum, whole
from hsae.lm import LM

FEWEST = 512


@final
class Reading(NamedTuple):
    """How contexts are read and what is kept of them."""

    sites: Sequence[str]
    poolings: Sequence[Pooling]
    sample: int
    """Raw rows that are kept of each concept and role, at most."""
    batch_tokens: int
    """Tokens in one forward pass."""


@final
class Stage(NamedTuple):
    """The stage that adds contexts."""

    name: str
    number: int


def block_size(d: int) -> int:
    """Concepts in one shard: so many that the scatter [d d] stays small beside the means [concept role d]."""
    return max(FEWEST, d)


def write(
    lm: LM,
    taxonomy: Taxonomy,
    contexts: Iterable[Context],
    folder: Path,
    *,
    reading: Reading,
    stage: Stage,
    earlier: Encyclopedia | None = None,
    block: int | None = None,
) -> Iterator[int]:
    """Add the contexts to what `earlier` knows and write the sum to `folder`, going on behind what is safe
    there.

    Yields the number of concepts that are done, block by block; while a GPU reads one, a thread writes the
    one before. Raises `UserError` for an earlier stage of another model, of other concepts or without one
    of the sites.
    """
    lm.check_sites(reading.sites)
    block = block or block_size(lm.d)
    if earlier is not None:
        check_earlier(earlier, lm, taxonomy, reading)
        block = earlier.block_size
    journal = Journal(folder / "journal.jsonl")
    journal.trust("shard")
    safe = len(journal.lines)
    with ThreadPoolExecutor(1, "shards") as pool:
        # on a CPU the thread would take from the model what it gives: 4.1 s against 3.6 for 5,000 synsets
        begin = pool.submit if lm.device.type == "cuda" else _at_once
        last: Future[int] | None = None
        for number, held in enumerate(in_blocks(contexts, taxonomy.index, block=block)):
            if number < safe:
                continue
            rows = np.arange(number * block, min((number + 1) * block, len(taxonomy)))
            known = earlier.block(number) if earlier is not None else None
            read = _read(lm, held, rows, reading=reading, known=known)
            if last is not None:
                yield last.result()
            last = begin(_keep, journal, folder / f"shard-{number:05d}.h5", taxonomy, read, reading, stage)
        if last is not None:
            yield last.result()
    finish(folder, lm, taxonomy, journal.lines, reading=reading, stage=stage, block=block, earlier=earlier)


def _at_once(work: Callable[..., int], *given: Any) -> "Future[int]":
    """The result of what was asked for, as if a thread had done it."""
    done: Future[int] = Future()
    done.set_result(work(*given))
    return done


@final
class ReadBlock(NamedTuple):
    """A block with what a stage has added to it."""

    block: Block
    contexts: int
    tokens: int
    repeated: int
    """Contexts that the block had already."""
    too_long: list[Context]


def read_block(
    lm: LM,
    taxonomy: Taxonomy,
    contexts: Sequence[Context],
    rows: np.ndarray,
    *,
    reading: Reading,
    stage: Stage,
    known: Block | None,
) -> ReadBlock:
    """The block of the concepts in `rows`, with new contexts of theirs added to what was known of them.

    A context that is known already, to the character, is left out: reading it again would tell nothing.
    """
    read = _read(lm, contexts, rows, reading=reading, known=known)
    return _added(taxonomy, read, reading, stage)


@final
class _Read(NamedTuple):
    """What the model has read of a block, and what the block knew before."""

    rows: np.ndarray
    gathered: Gathered
    known: Block | None
    repeated: int


def _read(
    lm: LM, contexts: Sequence[Context], rows: np.ndarray, *, reading: Reading, known: Block | None
) -> _Read:
    new = _unknown(contexts, known)
    found = gather(lm, new, reading.sites, batch_tokens=reading.batch_tokens, poolings=reading.poolings)
    return _Read(rows, found, known, len(contexts) - len(new))


def _added(taxonomy: Taxonomy, read: _Read, reading: Reading, stage: Stage) -> ReadBlock:
    rows, found, known, repeated = read
    concept = np.array([taxonomy.index[context.concept] for context in found.contexts], np.int64) - rows[0]
    table = ContextTable.of(found.contexts, concept, tokens=found.tokens, stage=stage.number)
    added = Block.of(rows, table, found.vectors, sample=reading.sample)
    return ReadBlock(
        added if known is None else known.merge(added, sample=reading.sample),
        contexts=len(found.contexts),
        tokens=sum(found.tokens),
        repeated=repeated,
        too_long=found.too_long,
    )


def _keep(
    journal: Journal, path: Path, taxonomy: Taxonomy, read: _Read, reading: Reading, stage: Stage
) -> int:
    """Write the block that was read, then its line in the journal; the number of concepts that are done."""
    journal.append(save(path, _added(taxonomy, read, reading, stage)))
    return int(read.rows[-1]) + 1


def _unknown(contexts: Sequence[Context], known: Block | None) -> list[Context]:
    """The contexts without those that are known, or that stand among them twice."""
    seen = set() if known is None else set(known.table["uid"].tolist())
    kept = []
    for context in contexts:
        if (name := uid(context)) not in seen:
            seen.add(name)
            kept.append(context)
    return kept


def save(path: Path, read: ReadBlock) -> dict[str, Any]:
    """Write the shard; its line for the journal."""
    with whole(path) as draft, h5py.File(draft, "w") as file:
        read.block.write(file)
    return {
        "shard": path.name,
        "bytes": path.stat().st_size,
        "checksum": checksum(path),
        "contexts": read.contexts,
        "tokens": read.tokens,
        "repeated": read.repeated,
        "too_long": [[context.concept, context.template] for context in read.too_long],
    }


def finish(
    folder: Path,
    lm: LM,
    taxonomy: Taxonomy,
    lines: Sequence[dict[str, Any]],
    *,
    reading: Reading,
    stage: Stage,
    block: int,
    earlier: Encyclopedia | None,
    **said: Any,
) -> None:
    """Write the index and what else lies beside the shards. `lines` are those of the journal, `said` is what
    else the stage has to tell."""
    added = {
        "stage": stage.name,
        "number": stage.number,
        **{kind: sum(line[kind] for line in lines) for kind in ("contexts", "tokens", "repeated")},
        "too_long": [pair for line in lines for pair in line["too_long"]],
        **said,
    }
    shards = sorted({path.name for path in folder.glob("shard-*.h5")})
    checksums = {} if earlier is None else dict(earlier.checksums)  # of those that were copied
    checksums |= {line["shard"]: line["checksum"] for line in lines}
    index = {
        "model": lm.fingerprint,
        "sites": lm.widths(reading.sites),
        "poolings": list(reading.poolings),
        "roles": list(ROLES),
        "sample": reading.sample,
        "block": block,
        "shards": shards,
        "checksums": {name: checksums[name] for name in shards if name in checksums},
        "stages": [*(earlier.stages if earlier else ()), added],
    }
    write_index(folder, taxonomy, index)


def write_index(folder: Path, taxonomy: Taxonomy, index: Mapping[str, Any]) -> None:
    """Write what lies beside the shards, which the index names."""
    write_taxonomy(taxonomy, folder / CONCEPTS)
    with whole(folder / INDEX) as draft:
        draft.write_text(json.dumps(index, indent=1) + "\n")
    write_uncertain(Encyclopedia(folder), taxonomy, folder / "uncertain.jsonl")


def check_earlier(earlier: Encyclopedia, lm: LM, taxonomy: Taxonomy, reading: Reading) -> None:
    """Raises `UserError` where one cannot be added to the other."""
    for site in reading.sites:
        earlier.d(site)
    if earlier.model != lm.fingerprint:
        raise UserError(f"the earlier stage is of the model {earlier.model}, this one of {lm.fingerprint}.")
    if earlier.taxonomy.concepts != taxonomy.concepts:
        raise UserError(
            f"the earlier stage knows {len(earlier.taxonomy)} concepts, "
            f"not the same as the {len(taxonomy)} of this one.\n"
            "Run it again with the same choice of concepts."
        )
    if list(reading.poolings) != earlier.poolings:
        raise UserError(
            f"the earlier stage has the poolings {', '.join(earlier.poolings)}, this one "
            f"{', '.join(reading.poolings)}.\nRun both with the same encyclopedia.poolings."
        )
