"""Runs the LM over a corpus once and keeps the activations at all chosen sites.

hsae job=extract model=gpt2 layers=quartiles corpus=wikipedia corpus.tokens=1000000
hsae job=extract hardware.processes=4
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from hsae.activations.sizes import BESIDE, row_bytes, shard_rows
from hsae.artifact import Need
from hsae.config import Config, Part
from hsae.execute import Job
from hsae.lm import cost, files

if TYPE_CHECKING:
    from hsae.activations import Store

WRITES = "store"
FORMAT = 3

REASONS = 5
"""Why documents were passed over is told in so many lines."""


class Settings(Part):
    """All choices stand in other groups: model, layers, corpus, capture."""

    name: Literal["extract"]


def needs(config: Config) -> dict[str, Need]:  # noqa: ARG001  the corpus and the model come from outside
    return {}


def choices(config: Config) -> dict[str, object]:
    return files.reading_choices(config)


def slug(config: Config) -> str:
    place = files.site_label(config.model, config.layers)
    return f"{files.model_name(config.model)}-{place}-{config.corpus.name}-{config.corpus.tokens}"


def estimate(config: Config) -> dict[str, str | int]:
    facts, rows = config.model.facts(), config.corpus.tokens
    if facts is None:
        return {"rows": rows}
    sites = config.layers.resolve(facts.layers)
    widths = [facts.width(site) or facts.d for site in sites]
    a_row = sum(row_bytes(config.capture.dtype, width) for width in widths)
    shard = a_row * min(rows, shard_rows(a_row))
    asked = cost.passes(config, rows)
    return {
        "rows": rows,
        "bytes": rows * (a_row + BESIDE),
        **asked,
        "memory": asked["memory"] + shard,
        "ram": 3 * shard,  # one is written while the next is filled: itself, the next, and the file
    }


def run(job: Job) -> dict[str, int | float | str]:
    from hsae.activations.store import Store
    from hsae.activations.writer import finished
    from hsae.launch import launch

    rows = lambda: sum(line["rows"] for line in finished(job.out).values())
    before, start = rows(), time.monotonic()
    steps = launch(job, rows) if job.config.hardware.processes > 1 else _harvest(job, 0, 1)
    wanted = job.config.corpus.tokens
    for _ in job.progress(_thousands(steps), total=wanted // 1000, desc="thousand rows"):
        pass
    store, seconds = Store(job.out), time.monotonic() - start
    for line in _passed_over(store):
        job.say(line)
    job.log.table("passed over", ["why", "documents"], [[*pair] for pair in store.reasons.items()])
    if store.dropped:
        job.say(f"{store.dropped:,} rows were dropped as outliers")
    if store.count() + store.dropped < wanted:
        job.say(f"the corpus ended after {store.count() + store.dropped:,} of {wanted:,} rows")
    found: dict[str, int | float | str] = {
        "rows": store.count(),
        "documents": len(store.document_ids()),
        "skipped": sum(store.reasons.values()),
        "outliers": store.dropped,
    }
    harvested = store.count() - before  # none, where a killed run had written all of it
    return found | ({"tokens_per_second": round(harvested / seconds, 1)} if harvested else {})


def _passed_over(store: "Store") -> Iterator[str]:
    """The commonest reasons, each with its first document; what is beyond them stands in a file."""
    first: dict[str, str] = {}
    for id, why in store.skipped():
        first.setdefault(why, id)
    reasons = sorted(store.reasons.items(), key=lambda reason: -reason[1])
    for why, count in reasons[:REASONS]:
        yield f"passed over: {count:,}, such as {first[why]}: {why}"
    if rest := reasons[REASONS:]:
        count = sum(count for _, count in rest)
        yield f"passed over: {count:,} for {len(rest):,} other reasons; skipped.jsonl has them all"


def _thousands(steps: Iterable[int]) -> Iterator[None]:
    """An item for every thousand rows that are done."""
    said = None
    for rows in steps:
        said = rows // 1000 if said is None else said
        for _ in range(said, rows // 1000):
            yield
        said = max(said, rows // 1000)


def work(job: Job, process: int, processes: int, alive: Callable[[], bool]) -> None:
    """The share of one of several processes. Raises SystemExit where nobody waits for it any more."""
    for _ in _harvest(job, process, processes):
        if not alive():
            raise SystemExit("the job that this process worked for is gone")


def _harvest(job: Job, process: int, processes: int) -> Iterator[int]:
    """Writes this process's shards, and the first of them the index when all have written theirs."""
    from hsae.activations.harvest import Reading, finish, harvest, outlier_limits
    from hsae.activations.writer import StoreWriter
    from hsae.corpora.chosen import chosen_corpus
    from hsae.lm import chosen_lm

    config = job.config
    lm = chosen_lm(config)
    documents = chosen_corpus(config)
    reading = Reading.of(config, lm.layers)
    writer = StoreWriter(job.out, process=process)
    limits = outlier_limits(lm, documents, reading)  # the same in every process: it reads the same rows
    behind = yield from harvest(
        lm, documents, writer, reading, limits=limits, process=process, processes=processes
    )
    if processes > 1:
        _wait_for_all()
    if process == 0:
        finish(StoreWriter(job.out), lm, reading, limits=limits, skipped=behind)


def _wait_for_all() -> None:
    """Until every process has written its shards."""
    from torch import distributed

    distributed.barrier()
