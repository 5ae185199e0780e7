"""A job that reads what `grow` made."""

from typing import Literal

from pydantic import NonNegativeInt

from hsae.artifact import Need
from hsae.config import Config, Part
from hsae.execute import Job

WRITES = "row"
FORMAT = 1


class Settings(Part):
    name: Literal["pick"]
    row: NonNegativeInt


def needs(config: Config) -> dict[str, Need]:
    return {"rows": Need("grow")}


def choices(config: Config) -> dict:
    return {"row": config.job.row}


def slug(config: Config) -> str:
    return f"row{config.job.row}"


def estimate(config: Config) -> dict:
    return {"rows": 1}


def run(job: Job) -> dict[str, int | float | str]:
    row = job.inputs["rows"].path("rows.txt").read_text().splitlines()[job.config.job.row]
    (job.out / "row.txt").write_text(row)
    return {"row": row}
