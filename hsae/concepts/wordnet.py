"""Princeton's WordNet 3.0, read through NLTK: 82,115 noun synsets and the other parts of speech.

Nouns stand in one tree, verbs in a forest; adjectives and adverbs have nothing above them. A synset is a
concept, keyed by its sense (`wn30:dog.n.01`). NLTK takes about 20 s to walk all of it, so the parsed table is
written once per machine and read in a second afterwards; its name holds a hash of the data it came from.
"""

import json
import warnings
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from filelock import FileLock
from pydantic import Field, PositiveInt

from hsae.concepts.choose import first, in_turns
from hsae.concepts.hierarchy import parents_first
from hsae.concepts.taxonomy import Concept, Taxonomy
from hsae.concepts.wordnet_data import data_home, find
from hsae.config import Listed, Part
from hsae.errors import UserError
from hsae.seeding import unit_interval

TABLE_FORMAT = 4

RELATIONS = frozenset(["@", "~", "%p", "%s", "%m", "#p", "#s", "#m", "&", "=", "*", ">"])
"""Pointers of wninput(5WN) that connectivity counts, the twelve that HatCat counted: kinds and kinds of it,
parts, substances and members both ways, similar, attribute, entailment, cause. Instances and relations
between words (antonyms, derivations) are not among them."""


class Settings(Part):
    """`n`: how many, ancestors included (null: all), taken in `order`. `pos`: parts of speech, one or several
    of n, v, a, r. Instances are named individuals such as Paris."""

    name: Literal["wordnet"]
    n: PositiveInt | None
    pos: Annotated[tuple[Literal["n", "v", "a", "r"], ...], Listed, Field(min_length=1)]
    order: Literal["frequency", "depth", "connectivity", "stratified", "random"]
    instances: bool


class Synset(NamedTuple):
    """One row of the parsed table; `topic` is the lexicographer file (`noun.animal`), `relations` how many
    pointers of the kinds in `RELATIONS` lead from it, `antonyms` are the synsets of its words' antonyms."""

    id: str
    pos: str
    lemmas: tuple[str, ...]
    gloss: str
    examples: tuple[str, ...]
    parents: tuple[str, ...]
    is_instance: bool
    count: int
    topic: str
    relations: int
    antonyms: tuple[str, ...]


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


def reader(home: Path) -> Any:
    """NLTK's own reader of the data in `home`."""
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    # NLTK opens only what lies under its own data path
    nltk.data.path.insert(0, str(home))
    with warnings.catch_warnings():
        # it warns that the multilingual extension is absent; we ask for English only
        warnings.simplefilter("ignore")
        return WordNetCorpusReader(nltk.data.find("corpora/wordnet"), None)


def _rows(home: Path) -> Iterator[Synset]:
    nltk_reader = reader(home)
    for pos, file in {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}.items():
        with (home / f"corpora/wordnet/data.{file}").open(encoding="utf-8") as data:
            lines = {line[:8]: line for line in data if line[0] != " "}
        for synset in nltk_reader.all_synsets(pos):
            yield _row(nltk_reader, synset, lines[f"{synset.offset():08d}"])


def _row(nltk_reader: Any, synset: Any, line: str) -> Synset:
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
        relations=sum(symbol in RELATIONS for symbol, _, _ in _pointers(line)),
        antonyms=_antonyms(nltk_reader, line),
    )


def _antonyms(nltk_reader: Any, line: str) -> tuple[str, ...]:
    """Antonymy is between words; what is told is the synsets that they stand in, in the file's order."""
    targets = [(pos, int(offset)) for symbol, offset, pos in _pointers(line) if symbol == "!"]
    named = (nltk_reader.synset_from_pos_and_offset(*target).name() for target in dict.fromkeys(targets))
    return tuple(f"wn30:{name}" for name in named)


def _pointers(line: str) -> list[tuple[str, str, str]]:
    """A synset's pointers as symbol, offset and part of speech: behind its words come their number, then four
    fields for each."""
    fields = line.split(" | ", 1)[0].split(" ")
    behind = 4 + 2 * int(fields[3], 16)
    first, last = behind + 1, behind + 1 + 4 * int(fields[behind])
    return [(fields[at], fields[at + 1], fields[at + 2]) for at in range(first, last, 4)]


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


def load(settings: Settings, *, seed: int) -> Taxonomy:
    """The taxonomy of the parts of speech; the seed decides where the order is `stratified` or `random`.

    Raises `UserError` where WordNet is missing or has fewer than `n` concepts: it is never padded.
    """
    rows = {row.id: row for row in synsets() if row.pos in settings.pos}
    if not settings.instances:
        rows = _without_instances(rows)
    in_order = parents_first({row.id: row.parents for row in rows.values()})
    taxonomy = Taxonomy(_concept(rows[id], depth) for id, depth in in_order)
    if settings.n is None:
        return taxonomy
    order = _ORDERS[settings.order](list(rows.values()), taxonomy, seed)
    source = f"WordNet with pos={','.join(settings.pos)} and instances={str(settings.instances).lower()}"
    return first(taxonomy, settings.n, order=[taxonomy.index[row.id] for row in order], source=source)


def _concept(row: Synset, depth: int) -> Concept:
    return Concept(
        id=row.id,
        name=row.lemmas[0],
        gloss=row.gloss,
        pos=row.pos,
        parents=row.parents,
        depth=depth,
        frequency=float(row.count),
        lemmas=row.lemmas,
        examples=row.examples,
        antonyms=row.antonyms,
    )


def _frequency(rows: list[Synset], taxonomy: Taxonomy, seed: int) -> list[Synset]:  # noqa: ARG001  see _ORDERS
    """What WordNet's tagged text has most of; ties stand as in WordNet's files."""
    return sorted(rows, key=lambda row: -row.count)


def _depth(rows: list[Synset], taxonomy: Taxonomy, seed: int) -> list[Synset]:  # noqa: ARG001
    """Breadth first: the roots, what stands below them, and so on; within a level the frequent come first."""
    return sorted(rows, key=lambda row: (taxonomy[row.id].depth, -row.count))


def _connectivity(rows: list[Synset], taxonomy: Taxonomy, seed: int) -> list[Synset]:  # noqa: ARG001
    """Most relations first. It favours what has many kinds (`dicot genus`), be it ever so rare in text."""
    return sorted(rows, key=lambda row: -row.relations)


def _random(rows: list[Synset], taxonomy: Taxonomy, seed: int) -> list[Synset]:  # noqa: ARG001
    """By a hash of seed and id, so that a choice of parts of speech does not reorder the rest."""
    return sorted(rows, key=lambda row: unit_interval(row.id, salt=f"{seed}/concepts"))


def _stratified(rows: list[Synset], taxonomy: Taxonomy, seed: int) -> list[Synset]:
    """In turns over strata of lexicographer file, depth, and number of senses of the name (1, 2-4, more).

    Within a stratum, and among the strata of a turn, the order is random.
    """
    senses = Counter(lemma.lower() for row in synsets() for lemma in row.lemmas)
    drawn = _random(rows, taxonomy, seed)
    strata: dict[tuple[str, int, int], list[int]] = {}
    for number, row in enumerate(drawn):
        polysemy = bisect_right(SENSES, senses[row.lemmas[0].lower()])
        strata.setdefault((row.topic, taxonomy[row.id].depth, polysemy), []).append(number)
    turns = sorted(strata.items(), key=lambda item: unit_interval(str(item[0]), salt=f"{seed}/strata"))
    return [drawn[number] for number in in_turns(numbers for _, numbers in turns)]


SENSES = (2, 5)
"""Where one bin of polysemy ends and the next begins."""

_ORDERS = {
    "frequency": _frequency,
    "depth": _depth,
    "connectivity": _connectivity,
    "stratified": _stratified,
    "random": _random,
}


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
