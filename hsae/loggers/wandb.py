"""Weights & Biases: one run per job, on the axis of tokens; a job that fails is a run that crashed."""

import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, final

from hsae.config import Part
from hsae.loggers.log import Log, Run

NOTE = "wandb.json"
"""Beside the results: which run they belong to, so that a killed job resumes its own run."""


class Settings(Part):
    name: Literal["wandb"]
    mode: Literal["online", "offline"]
    project: str
    entity: str | None


@contextmanager
def opened(settings: Settings, run: Run) -> Iterator[Log]:
    """A W&B run for the time of the job, its files under `<outputs>/wandb`."""
    _stay_in(run.outputs / "wandb")
    import wandb  # here, for it costs most of a second

    with wandb.init(
        project=settings.project,
        entity=settings.entity,
        mode=settings.mode,
        dir=run.outputs.resolve(),  # W&B's own process may have been started elsewhere
        id=identity(run.folder / NOTE),
        resume="allow",
        name=run.name,
        group=run.group,
        job_type=run.job,
        tags=run.tags,
        notes=run.notes,
        config=dict(run.config),
        # our terminal output belongs to the terminal; the code is in git, and the manifest says where
        settings=wandb.Settings(console="off", quiet=True, silent=True, disable_git=True, save_code=False),
    ) as live:
        live.define_metric("tokens")
        live.define_metric("*", step_metric="tokens")
        yield Wandb(live)


def _stay_in(folder: Path) -> None:
    """W&B stages files in the home directory unless told otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    for variable, name in (
        ("WANDB_DATA_DIR", "data"),
        ("WANDB_CACHE_DIR", "cache"),
        ("WANDB_CONFIG_DIR", "config"),
    ):
        os.environ.setdefault(variable, str(folder.resolve() / name))


def identity(note: Path) -> str:
    """The run that an earlier attempt at this artifact began, else a new one."""
    if note.is_file():
        return json.loads(note.read_text())["id"]
    identity = secrets.token_hex(4)
    note.write_text(json.dumps({"id": identity}))
    return identity


@final
class Wandb:
    def __init__(self, live: Any):
        self._live, self._tokens = live, 0

    def scalars(self, values: Mapping[str, int | float], *, tokens: int) -> None:
        self._tokens = tokens
        self._live.log({**values, "tokens": tokens})

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        import wandb

        # allow_mixed_type: a column of numbers may hold None where there is nothing to say
        table = wandb.Table(columns=list(columns), data=[list(row) for row in rows], allow_mixed_types=True)
        self._live.log({name: table, "tokens": self._tokens})

    def image(self, name: str, path: Path) -> None:
        import wandb

        self._live.log({name: wandb.Image(str(path)), "tokens": self._tokens})

    def rewind(self, tokens: int) -> None:
        """W&B cannot unsay: points said twice share their place on the axis of tokens."""
        self._tokens = tokens

    def summary(self, values: Mapping[str, int | float | str]) -> None:
        self._live.summary.update(dict(values))
