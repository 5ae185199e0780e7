"""Reads a store from end to end and names the shards that are not what was written; mends them if asked to.

hsae job=verify model=gpt2 layers=quartiles corpus=wikipedia corpus.tokens=1000000
hsae job=verify model=gpt2 layers=quartiles corpus=wikipedia corpus.tokens=1000000 job.repair=true
"""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from hsae import artifact, build, console
from hsae.artifact import MANIFEST, Address, Artifact, Need
from hsae.config import Config, Part
from hsae.errors import UserError
from hsae.execute import Job

if TYPE_CHECKING:
    from hsae.activations.columns import Damage
    from hsae.activations.store import Store

WRITES = None
FORMAT = 1


class Settings(Part):
    """The store is named by the choices that made it."""

    name: Literal["verify"]
    repair: bool
    """Harvest each damaged shard again, which puts the same bytes in its place or changes nothing."""


def needs(config: Config) -> dict[str, Need]:  # noqa: ARG001  the same keys name the store
    return {"store": Need("extract")}


def steps(config: Config) -> list[Config]:
    """The config of the store in question."""
    return [build.neighbour(config, need) for need in needs(config).values()]


def run(job: Job) -> dict[str, int | float | str]:
    """Raises UserError if a shard is damaged, and stays so."""
    from hsae.activations.store import Store

    (of,) = steps(job.config)
    address = build.address(of)
    made = _made(address, job.config.job.name)
    store = Store(address.folder)
    total, size = len(store.shards), sum(line["bytes"] for line in store.shards)
    checked = map(store.damage, range(total))
    found = [damage for damage in job.progress(checked, total=total, desc="shards") if damage]
    if found:
        _show(found)
        if not job.config.job.repair:
            raise _damaged(found, total, address)
        mended = _repaired(store, found, _as_made(of, made))
        for damage in job.progress(mended, total=len(found), desc="repair"):
            job.say(f"{damage.file} is what was written again")
    artifact.read(address.folder).verify()  # what lies beside the shards
    job.say(f"{total} shards, {size:,} bytes, are what was written: {address.folder}")
    return {"shards": total, "bytes": size, "repaired": len(found)}


def _made(address: Address, reader: str) -> Artifact:
    """The store as it was published, as far as that can be said without its shards."""
    from hsae.activations.writer import INDEX

    if not address.folder.exists():
        return artifact.require(address, reader)  # which says how to make it
    try:
        manifest = json.loads((address.folder / MANIFEST).read_text())
    except (OSError, ValueError):
        return artifact.read(address.folder)  # which says what is wrong
    made = Artifact(address.folder, manifest)
    made.path(INDEX)  # what the shards are held to
    return made


def _damaged(found: Sequence["Damage"], total: int, address: Address) -> UserError:
    command = address.command.replace("job=extract", "job=verify job.repair=true", 1)
    return UserError(
        f"{len(found)} of {total} shards of {address.folder} are damaged.\nHarvest them again:\n  {command}"
    )


def _show(found: Sequence["Damage"]) -> None:
    rows = [(each.file, f"{each.rows[0]:,} to {each.rows[1] - 1:,}", each.why) for each in found]
    console.table("damaged shards", ("shard", "rows", "why"), rows)


def _as_made(config: Config, made: Artifact) -> Config:
    """The config, with forward passes as large and as precise as those that made the store, whatever is
    chosen today: they decide the last bits."""
    then = {key: made.config["hardware"][key] for key in ("batch_tokens", "dtype")}
    return config.model_copy(update={"hardware": config.hardware.model_copy(update=then)})


def _repaired(store: "Store", found: Sequence["Damage"], config: Config) -> Iterator["Damage"]:
    """Each shard, once it lies there as it was written. Raises UserError for one that cannot be."""
    from hsae.activations.harvest import Reading, again
    from hsae.activations.store import Store
    from hsae.activations.windows import Cursor
    from hsae.corpora.chosen import chosen_corpus
    from hsae.lm import chosen_lm

    lm = chosen_lm(config)
    Store(store.folder, model=lm.fingerprint)
    documents = chosen_corpus(config)
    reading = Reading.of(config, lm.layers)
    for damage in found:
        line = store.shards[damage.number]
        places = {"start": Cursor(*line["start"]), "stop": Cursor(*line["next"])}
        store.repair(damage.number, again(lm, documents, reading, **places, limits=store.limits))
        yield damage
