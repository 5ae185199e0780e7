"""Reads a store or an encyclopedia from end to end and names what is not what was written.

hsae job=verify model=gpt2 layers=quartiles corpus=wikipedia corpus.tokens=1000000
hsae job=verify model=gpt2 layers=quartiles corpus=wikipedia corpus.tokens=1000000 job.repair=true
hsae job=verify job.of=encyclopedia stage=templates
hsae job=verify job.of=encyclopedia stage=adversarial job.share=1

A store's shards are held to their checksums, and mended if asked to. So are an encyclopedia's, and some of
its concepts (those of a damaged shard all) are read again from the texts that it keeps.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PositiveFloat

from hsae import artifact, build, console
from hsae.artifact import MANIFEST, Address, Artifact, Need
from hsae.config import Config, Part
from hsae.errors import ConfigError, UserError
from hsae.execute import Job
from hsae.journal import checksum

if TYPE_CHECKING:
    from hsae.activations.columns import Damage
    from hsae.activations.store import Store
    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.recompute import Difference, Recomputed
    from hsae.lm import LM

WRITES = None
FORMAT = 1

SHOWN = 20
"""Rows of a table at the keyboard, at most."""


class Settings(Part):
    """What is verified is named by the choices that made it."""

    name: Literal["verify"]
    of: Literal["store", "encyclopedia"]
    repair: bool
    """Harvest each damaged shard again, which puts the same bytes in its place or changes nothing."""
    share: Annotated[float, Field(gt=0, le=1)]
    """Of an encyclopedia's concepts, the part that is read again: those whose ids hash lowest."""
    tolerance: PositiveFloat | None
    """How far off a vector may come out, in shares of its length; null: what `hardware.dtype` makes of it."""


def needs(config: Config) -> dict[str, Need]:
    """The same keys name the artifact."""
    if config.job.of == "store":
        return {"store": Need("extract")}
    return {"encyclopedia": Need(config.encyclopedia.made_by)}


def steps(config: Config) -> list[Config]:
    """The config of the artifact in question."""
    return [build.neighbour(config, need) for need in needs(config).values()]


def run(job: Job) -> dict[str, int | float | str]:
    """Raises UserError if anything is damaged, and stays so."""
    return _store(job) if job.config.job.of == "store" else _encyclopedia(job)


def _encyclopedia(job: Job) -> dict[str, int | float | str]:
    config = job.config
    if config.job.repair:
        raise ConfigError(
            "job.repair mends stores: a shard of an encyclopedia is made of all stages before it.\n"
            "Bootstrap again with force=true what is damaged."
        )
    (of,) = steps(config)
    address = build.address(of)
    made = artifact.find(address) or artifact.require(address, config.job.name)  # which says how to make it
    books = _books(made)
    damaged = _unlike(job, made, books)
    checked = _checked(job, made, books, damaged)
    found = [difference for each in checked for difference in each.found]
    if damaged or found:
        _tell(damaged, found)
        raise _wrong(config, address, damaged, found)
    files, largest = len(made.manifest["files"]), max((each.largest for each in checked), default=0.0)
    concepts, contexts = sum(each.concepts for each in checked), sum(each.contexts for each in checked)
    job.say(
        f"{files} files are what was written, and {concepts} concepts come out the same from "
        f"{contexts:,} texts (largest deviation {largest:.1e} of a vector's length): {made.folder}"
    )
    off = {"largest_deviation": float(f"{largest:.3g}")}
    return {"files": files, "concepts": concepts, "contexts": contexts, **off}


def _books(made: Artifact) -> "list[Encyclopedia]":
    """The encyclopedia and that of its controls. Raises UserError where what they are read by is damaged."""
    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.encyclopedia import CONCEPTS, INDEX

    for name in made.manifest["files"]:
        if name.rpartition("/")[2] in (CONCEPTS, INDEX):
            made.path(name)
    book = Encyclopedia(made.folder)
    return [book] if book.controls is None else [book, book.controls]


def _checked(
    job: Job, made: Artifact, books: "Sequence[Encyclopedia]", damaged: dict[Path, str]
) -> "list[Recomputed]":
    """What comes of reading some of it again. Raises UserError for another model than it was made with."""
    from hsae.lm import chosen_lm

    if job.config.encyclopedia.path is not None:
        job.say("the texts of an imported encyclopedia are not known: nothing is read again")
        return []
    lm = chosen_lm(_as_made(job.config, made))
    if books[0].model != lm.fingerprint:
        raise UserError(
            f"{made.folder} is of the model {books[0].model}, and {job.config.model.path} is "
            f"{lm.fingerprint} now: its texts cannot be read again.\nName the model that it was made with."
        )
    every = (part for book in books for part in _again(job, lm, book, damaged))
    total = sum(len(book.shards) for book in books)
    return list(job.progress(every, total=total, desc="shards"))


def _unlike(job: Job, made: Artifact, books: "Sequence[Encyclopedia]") -> dict[Path, str]:
    """Files that are not what was written, and why. The manifest holds small ones to a hash, an index its
    shards to checksums."""
    found: dict[Path, str] = {}
    for name in job.progress(made.manifest["files"], total=len(made.manifest["files"]), desc="files"):
        try:
            made.path(name)
        except UserError as problem:
            found[made.folder / name] = str(problem).splitlines()[0].partition("is damaged: ")[2]
    for book in books:
        for path in book.shards:
            said = book.checksums.get(path.name)
            if path not in found and said is not None and checksum(path) != said:
                found[path] = f"the content of {path.name} is not what was written"
    return found


def _again(job: Job, lm: "LM", book: "Encyclopedia", damaged: Collection[Path]) -> "Iterator[Recomputed]":
    """The chosen share of concepts read again, and all of damaged shards, where the fault is to be found."""
    import numpy as np

    from hsae.encyclopedia.recompute import chosen, recompute, tolerance_of

    settings, every = job.config.job, np.arange(len(book.taxonomy))
    suspect = np.array([path in damaged for path in book.shards])[every // book.block_size]
    rows = np.union1d(chosen(book, share=settings.share, seed=job.config.seed), every[suspect])
    tolerance = settings.tolerance or tolerance_of(lm.model.dtype)
    return recompute(lm, book, rows, tolerance=tolerance, batch_tokens=job.config.hardware.batch_tokens)


def _tell(damaged: dict[Path, str], found: "Sequence[Difference]") -> None:
    if damaged:
        console.table("damaged files", ("file", "why"), [(p.name, why) for p, why in damaged.items()][:SHOWN])
    if found:
        console.table("not what the texts give", ("concept", "place", "what"), found[:SHOWN])


def _wrong(
    config: Config, address: Address, damaged: dict[Path, str], found: "Sequence[Difference]"
) -> UserError:
    names = list(dict.fromkeys(difference.concept for difference in found if difference.concept))
    what = []
    if damaged:
        first = ", ".join(path.name for path in list(damaged)[:3])
        what.append(f"{len(damaged)} files of {address.folder} are damaged: {first}")
    if names:
        what.append(f"{len(names)} concepts are not what their texts give, such as {', '.join(names[:3])}")
    before = f"It adds to stage={config.stage.after}: verify that first.\n" if config.stage.after else ""
    half = "" if damaged else "If it was made in another precision: job.tolerance=0.02\n"
    return UserError("; ".join(what) + f".\n{before}{half}Make it again:\n  {address.command} force=true")


def _store(job: Job) -> dict[str, int | float | str]:
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
    """The config, with forward passes as large and as precise as those that made it, whatever is
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
