"""Refinement reads what a policy picks until each concept is done, and a kill changes nothing."""

import json
from itertools import islice

import numpy as np
import pytest
from kills import contents
from worlds import toy_contexts, toy_taxonomy

from hsae.contexts import Attempt, Context, Wanted
from hsae.encyclopedia import Encyclopedia
from hsae.encyclopedia.refinement.evidence import evidence
from hsae.encyclopedia.refinement.rounds import Choices, Rounds, refine
from hsae.encyclopedia.refinement.stopping import Rule
from hsae.encyclopedia.writer import Reading, Stage, write
from hsae.errors import UserError

SITE = "resid_post.1"
TAXONOMY = toy_taxonomy(10)
READING = Reading(sites=[SITE], poolings=("span",), sample=8, batch_tokens=200)
RULE = Rule(looks=(4, 8, 16), error=0.2, templates=3, sources=1)
WORDS = ("old", "new", "red", "small", "loud", "cold", "far", "good", "odd", "warm", "wet")


@pytest.fixture(scope="module")
def earlier(tmp_path_factory, lm):
    folder = tmp_path_factory.mktemp("earlier")
    contexts = toy_contexts(TAXONOMY)
    list(write(lm, TAXONOMY, contexts, folder, reading=READING, stage=Stage("templates", 1), block=4))
    return Encyclopedia(folder)


def more(_: Encyclopedia, wanted: Wanted):
    """Eleven other contexts of each concept, one after the other."""
    for row, had in zip(wanted.rows, wanted.have, strict=True):
        concept = TAXONOMY.concepts[row]
        for number, word in islice(enumerate(WORDS), had, had + wanted.each):
            role = ("fit", "tune", "fit", "test")[number % 4]
            text = f"{concept.name} is {word}"
            yield Attempt(concept.id, word, "prompt", 1.0, 0, "bad" if number == 1 else None)
            if number != 1:
                yield Context(concept.id, text, 0, len(concept.name), word, role, "more")


def steps(lm, earlier, folder, *, rule=RULE, most=4, each=3, share=0.5, budget=None, score=None):
    folder.mkdir(exist_ok=True)
    return refine(
        lm,
        earlier,
        folder,
        reading=READING,
        stage=Stage("more", 2),
        rounds=Rounds(most, each, share, budget, rule),
        choices=Choices(
            contexts=more,
            score=score or (lambda book, number: book.relative_error(SITE).numpy()),
            evidence=lambda book, exhausted: evidence(book, SITE, rule, exhausted=exhausted),
        ),
    )


@pytest.fixture(scope="module")
def refined(tmp_path_factory, lm, earlier):
    folder = tmp_path_factory.mktemp("refined") / "one"
    assert list(steps(lm, earlier, folder))
    return Encyclopedia(folder)


def lines(book, name):
    return [json.loads(line) for line in (book.folder / name).read_text().splitlines()]


def test_it_adds_to_what_was_known_and_equals_reading_all_at_once(tmp_path, lm, earlier, refined):
    every = []
    for number in range(len(refined.shards)):
        block = refined.block(number)
        every += block.table.contexts([TAXONOMY.concepts[row].id for row in block.rows])
    list(write(lm, TAXONOMY, every, tmp_path, reading=READING, stage=Stage("all", 0), block=4))
    once = Encyclopedia(tmp_path)
    for role in ("fit", "tune", "test"):
        assert refined.count(role=role).tolist() == once.count(role=role).tolist()
        np.testing.assert_allclose(
            refined.mean(SITE, role=role), once.mean(SITE, role=role), rtol=1e-4, atol=1e-5
        )
    np.testing.assert_allclose(refined.covariance(SITE), once.covariance(SITE), rtol=1e-3, atol=1e-6)
    assert (refined.count(role="all") >= earlier.count(role="all")).all()


def test_the_concepts_with_the_largest_score_are_read(lm, earlier, tmp_path):
    list(steps(lm, earlier, tmp_path, most=1, share=0.3, score=lambda *_: np.arange(10.0)))
    book = Encyclopedia(tmp_path)
    grown = (book.count(role="all") > earlier.count(role="all")).numpy()
    assert np.flatnonzero(grown).tolist() == [7, 8, 9]


def test_makers_are_told_the_confusers_as_they_were_when_the_round_began(lm, earlier, tmp_path):
    told, asked = {}, []

    def makes(book, wanted):
        told.update(wanted.confusers)
        return more(book, wanted)

    def nearest(book):
        asked.append(book.count(role="all").tolist())
        return np.array([[(row + 1) % 10, -1] for row in range(10)])

    score = lambda book, number: np.arange(10.0)  # noqa: ARG005
    choices = Choices(makes, score, lambda book, out: evidence(book, SITE, RULE, exhausted=out), nearest)
    rounds = Rounds(1, 3, 1.0, None, RULE)
    work = {"reading": READING, "stage": Stage("more", 2), "rounds": rounds, "choices": choices}
    shards = refine(lm, earlier, tmp_path, **work)
    next(shards)  # cut short behind the first shard
    list(refine(lm, earlier, tmp_path, **work))
    assert asked == [earlier.count(role="all").tolist()], "once, before the first of the shards was written"
    assert told == {row: [(row + 1) % 10] for row in told} and len(told) > 4


def test_a_concept_gets_its_contexts_in_turn_until_there_are_no_more(lm, earlier, tmp_path):
    list(steps(lm, earlier, tmp_path, rule=RULE._replace(error=0.0), share=1.0, most=9))
    book = Encyclopedia(tmp_path)
    assert book.count(role="all").tolist() == [5 + 10] * 10  # one of eleven was refused
    status = lines(book, "status.jsonl")
    assert {line["status"] for line in status} <= {"budget", "ambiguous"}
    assert [line["id"] for line in status] == [concept.id for concept in TAXONOMY]
    assert book.stages[-1]["rounds"] == 4


def test_a_concept_that_is_done_is_left_alone(lm, earlier, tmp_path):
    done = {"rule": RULE._replace(error=1e9, templates=1), "share": 1.0}
    list(steps(lm, earlier, tmp_path, **done))
    book = Encyclopedia(tmp_path)
    status = [line["status"] for line in lines(book, "status.jsonl")]
    grown = (book.count(role="all") > earlier.count(role="all")).tolist()
    first = json.loads((tmp_path / "round-00.json").read_text())
    assert "converged" in first["status"]
    assert all(not more for more, state in zip(grown, first["status"], strict=True) if state == "converged")
    assert status.count("converged") >= first["status"].count("converged")


def test_the_round_that_goes_beyond_the_budget_is_the_last(lm, earlier, tmp_path):
    free = [tokens for _, tokens in steps(lm, earlier, tmp_path / "free", share=1.0)]
    found = [number for number, _ in steps(lm, earlier, tmp_path / "bound", share=1.0, budget=free[0] + 1)]
    assert set(found) == {0}


def test_what_was_asked_of_a_language_model_is_kept_and_refusals_are_counted(refined):
    told = [one for path in refined.folder.glob("attempts-*") for one in lines(refined, path.name)]
    refused = sum(attempt["refused"] == "bad" for attempt in told)
    assert refused == sum(line["refused"].get("bad", 0) for line in lines(refined, "journal.jsonl")) > 0


def test_nothing_is_left_of_shards_that_were_written_anew(refined):
    files = {path.name for path in refined.folder.glob("*.h5")}
    assert files == {path.name for path in refined.shards} and len(files) == 3


@pytest.mark.parametrize("stop", [1, 2, 3, 5])
def test_stopped_after_any_shard_and_run_again_it_is_the_same_to_the_byte(
    tmp_path, lm, earlier, refined, stop
):
    for _ in range(3):
        work = steps(lm, earlier, tmp_path)
        for _ in islice(work, stop):
            pass
        work.close()
    list(steps(lm, earlier, tmp_path))
    assert contents(tmp_path) == contents(refined.folder)


def test_a_decision_that_was_made_is_not_made_again(tmp_path, lm, earlier):
    work = steps(lm, earlier, tmp_path)
    next(work)
    work.close()

    def refuse(*_):
        raise AssertionError("decided twice")

    next(steps(lm, earlier, tmp_path, score=refuse))


def test_the_next_stage_goes_on_from_what_was_decided(tmp_path, lm, refined):
    list(steps(lm, refined, tmp_path, most=1))
    before = [line["status"] for line in lines(refined, "status.jsonl")]
    after = [line["status"] for line in lines(Encyclopedia(tmp_path), "status.jsonl")]
    assert all(b == a for b, a in zip(before, after, strict=True) if b in ("converged", "ambiguous", "dead"))
    assert [stage["stage"] for stage in Encyclopedia(tmp_path).stages] == ["templates", "more", "more"]


def test_a_stage_that_cannot_be_added_to_is_refused(tmp_path, lm, earlier):
    tmp_path.joinpath("x").mkdir()
    with pytest.raises(UserError, match="no site 'embed'"):
        list(
            refine(
                lm,
                earlier,
                tmp_path / "x",
                reading=READING._replace(sites=["embed"]),
                stage=Stage("more", 2),
                rounds=Rounds(1, 1, 1.0, None, RULE),
                choices=Choices(more, lambda *_: np.zeros(10), lambda *_: None),
            )
        )
