"""What `job=converge` found, as it lies in its result folder."""

from pathlib import Path
from typing import Any

from hsae import json_file

TABLE = "convergence.json"


def load(folder: Path) -> dict[str, Any]:
    """Site -> historical curve, status of the concepts, errors, components, nulls, samples to convergence."""
    return json_file.read(Path(folder) / TABLE)
