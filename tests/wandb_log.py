"""What an offline W&B run wrote, read back from its .wandb file.

The file is LevelDB's log format (blocks of 32 KiB, records split over them) behind a header of seven bytes;
its records are W&B's protocol buffers. W&B has no public reader (0.31).
"""

import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

BLOCK, FRAME = 32 * 1024, struct.Struct("<IHB")  # checksum, length, kind
WHOLE, LAST = 1, 4


@dataclass
class Logged:
    """One run as its dashboard would show it."""

    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, str] = field(default_factory=dict)
    code: int | None = None

    def series(self, name: str) -> list[tuple[float, float]]:
        """(tokens, value) of one number."""
        return [(row["tokens"], row[name]) for row in self.rows if name in row]


def finished(path: Path, *, patience: float = 10) -> Logged:
    """The run of a file whose last record W&B's own process may write a moment after `finish`."""
    end = time.monotonic() + patience
    while (logged := read(path)).code is None and time.monotonic() < end:
        time.sleep(0.02)
    return logged


def read(path: Path) -> Logged:
    logged = Logged()
    for data in _records(path.read_bytes()):
        record = Record.FromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            logged.run = record.run
            logged.config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "history":
            logged.rows.append({_name(item): json.loads(item.value_json) for item in record.history.item})
        elif kind == "summary":
            logged.summary |= {_name(item): json.loads(item.value_json) for item in record.summary.update}
        elif kind == "metric":
            logged.steps[record.metric.name or record.metric.glob_name] = record.metric.step_metric
        elif kind == "exit":
            logged.code = record.exit.exit_code
    return logged


def _name(item: Any) -> str:
    return item.key or "/".join(item.nested_key)


def _records(data: bytes) -> Iterator[bytes]:
    assert data[:4] == b":W&B"
    position, parts = 7, []
    while position + FRAME.size <= len(data):
        if (left := BLOCK - position % BLOCK) < FRAME.size:
            position += left
            continue
        _, length, kind = FRAME.unpack_from(data, position)
        if kind == 0:
            return
        position += FRAME.size
        parts.append(data[position : position + length])
        position += length
        if kind in (WHOLE, LAST):
            yield b"".join(parts)
            parts = []
