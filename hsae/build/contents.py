"""What a choice of data stands for: its settings, and what is in the files that they name."""

from typing import Any

from hsae.build.plugins import plugin
from hsae.config import Part


def contents(group: str, part: Part, *, name: str | None = None) -> dict[str, Any]:
    """The settings of a source of concepts or text, with a hash of its files where the source can tell.

    `path` alone would let a changed file pass for the one that a result was made from. A source tells by a
    function `fingerprint(settings)`. `name` is for the groups of many, as in `plugin`.
    """
    module, settings = plugin(group, part, name=name)
    said = settings.model_dump()
    if "path" in said and hasattr(module, "fingerprint"):
        said["content"] = module.fingerprint(settings)
    return said
