"""Counts rows into a file, slowly if asked, and fails in every way there is if told to."""

import errno
import os
import signal
import time
from typing import Literal

from pydantic import PositiveInt

from hsae.config import Config, Part
from hsae.errors import UserError
from hsae.execute import Job

WRITES = "rows"
FORMAT = 1


class Settings(Part):
    name: Literal["grow"]
    rows: PositiveInt
    pause: float
    end: Literal["well", "bug", "mistake", "full", "interrupt", "terminate", "kill"]


def needs(config: Config) -> dict:
    return {}


def choices(config: Config) -> dict:
    return {"seed": config.seed, "rows": config.job.rows, "tokens": config.train.tokens}


def slug(config: Config) -> str:
    return f"rows{config.job.rows}-seed{config.seed}"


def estimate(config: Config) -> dict:
    return {"rows": config.job.rows, "bytes": 8 * config.job.rows}


def run(job: Job) -> dict[str, int | float | str]:
    journal = job.out / "rows.txt"
    with journal.open("a") as stream:
        begun = len(journal.read_text().splitlines())
        for row in job.progress(range(begun, job.config.job.rows), total=job.config.job.rows):
            stream.write(f"{job.config.seed} {row}\n")
            stream.flush()
            job.log.scalars({"grow/row": row}, tokens=row)
            time.sleep(job.config.job.pause)
    _end(job.config.job.end)
    return {"rows": len(journal.read_text().splitlines()), "begun": begun}


def _end(end: str) -> None:
    if end == "bug":
        raise ZeroDivisionError("a fault of ours")
    if end == "mistake":
        raise UserError("the corpus is empty.\nName another with corpus.path.")
    if end == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "rows.txt")
    if end == "interrupt":
        raise KeyboardInterrupt
    if end in ("terminate", "kill"):
        os.kill(os.getpid(), signal.SIGTERM if end == "terminate" else signal.SIGKILL)
        time.sleep(5)
