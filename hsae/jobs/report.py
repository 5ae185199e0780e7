"""One page that shows what results hold: verdicts, dictionaries, learning, concepts, latents, and how all
was made.

    hsae job=report 'job.of=["job=evaluate sae=topk,hierarchical seed=0,1"]'

Whatever the named results were made from is shown too. The page is one file that fetches nothing; its tables
lie beside it.
"""

from typing import Literal

from hsae import build
from hsae.artifact import Need
from hsae.config import Config, Part
from hsae.errors import ConfigError
from hsae.execute import Job

WRITES = "report"
FORMAT = 1


class Settings(Part):
    """What is shown, and under which title."""

    name: Literal["report"]
    of: tuple[str, ...]
    """Lines of overrides, each a result or a sweep of them; a pipeline names the steps before this one."""
    title: str | None
    """Null: the name of the run."""


def needs(config: Config) -> dict[str, Need]:
    """Every result that a line of `of` speaks of."""
    if not config.job.of:
        raise ConfigError(
            "job=report shows results, and job.of names none.\n"
            "Try 'job.of=[\"job=evaluate sae=topk\"]', or run it in a pipeline: experiment=quickstart"
        )
    return build.needs_of(config.job.of)


def choices(config: Config) -> dict[str, object]:
    return {"title": _title(config), "seed": config.seed}


def slug(config: Config) -> str:
    return build.words(_title(config), most=60) or "report"


def estimate(config: Config) -> dict[str, str | int]:
    return {"results": len(needs(config)), "page": "one to five megabytes"}


def run(job: Job) -> dict[str, int | float | str]:
    from hsae.report.page import compose
    from hsae.report.read import Material
    from hsae.report.sections import all_sections
    from hsae.report.summary import facts, footer, lede
    from hsae.report.tables import write_tables

    material = Material(job.inputs.values())
    tables = write_tables(material, job.out)
    page = compose(
        title=_title(job.config),
        lede=lede(material),
        facts=facts(material),
        sections=all_sections(material, seed=job.config.seed),
        footer=footer(tables),
    )
    (job.out / "report.html").write_text(page, encoding="utf-8")
    verdicts = [claim.verdict for claim in (*material.claims, *material.geometry)]
    passed = sum(verdict["outcome"] == "PASS" and not verdict["trivial"] for verdict in verdicts)
    return {
        "results": len(material.artifacts),
        "passed": f"{passed} of {len(verdicts)} claims",
        "bytes": len(page.encode()),
    }


def _title(config: Config) -> str:
    return config.job.title or config.name or "What the dictionaries know"
