"""Writes a store: shard after shard, by one process or several, each with a journal of its own.

shard-00000.h5     rows of all sites, see `hsae.activations.shard`
journal-0.jsonl    a line per shard that process 0 finished: its size and checksum, its rows, the place in
                   the corpus where it starts and where the next one does
skipped.jsonl      id and reason, a line for each document that was passed over
store.json         all journals in one: sites and widths, the model, counts by split
"""

import errno
import fcntl
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, final

from hsae.activations.encoding import Dtype
from hsae.activations.shard import SPLITS, Image, Shard, write
from hsae.activations.windows import Cursor
from hsae.errors import UserError
from hsae.journal import Journal, checksum, complete, whole

INDEX, SKIPPED = "store.json", "skipped.jsonl"

Line = dict[str, Any]
"""What a journal says of a shard."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@final
class StoreWriter:
    """Adds shards to the store in a folder, and knows which of them are there, whoever wrote them.

    Several processes may write into one folder at the same time, if each has a number of its own and no two
    write the same shard. A second writer of the same number is refused as soon as it would add a line.
    """

    def __init__(self, folder: Path, process: int = 0):
        self.folder, self._image = folder, Image()
        self._journal = Journal(folder / f"journal-{process}.jsonl")
        self._known = self._journal_bytes()

    @property
    def finished(self) -> dict[int, Line]:
        """By number, the line of every shard that is whole on the disk, as `finished` of the folder."""
        return finished(self.folder)

    def write(
        self,
        number: int,
        shard: Shard,
        *,
        start: Cursor,
        next: Cursor,
        skipped: Sequence[tuple[str, str]],
        dropped: int,
    ) -> None:
        """Add shard `number`, whose first token is at `start`; the next shard's is at `next`.

        `skipped` are the ids of documents that were passed over since the shard before, each with the reason;
        `dropped` rows were left out as outliers. Raises UserError where the disk is full, or where another
        process writes the same journal.
        """
        path = self.folder / f"shard-{number:05d}.h5"
        with self._alone(), _room(path, shard.bytes):
            self._journal.append(
                {
                    "shard": number,
                    "file": path.name,
                    "checksum": write(path, shard, image=self._image),
                    "bytes": path.stat().st_size,
                    "rows": len(shard.token),
                    "splits": shard.splits,
                    "start": list(start),
                    "next": list(next),
                    "skipped": [list(pair) for pair in skipped],
                    "dropped": dropped,
                }
            )
            self._known = self._journal_bytes()

    def finish(
        self,
        *,
        model: str,
        widths: Mapping[str, int],
        context: int,
        packing: str,
        dtype: Dtype,
        limits: Mapping[str, float],
        skipped: Sequence[tuple[str, str]],
    ) -> None:
        """Write store.json: the store can now be read.

        `limits` are the norms above which a row of a site was dropped; `skipped` are documents behind the
        last row. Raises UserError where a shard between the others is not there.
        """
        lines = list(self.finished.values())
        for number, line in enumerate(lines):
            if line["shard"] != number:
                raise UserError(
                    f"{self.folder} has no shard {number}, but one of number {line['shard']}.\n"
                    "Type the same command again: it makes the shards that are not there."
                )
        index = {
            "model": model,
            "context": context,
            "packing": packing,
            "dtype": dtype,
            "limits": dict(limits),
            "sites": dict(widths),
            "rows": sum(line["rows"] for line in lines),
            "splits": {name: sum(line["splits"][name] for line in lines) for name in SPLITS},
            "dropped": sum(line["dropped"] for line in lines),
            "skipped": self._tell(chain(*(line["skipped"] for line in lines), skipped)),
            "shards": [{key: line[key] for key in line if key != "skipped"} for line in lines],
        }
        said = json.dumps(index, indent=1) + "\n"
        with _room(self.folder / INDEX, len(said)), whole(self.folder / INDEX) as draft:
            draft.write_text(said)

    def _tell(self, skipped: Iterable[Sequence[str]]) -> dict[str, int]:
        """Write skipped.jsonl; how many were passed over for each reason."""
        reasons = Counter[str]()
        with whole(self.folder / SKIPPED) as draft, draft.open("w") as stream:
            for id, why in skipped:
                stream.write(json.dumps([id, why]) + "\n")
                reasons[why] += 1
        return dict(reasons)

    def _journal_bytes(self) -> int:
        return self._journal.path.stat().st_size if self._journal.path.is_file() else 0

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Holds the journal while a shard is written. Raises UserError if it has lines that are not ours."""
        with self._journal.path.open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if self._journal_bytes() != self._known:
                raise UserError(
                    f"another process writes {self._journal.path} too.\n"
                    "Let one of them finish, then type the same command again, which goes on from there."
                )
            yield


def finished(folder: Path) -> dict[int, Line]:
    """By number, the line of every shard that is whole on the disk, from all journals as they are now.

    It reads and no more, so that one may look while others write: a `StoreWriter` of the same number would
    cut off the line that they are about to end.
    """
    found: dict[int, list[Line]] = {}
    for path in sorted(folder.glob("journal-*.jsonl")):
        for line in complete(path.read_text()):
            if _there(folder, line):
                found.setdefault(line["shard"], []).append(line)
    return {number: _true(folder, lines) for number, lines in sorted(found.items())}


def _true(folder: Path, lines: Sequence[Line]) -> Line:
    """Of what journals say of one shard, that which is true: it may have been lost and made again."""
    if any(line != lines[0] for line in lines):
        found = checksum(folder / lines[0]["file"])
        return next((line for line in lines if line["checksum"] == found), lines[-1])
    return lines[0]


def _there(folder: Path, line: Line) -> bool:
    file = folder / line["file"]
    return file.is_file() and file.stat().st_size == line["bytes"]


@contextmanager
def _room(path: Path, needed: int) -> Iterator[None]:
    """Says in the user's words that there is no room for the file at `path`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        free = shutil.disk_usage(path.parent).free
        raise UserError(
            f"the disk is full: {path} could not be written ({error.strerror}).\n"
            f"It needs {needed / 1e6:,.1f} MB, and {free / 1e6:,.1f} MB are free.\n"
            "Make room and type the same command, which goes on from here."
        ) from error
