"""What the benchmarks' commands share: one measurement after the other, a table, an exit code."""

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple, final

from experiments.benchmarks.rows import HEAD, Row, markdown


@final
class Task(NamedTuple):
    """A measurement that may fail without the others."""

    part: str
    of: str
    measure: Callable[[], Iterator[Row]]


def run(
    tasks: Iterable[Task], parts: Sequence[str], *, out: str | None, device: str, packages: Sequence[str]
) -> int:
    """Measures the parts, shows the table and writes it to `out`; 1 where something could not be measured."""
    found: list[Row] = []
    _say("  ".join(HEAD))
    for task in tasks:
        if task.part in parts:
            for row in _attempted(task):
                found.append(row)
                _say("  ".join(row.cells()))
            if out:  # what is measured is kept, should the rest take too long
                _write(found, Path(out), device, packages)
    outcomes = [row.outcome for row in found]
    _say(", ".join(f"{outcomes.count(said)} {said}" for said in ("PASS", "FAIL", "ERROR")))
    return int("ERROR" in outcomes)


def _attempted(task: Task) -> Iterator[Row]:
    """The rows of a measurement; a failure is one of them."""
    try:
        yield from task.measure()
    except Exception as error:  # noqa: BLE001  shown, counted, and told by the exit code
        traceback.print_exc()
        yield Row(task.part, task.of, "", "", None, problem=f"{type(error).__name__}: {error}"[:200])


def _write(rows: list[Row], folder: Path, device: str, packages: Sequence[str]) -> None:
    """The table for people and for programs."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = _machine(device, packages)
    said = [
        f"Measured on {machine['machine']} with " + _listed(machine["versions"]) + ".",
        "",
        markdown(rows),
    ]
    (folder / f"{device}.md").write_text("\n".join(said) + "\n")
    whole = machine | {"rows": [row.to_dict() for row in rows]}
    (folder / f"{device}.json").write_text(json.dumps(whole, indent=1) + "\n")


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{package} {number}" for package, number in versions.items())


def _machine(device: str, packages: Sequence[str]) -> dict[str, Any]:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    named = f"{cores} CPU cores"
    if device == "cuda":
        named += f" and one {torch.cuda.get_device_name()}"
    versions = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"machine": named, "versions": versions}


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
