"""What `job=converge` found, as it lies in its result folder."""

import json
from pathlib import Path
from typing import Any

TABLE = "convergence.json"


def load(folder: Path) -> dict[str, Any]:
    """Site -> historical curve, status of the concepts, errors, components, nulls, samples to convergence."""
    return json.loads((Path(folder) / TABLE).read_text())
