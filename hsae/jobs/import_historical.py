"""Makes an encyclopedia of an HDF5 file of HatCat, and names the file's faults.

hsae job=import_historical encyclopedia.path=encyclopedia_stage0.h5
hsae job=import_historical encyclopedia.path=encyclopedia_stage0.h5 model.path=google/gemma-3-270m
hsae job=converge encyclopedia.path=encyclopedia_stage1.h5

What the file does not say stays unknown. Layers get the names of sites where `model` is the file's own and
its depth is at hand. Other jobs read this encyclopedia under the same `encyclopedia.path`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hsae.artifact import Need
from hsae.concepts.files import fingerprint
from hsae.config import Config, Part
from hsae.errors import ConfigError, UserError
from hsae.execute import Job

if TYPE_CHECKING:
    from hsae.encyclopedia.historical.layout import HistoricalFile

WRITES = "encyclopedia"
FORMAT = 1


class Settings(Part):
    """The file is named by `encyclopedia.path`, so that whoever reads the encyclopedia can name it too."""

    name: Literal["import_historical"]


def needs(config: Config) -> dict[str, Need]:  # noqa: ARG001  the file is no artifact
    return {}


def choices(config: Config) -> dict[str, object]:
    """Raises UserError where there is no file of HatCat."""
    if config.encyclopedia.path is None:
        return {"content": None}
    return {"content": fingerprint(_path(config)), "depth": _depth(config, _file(config).model)}


def slug(config: Config) -> str:
    stem = Path(config.encyclopedia.path or "none").stem
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in stem)


def estimate(config: Config) -> dict[str, str | int]:
    if config.encyclopedia.path is None:
        return {}
    # about: float16 becomes a mean in float32 and a raw row in float16, and gzip had saved a tenth
    return {"bytes": 4 * _path(config).stat().st_size}


def run(job: Job) -> dict[str, int | float | str]:
    """Raises ConfigError without a file."""
    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.historical.importing import import_file
    from hsae.encyclopedia.writer import block_size

    config = job.config
    if config.encyclopedia.path is None:
        raise ConfigError(
            "job=import_historical reads a file of HatCat, and none is named.\n"
            "Type encyclopedia.path=encyclopedia_stage0.h5"
        )
    file = _file(config)
    blocks = -(-len(file.names) // block_size(file.d))
    done = import_file(file, job.out, depth=_depth(config, file.model))
    for _ in job.progress(done, total=blocks, desc="blocks of concepts"):
        pass
    book = Encyclopedia(job.out)
    stage = book.stages[0]
    faults = [*stage["faults"], *(f"{n} rows left out: {why}" for why, n in stage["left_out"].items())]
    for fault in faults:
        job.say(fault)
    job.log.table("faults of the file", ["fault"], [[fault] for fault in faults])
    job.say(f"unknown: {stage['unknown']}; sites: {', '.join(book.sites)}")
    return {
        "concepts": len(book.taxonomy),
        "without_a_row": int((book.count(role="all") == 0).sum()),
        "contexts": stage["contexts"],
        "layout": stage["layout"],
        "faults": len(faults),
    }


def _path(config: Config) -> Path:
    path = Path(str(config.encyclopedia.path)).expanduser()
    if not path.is_file():
        raise UserError(
            f"encyclopedia.path={config.encyclopedia.path}: there is no such file.\n"
            "Name an HDF5 file that HatCat wrote."
        )
    return path


def _file(config: Config) -> "HistoricalFile":
    from hsae.encyclopedia.historical.layout import HistoricalFile

    return HistoricalFile(_path(config))


def _depth(config: Config, model: str) -> int | None:
    """Layers of the file's model, where `model` is the same and its config.json is at hand."""
    facts = config.model.facts() if config.model.path == model else None
    return facts.layers if facts is not None else None
