"""Rounds of refinement: which concepts are worth more contexts, those contexts, and whether that was enough.

    attempts-00-00000.jsonl   what a language model was asked to write, and what was refused of it
    round-00.json    what was decided before the round: every concept's status, and which concepts are read
    journal.jsonl    a line per shard that a round has written anew
    status.jsonl     every concept's status in the end, and why

A round is decided from what the shards say, so a killed run decides nothing twice: it reads the decision and
writes the shards that are still missing.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
from jaxtyping import Bool, Float, Int

from hsae.concepts import Taxonomy
from hsae.contexts import Attempt, Context, Wanted
from hsae.encyclopedia.encyclopedia import CONTROLS, Encyclopedia
from hsae.encyclopedia.refinement.stopping import Decisions, Evidence, Rule, decide
from hsae.encyclopedia.writer import Reading, Stage, check_earlier, finish, read_block, save
from hsae.journal import Journal, whole
from hsae.lm import LM

STATUS = "status.jsonl"


@final
class Rounds(NamedTuple):
    """How much is read, and what it takes to stop."""

    most: int
    each: int
    """Contexts more, from each maker, of each concept that is picked."""
    share: float
    """Of the active concepts, the part that a round picks."""
    budget: int | None
    """Tokens of all rounds together; the round that goes beyond it is the last."""
    rule: Rule


@final
class Choices(NamedTuple):
    """What the loop asks of others."""

    contexts: Callable[[Encyclopedia, Wanted], Iterator[Context | Attempt]]
    score: Callable[[Encyclopedia, int], Float[np.ndarray, " concept"]]
    """Of the encyclopedia and the number of the round; those with the largest are read."""
    evidence: Callable[[Encyclopedia, Bool[np.ndarray, " concept"]], Evidence]
    """Of the encyclopedia, and of which concepts no maker has another context."""
    confusers: Callable[[Encyclopedia], Int[np.ndarray, "concept neighbour"]] | None = None
    """What each concept is most easily taken for, as makers are told; -1 where there are fewer."""


def refine(
    lm: LM,
    earlier: Encyclopedia,
    folder: Path,
    *,
    reading: Reading,
    stage: Stage,
    rounds: Rounds,
    choices: Choices,
) -> Iterator[tuple[int, int]]:
    """Add contexts to an encyclopedia where they are worth most, and write the sum to `folder`.

    Yields the number of the round and the tokens that were read by then, shard by shard. Raises `UserError`
    for an earlier stage that cannot be added to.
    """
    taxonomy = earlier.taxonomy
    check_earlier(earlier, lm, taxonomy, reading)
    work = _Work(folder, earlier)
    decisions = earlier_decisions(earlier)
    for number in range(rounds.most):
        plan = work.plan(number)
        if plan is None:
            plan = _decide(work, number, rounds, choices, decisions)
            work.save(number, plan)
        decisions = plan.decisions
        if not plan.rows:
            break
        for shard, rows in _by_shard(plan.rows, earlier.block_size):
            if not work.done(number, shard):
                confusers = {row: plan.confusers[row] for row in rows}
                had = [plan.had[row] for row in rows]
                wanted = Wanted(rows, had, rounds.each, confusers=confusers)
                items = list(choices.contexts(work.book, wanted))
                _read_shard(work, number, shard, items, wanted, lm=lm, reading=reading, stage=stage)
            yield number, work.tokens
    final = _final(work, rounds, choices, decisions)
    _write_status(folder / STATUS, taxonomy, final)
    for kept in work.settle():
        shutil.copyfile(kept, folder / kept.name)
    if earlier.controls is not None:
        shutil.copytree(earlier.controls.folder, folder / CONTROLS, dirs_exist_ok=True)
    counts = {status: final.status.count(status) for status in sorted(set(final.status))}
    finish(
        folder,
        lm,
        taxonomy,
        work.journal.lines,
        reading=reading,
        stage=stage,
        block=earlier.block_size,
        earlier=earlier,
        rounds=work.rounds,
        status=counts,
    )


def _read_shard(
    work: "_Work",
    number: int,
    shard: int,
    items: Sequence[Context | Attempt],
    wanted: Wanted,
    *,
    lm: LM,
    reading: Reading,
    stage: Stage,
) -> None:
    """Write a shard anew, with the contexts that makers gave for some of its concepts."""
    taxonomy, block = work.earlier.taxonomy, work.book.block(shard)
    contexts = [item for item in items if isinstance(item, Context)]
    attempts = [item for item in items if isinstance(item, Attempt)]
    read = read_block(lm, taxonomy, contexts, block.rows, reading=reading, stage=stage, known=block)
    assert wanted.each is not None, "a round asks for so many contexts and no more"
    told = work.tell(number, shard, attempts) | {"short": _short(items, wanted.rows, taxonomy, wanted.each)}
    work.add(number, shard, save(work.file(number, shard), read) | told)


@final
class _Plan(NamedTuple):
    """What a round does."""

    rows: list[int]
    had: Mapping[int, int]
    """Contexts of each of them that the makers were asked for before."""
    confusers: Mapping[int, list[int]]
    """What each of them is most easily taken for, when the round begins."""
    decisions: Decisions

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "had": [self.had[row] for row in self.rows],
            "confusers": [self.confusers[row] for row in self.rows],
            "status": self.decisions.status,
            "look": self.decisions.look.tolist(),
            "reason": self.decisions.reason,
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "_Plan":
        decisions = Decisions(said["status"], np.array(said["look"]), said["reason"])
        had, confusers = (dict(zip(said["rows"], said[of], strict=True)) for of in ("had", "confusers"))
        return cls(said["rows"], had, confusers, decisions)


@final
class _Work:
    """What lies in the folder of a stage that is under way."""

    def __init__(self, folder: Path, earlier: Encyclopedia):
        self.folder, self.earlier = folder, earlier
        self.journal = Journal(folder / "journal.jsonl")

    @property
    def book(self) -> Encyclopedia:
        """The encyclopedia as it is now."""
        newest = {line["block"]: self.folder / line["shard"] for line in self.journal.lines}
        shards = [newest.get(number, path) for number, path in enumerate(self.earlier.shards)]
        return Encyclopedia(self.earlier.folder, shards=shards)

    @property
    def tokens(self) -> int:
        """Read so far."""
        return sum(line["tokens"] for line in self.journal.lines)

    @property
    def rounds(self) -> int:
        """How many rounds have read something."""
        return len({line["round"] for line in self.journal.lines})

    def file(self, number: int, shard: int) -> Path:
        return self.folder / f"shard-{shard:05d}-{number:02d}.h5"

    def done(self, number: int, shard: int) -> bool:
        return any((line["round"], line["block"]) == (number, shard) for line in self.journal.lines)

    def add(self, number: int, shard: int, line: Mapping[str, Any]) -> None:
        """A shard was written anew; the one before it is not needed any more."""
        before = [old["shard"] for old in self.journal.lines if old["block"] == shard]
        self.journal.append({"round": number, "block": shard, **line})
        for name in before:
            (self.folder / name).unlink(missing_ok=True)

    def tell(self, number: int, shard: int, attempts: Sequence[Attempt]) -> dict[str, Any]:
        """Keep what a language model was asked, and count what of its texts was refused, by the reason."""
        refused = Counter(attempt.refused for attempt in attempts if attempt.refused is not None)
        if attempts:
            with whole(self.folder / f"attempts-{number:02d}-{shard:05d}.jsonl") as draft:
                draft.write_text("".join(json.dumps(attempt._asdict()) + "\n" for attempt in attempts))
        return {"refused": dict(sorted(refused.items()))}

    def plan(self, number: int) -> _Plan | None:
        """The decision of a round, if it was made."""
        path = self.folder / f"round-{number:02d}.json"
        return _Plan.from_json(json.loads(path.read_text())) if path.is_file() else None

    def save(self, number: int, plan: _Plan) -> None:
        with whole(self.folder / f"round-{number:02d}.json") as draft:
            draft.write_text(json.dumps(plan.to_json()))

    def asked(self, each: int, before: int) -> Int[np.ndarray, " concept"]:
        """How many contexts of each concept the makers were asked for in the rounds so far."""
        asked = np.zeros(len(self.earlier.taxonomy), np.int64)
        for number in range(before):
            if plan := self.plan(number):
                asked[plan.rows] += each
        return asked

    @property
    def exhausted(self) -> Bool[np.ndarray, " concept"]:
        """The concepts of which the makers had fewer contexts than they were asked for."""
        found = np.zeros(len(self.earlier.taxonomy), bool)
        for line in self.journal.lines:
            found[line["short"]] = True
        return found

    def settle(self) -> list[Path]:
        """Remove shards that no line of the journal needs; says which of the earlier stage still hold."""
        newest = {line["block"]: line["shard"] for line in self.journal.lines}
        for path in self.folder.glob("shard-*-*.h5"):
            if path.name not in newest.values():
                path.unlink()
        return [path for number, path in enumerate(self.earlier.shards) if number not in newest]


def _decide(work: _Work, number: int, rounds: Rounds, choices: Choices, before: Decisions | None) -> _Plan:
    """Who is done, and who of the others is read in this round."""
    book = work.book
    decisions = decide(choices.evidence(book, work.exhausted), rounds.rule, before=before)
    active = decisions.wanted
    spent = rounds.budget is not None and work.tokens >= rounds.budget
    picked: list[int] = []
    if len(active) and not spent:
        score = choices.score(book, number)[active]
        most = max(1, round(rounds.share * len(active)))
        # ties, such as those of concepts that nothing is known of, go by the taxonomy's order
        picked = sorted(active[np.argsort(-score, kind="stable")[:most]].tolist())
    asked = work.asked(rounds.each, number)
    had = {row: int(asked[row]) for row in picked}
    return _Plan(picked, had, _confusers(book, choices, picked), decisions)


def _confusers(book: Encyclopedia, choices: Choices, rows: Sequence[int]) -> dict[int, list[int]]:
    """Once for a round: each shard that it writes would change them a little, and going through all concepts
    is dear."""
    if choices.confusers is None or not rows:
        return {row: [] for row in rows}
    nearest = choices.confusers(book)
    return {row: [other for other in nearest[row].tolist() if other >= 0] for row in rows}


def _final(work: _Work, rounds: Rounds, choices: Choices, before: Decisions | None) -> Decisions:
    """Every concept's status when all has been read."""
    return decide(choices.evidence(work.book, work.exhausted), rounds.rule, before=before)


def _by_shard(rows: Sequence[int], block: int) -> Iterator[tuple[int, list[int]]]:
    for shard in sorted({row // block for row in rows}):
        yield shard, [row for row in rows if row // block == shard]


def _short(
    items: Sequence[Context | Attempt], rows: Sequence[int], taxonomy: Taxonomy, each: int
) -> list[int]:
    """The concepts of which there were fewer contexts than asked for, those that were refused not missed."""
    tried = [item for item in items if isinstance(item, Context) or item.refused is not None]
    given = np.bincount([taxonomy.index[item.concept] for item in tried], minlength=len(taxonomy))
    return [row for row in rows if given[row] < each]


def _write_status(path: Path, taxonomy: Taxonomy, decisions: Decisions) -> None:
    with whole(path) as draft, draft.open("w") as stream:
        for concept, status, look, reason in zip(taxonomy, *decisions, strict=True):
            line = {"id": concept.id, "status": status, "look": int(look), "reason": reason}
            stream.write(json.dumps(line) + "\n")


def earlier_decisions(book: Encyclopedia) -> Decisions | None:
    """What an earlier stage decided; None where it decided nothing."""
    path = book.folder / STATUS
    if not path.is_file():
        return None
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    look = np.array([line["look"] for line in lines])
    return Decisions([line["status"] for line in lines], look, [line["reason"] for line in lines])
