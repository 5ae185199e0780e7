"""LM + documents -> rows of a store: all chosen sites from one forward pass, nothing computed twice.

A document is cut into windows that follow each other without overlap and cover it whole. Each is read behind
the model's prefix token; prefix, padding and other special tokens give no rows.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hsae.activations.store import SPLITS, START, Cursor, Shard, StoreWriter
from hsae.corpora import Document, split
from hsae.errors import UserError
from hsae.lm import LM
from hsae.lm.batching import by_length

SHARD_BYTES, SHARD_ROWS = 64 << 20, 1 << 16
"""What a shard holds at most: seconds of work on a CPU, which is what a kill may cost."""

_TOGETHER = 256  # documents in one call of the tokenizer
_LARGEST = 65504.0  # of float16


@final
class Window(NamedTuple):
    """A stretch of a document that the model reads at once."""

    document: int
    """Number of the document in the corpus."""
    id: str
    position: int
    """Of the stretch's first token in the document."""
    ids: list[int]


@final
class Skipped(NamedTuple):
    """A document that gives no rows."""

    id: str
    why: str


def windows(
    lm: LM, documents: Iterable[Document], *, context: int, start: Cursor = START
) -> Iterator[Window | Skipped]:
    """The documents from `start` on, as windows of at most `context` tokens, the model's prefix included.

    A document that is broken or empty is named in its place instead. Raises `UserError` for a context that
    the model does not have.
    """
    room = context - len(lm.reader.prefix)
    if context > lm.context or room < 1:
        raise UserError(
            f"job.context={context} was asked for, and the model reads at most {lm.context} tokens at once.\n"
            f"Type job.context={lm.context} or less."
        )
    numbered = islice(enumerate(documents), start.document, None)
    while group := list(islice(numbered, _TOGETHER)):
        problems = {number: why for number, document in group if (why := _broken(document))}
        sound = [(number, document) for number, document in group if number not in problems]
        ids = (
            dict(zip((n for n, _ in sound), lm.reader.ids([d.text for _, d in sound]), strict=True))
            if sound
            else {}
        )
        for number, document in group:
            if not ids.get(number):
                yield Skipped(document.id, problems.get(number, "it has no tokens"))
            first = start.position if number == start.document else 0
            for position in range(first, len(ids.get(number, [])), room):
                yield Window(number, document.id, position, ids[number][position : position + room])


def _broken(document: Document) -> str | None:
    """Why a document cannot be read, or None."""
    if not isinstance(document.text, str):
        return f"its text is {type(document.text).__name__}, not text"
    if "\0" in document.text:
        return "it holds binary data"
    try:
        document.text.encode()
    except UnicodeEncodeError as problem:
        return f"it is not valid Unicode: {problem.reason}"
    return None if document.text.strip() else "it is empty"


def harvest(
    lm: LM,
    documents: Iterable[Document],
    writer: StoreWriter,
    *,
    sites: Sequence[str],
    tokens: int | None,
    context: int,
    batch_tokens: int,
    shard_rows: int | None = None,
) -> Iterator[int]:
    """Fill the store up to exactly `tokens` rows, or to the corpus's end, going on behind what is safe
    already.

    Yields the rows so far, after every forward pass. Raises `UserError` where the corpus gives no row at all,
    and for an activation that is no number or does not fit into float16, naming row, site and document.
    """
    lm.check_sites(sites)
    widths = dict.fromkeys(sites, lm.d)
    full = shard_rows or max(1024, min(SHARD_ROWS, SHARD_BYTES // (2 * sum(widths.values()))))
    reading = windows(lm, documents, context=context, start=writer.cursor)
    skipped: list[Skipped] = []
    while tokens is None or writer.rows < tokens:
        left = sys.maxsize if tokens is None else tokens - writer.rows
        chunk, skipped = _take(reading, enough=full, most=left, special=lm.reader.special)
        if not chunk:
            break
        shard = _empty_shard(chunk, widths, lm.reader.special)
        for done in _fill(lm, chunk, shard, batch_tokens=batch_tokens, before=writer.rows):
            yield writer.rows + done
        end = Cursor(chunk[-1].document, chunk[-1].position + len(chunk[-1].ids))
        writer.write(shard, next=end, skipped=skipped)
        skipped = []
    if writer.rows == 0:
        named = "".join(f"\n  {id}: {why}" for id, why in skipped[:3])
        raise UserError(
            f"the corpus gives no rows: {len(skipped)} documents were skipped, and there is no other.{named}"
        )
    writer.finish(model=lm.fingerprint, sites=widths, context=context, skipped=skipped)


def _take(
    reading: Iterator[Window | Skipped], *, enough: int, most: int, special: frozenset[int]
) -> tuple[list[Window], list[Skipped]]:
    """Windows until they hold `enough` rows; the last one is cut where it would go beyond `most`."""
    chunk: list[Window] = []
    skipped: list[Skipped] = []
    rows = 0
    for item in reading:
        if isinstance(item, Skipped):
            skipped.append(item)
            continue
        kept = [number for number, id in enumerate(item.ids) if id not in special]
        if rows + len(kept) >= most:
            chunk.append(item._replace(ids=item.ids[: kept[most - rows - 1] + 1]))
            break
        chunk.append(item)
        rows += len(kept)
        if rows >= enough:
            break
    return chunk, skipped


def _empty_shard(chunk: Sequence[Window], widths: dict[str, int], special: frozenset[int]) -> Shard:
    """All that is known of the rows before the model runs, and room for the activations."""
    documents = {window.document: window.id for window in chunk}
    codes = {document: SPLITS.index(split(id)) for document, id in documents.items()}
    known = [
        (id, window.document, window.position + number, codes[window.document])
        for window in chunk
        for number, id in enumerate(window.ids)
        if id not in special
    ]
    token, document, position, code = np.array(known, dtype=np.int32).reshape(-1, 4).T.copy()
    return Shard(
        sites={site: np.empty((len(known), width), dtype=np.float16) for site, width in widths.items()},
        token=token,
        document=document,
        position=position,
        split=code.astype(np.uint8),
        documents=documents,
    )


def _fill(lm: LM, chunk: Sequence[Window], shard: Shard, *, batch_tokens: int, before: int) -> Iterator[int]:
    """Run the model over the windows, those of like length together, and put each row in its place."""
    prefix = len(lm.reader.prefix)
    counts = [sum(id not in lm.reader.special for id in window.ids) for window in chunk]
    starts = np.cumsum([0, *counts])
    done = 0
    for batch in by_length([prefix + len(window.ids) for window in chunk], tokens=batch_tokens):
        ids, mask = lm.reader.pad([chunk[number].ids for number in batch])
        kept = mask & ~lm.reader.is_special(ids)
        kept[:, :prefix] = False
        at = np.concatenate([np.arange(starts[number], starts[number + 1]) for number in batch])
        for site, activations in lm.capture(ids, mask, list(shard.sites)).items():
            found = activations[kept.to(activations.device)]
            _check_range(found, site, shard, at, before)
            shard.sites[site][at] = found.to("cpu", torch.float16).numpy()
        done += len(at)
        yield done


def _check_range(
    found: Float[Tensor, "row d"], site: str, shard: Shard, at: Int[np.ndarray, " row"], before: int
) -> None:
    """Raise `UserError` for the first activation that float16 cannot hold."""
    if not len(found) or found.abs().amax() <= _LARGEST:  # no NaN is less than anything
        return
    wrong = ~(found.abs() <= _LARGEST)
    row, unit = (int(index) for index in wrong.nonzero()[0])
    number = int(at[row])
    document = int(shard.document[number])
    raise UserError(
        f"an activation is {float(found[row, unit])}, which float16 (up to 65504) cannot hold: "
        f"row {before + number} of the site {site}, "
        f"token {shard.position[number]} of the document {shard.documents[document]!r}.\n"
        "If the model runs in half precision, type hardware.dtype=float32; else choose another site."
    )
