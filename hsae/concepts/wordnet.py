"""Princeton's WordNet 3.0, read through NLTK: 82,115 noun synsets and the other parts of speech.

A synset is a concept, keyed by its sense (`wn30:dog.n.01`). NLTK takes about 20 s to walk all of it, so the
parsed table is written once per machine and read in a second afterwards; its name holds a hash of the data
it came from.
"""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

from filelock import FileLock
from pydantic import PositiveInt

from hsae.concepts.taxonomy import Concept, Taxonomy
from hsae.concepts.wordnet_data import data_home, find
from hsae.config import Part
from hsae.errors import UserError

TABLE_FORMAT = 2


class Settings(Part):
    """`n`: how many, ancestors included (null: all). Instances are named individuals such as Paris."""

    name: Literal["wordnet"]
    n: PositiveInt | None
    pos: Literal["n", "v"]
    instances: bool


class Synset(NamedTuple):
    """One row of the parsed table; `topic` is the lexicographer file (`noun.animal`)."""

    id: str
    pos: str
    lemmas: tuple[str, ...]
    gloss: str
    examples: tuple[str, ...]
    parents: tuple[str, ...]
    is_instance: bool
    count: int
    topic: str


def found() -> bool:
    """Whether WordNet lies where NLTK would look, without importing NLTK."""
    return find() is not None


def _home() -> Path:
    home = find()
    if home is None:
        raise UserError(
            "WordNet 3.0 is not on this machine.\n"
            "Get it with  make wordnet  (or: python -m hsae.concepts.wordnet_data),\n"
            "or choose concepts=builtin."
        )
    return home


def _rows(home: Path) -> Iterator[Synset]:
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    # NLTK opens only what lies under its own data path
    nltk.data.path.insert(0, str(home))
    import warnings

    with warnings.catch_warnings():
        # it warns that the multilingual extension is absent; we ask for English only
        warnings.simplefilter("ignore")
        reader = WordNetCorpusReader(nltk.data.find("corpora/wordnet"), None)
        for pos, file in {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}.items():
            with (home / f"corpora/wordnet/data.{file}").open(encoding="utf-8") as data:
                lines = {line[:8]: line for line in data if line[0] != " "}
            for synset in reader.all_synsets(pos):
                yield _row(synset, lines[f"{synset.offset():08d}"])


def _row(synset: Any, line: str) -> Synset:
    """`line` is the synset's own in WordNet's file: NLTK keeps pointers in sets, whose order changes."""
    lemmas = synset.lemmas()
    above, instance_of = (
        sorted(parents, key=lambda parent: line.index(f" {parent.offset():08d} "))
        for parents in (synset.hypernyms(), synset.instance_hypernyms())
    )
    return Synset(
        id=f"wn30:{synset.name()}",
        pos="a" if synset.pos() == "s" else synset.pos(),
        lemmas=tuple(lemma.name().replace("_", " ") for lemma in lemmas),
        gloss=synset.definition(),
        examples=tuple(synset.examples()),
        parents=tuple(f"wn30:{parent.name()}" for parent in [*above, *instance_of]),
        is_instance=bool(instance_of),
        count=sum(lemma.count() for lemma in lemmas),
        topic=synset.lexname(),
    )


def fingerprint() -> str:
    """A hash of the data files that synsets, senses and counts come from."""
    folder = _home() / "corpora/wordnet"
    digest = sha256(f"table format {TABLE_FORMAT}".encode())
    for file in ("data.noun", "data.verb", "data.adj", "data.adv", "cntlist.rev"):
        digest.update((folder / file).read_bytes())
    return digest.hexdigest()[:10]


@cache
def synsets() -> tuple[Synset, ...]:
    """All synsets of all parts of speech, in the order of WordNet's files.

    Raises `UserError` where WordNet is not on this machine.
    """
    table = data_home() / f"wordnet30-{fingerprint()}.jsonl"
    if not table.is_file():
        table.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{table}.lock"):
            if not table.is_file():
                _write(table, _rows(_home()))
    with table.open(encoding="utf-8") as lines:
        return tuple(_from_json(json.loads(line)) for line in lines)


def _write(table: Path, rows: Iterable[Synset]) -> None:
    fresh = table.with_suffix(".partial")
    with fresh.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)
    fresh.replace(table)


def _from_json(values: list[Any]) -> Synset:
    frozen: list[Any] = [tuple(value) if isinstance(value, list) else value for value in values]
    return Synset(*frozen)


def _in_order(rows: dict[str, Synset]) -> list[Synset]:
    """Every parent before its children: by the longest way up, then by id."""
    height: dict[str, int] = {}

    def rank(id: str) -> int:
        if id not in height:
            height[id] = 1 + max((rank(parent) for parent in rows[id].parents), default=-1)
        return height[id]

    return sorted(rows.values(), key=lambda row: (rank(row.id), row.id))


def _frequent(rows: dict[str, Synset], n: int) -> set[str]:
    """The most frequent synsets and all that stand above them, exactly n; ties go to WordNet's own order."""
    chosen: set[str] = set()
    for row in sorted(rows.values(), key=lambda row: -row.count):
        family: set[str] = set()
        todo = [row.id]
        while todo:
            if (id := todo.pop()) not in chosen and id not in family:
                family.add(id)
                todo.extend(rows[id].parents)
        if len(chosen) + len(family) <= n:
            chosen |= family
        if len(chosen) == n:
            break
    return chosen


def _without_instances(rows: dict[str, Synset]) -> dict[str, Synset]:
    """Neither individuals nor what stands under them alone (a few islands under the West Indies)."""
    kept = {id: row for id, row in rows.items() if not row.is_instance}
    while True:
        fewer = {
            id: row._replace(parents=tuple(parent for parent in row.parents if parent in kept))
            for id, row in kept.items()
            if not row.parents or any(parent in kept for parent in row.parents)
        }
        if len(fewer) == len(kept):
            return fewer
        kept = fewer


def load(settings: Settings, *, seed: int) -> Taxonomy:  # noqa: ARG001  every source takes the seed
    """The taxonomy of one part of speech.

    Raises `UserError` where WordNet is missing or has fewer than `n` concepts: it is never padded.
    """
    rows = {row.id: row for row in synsets() if row.pos == settings.pos}
    if not settings.instances:
        rows = _without_instances(rows)
    if settings.n is not None:
        if settings.n > len(rows):
            raise UserError(
                f"concepts.n={settings.n}: WordNet has {len(rows)} concepts for pos={settings.pos}, "
                f"instances={settings.instances}.\n"
                f"Type concepts.n={len(rows)} or less, or concepts.n=null for all."
            )
        chosen = _frequent(rows, settings.n)
        rows = {id: row for id, row in rows.items() if id in chosen}
    depth: dict[str, int] = {}
    concepts = []
    for row in _in_order(rows):
        depth[row.id] = depth[row.parents[0]] + 1 if row.parents else 0
        concepts.append(
            Concept(
                id=row.id,
                name=row.lemmas[0],
                gloss=row.gloss,
                pos=row.pos,
                parents=row.parents,
                depth=depth[row.id],
                frequency=float(row.count),
                lemmas=row.lemmas,
                examples=row.examples,
            )
        )
    return Taxonomy(concepts)


def families(*, parents: int = 60, largest: int = 12) -> list[tuple[str, int]]:
    """Common single-word nouns with the number of their parent: the `parents` parents with most such nouns.

    Common means counted at least three times in WordNet's tagged text, in the word's first sense.
    """
    below: dict[str, list[Synset]] = {}
    for row in synsets():
        word = row.lemmas[0]
        plain = word.isalpha() and word.islower() and len(word) > 2
        if plain and row.pos == "n" and row.count > 2 and row.id.endswith(".01") and row.parents:
            below.setdefault(row.parents[0], []).append(row)
    kept = sorted(below.values(), key=lambda rows: (-len(rows), rows[0].parents[0]))[:parents]
    return [(row.lemmas[0], number) for number, rows in enumerate(kept) for row in rows[:largest]]
