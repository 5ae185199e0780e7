"""A result as one JSON file, which knows neither NaN nor infinity."""

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any


def write(found: Any, path: Path) -> None:
    """UTF-8 whatever the locale. Raises ValueError for a number that is not finite: see `finite`."""
    text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read(path: Path) -> Any:
    """What `write` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def finite(found: Any) -> Any:
    """The same with None for what is not finite, which a page shows as a dash; a NamedTuple by its names."""
    if hasattr(found, "_asdict"):
        return finite(found._asdict())
    if isinstance(found, Mapping):
        return {name: finite(value) for name, value in found.items()}
    if isinstance(found, list):
        return [finite(value) for value in found]
    return None if isinstance(found, float) and not isfinite(found) else found
