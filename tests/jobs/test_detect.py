"""job=detect as a person meets it: tagged sentences in, how well monitoring finds their concepts out."""

import csv
import json

import pytest

import hsae
from hsae import build
from hsae.build import address
from hsae.concepts import builtin
from hsae.errors import ConfigError, UserError
from hsae.execute import execute
from hsae.jobs import detect
from hsae.report import detection

N = 80
FRAMES = ("The {} was not there.", "They spoke of the {} all day.", "Nobody had seen a {}, it seems.")


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """An encyclopedia of 80 nouns of the LM inside the package, and three tagged sentences for each noun."""
    outputs = tmp_path_factory.mktemp("outputs")
    said = ["model=tiny", "layers.sites=[resid_post.1]", "concepts=builtin", f"concepts.n={N}"]
    said += ["corpus=builtin", f"outputs={outputs}", "hardware=cpu", "evaluations=[]"]
    said += ["encyclopedia.controls=0", "contexts.templates.per_concept=12"]
    for stage in ("raw", "templates"):
        execute(build.compose([*said, "job=bootstrap", f"stage={stage}"]))
    lines = []
    for concept in builtin.load(builtin.Settings(name="builtin", n=N), seed=0):
        for frame in FRAMES:
            start = frame.index("{")
            tags = [[start, start + len(concept.name), concept.id]]
            lines.append({"text": frame.format(concept.name), "tags": tags})
    file = outputs / "tagged.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return [*said, "job=detect", "stage=templates", "job.background=3000", f"job.path={file}"]


def composed(said, *overrides):
    return build.compose([*said, *overrides])


@pytest.fixture(scope="module")
def outcome(said):
    return execute(composed(said))


@pytest.fixture(scope="module")
def found(outcome):
    return json.loads((outcome.folder / "detect.json").read_text())


def test_known_concepts_are_found_better_than_by_chance_and_than_by_either_null(found):
    means = {name: found[name]["macro"]["all"]["ap"] for name in ("found", "shuffled", "permuted")}
    assert means["found"]["low"] > max(means["shuffled"]["high"], means["permuted"]["high"])
    assert means["found"]["low"] > found["found"]["macro"]["all"]["chance"]
    assert found["found"]["recall_at"]["5"]["value"] > found["found"]["chance_at"]["5"]


def test_only_documents_that_nothing_was_fitted_on_are_read_and_all_else_is_counted(found):
    left = {why: n for why, n in found["passed_over"].items() if "of the role" in why}
    assert set(left) == {f"sentences of documents of the role {role}" for role in ("fit", "tune")}
    assert found["sentences"] + sum(left.values()) == N * len(FRAMES)
    assert found["tokens"]["tagged"] == found["sentences"] and found["tokens"]["filler"] > 0


def test_the_promise_is_judged_beside_its_null(found):
    verdict = found["verdict"]
    assert verdict["threshold"] == found["promised"] == 0.05
    assert verdict["value"] == found["found"]["fdr"]["tagged"]["value"]
    assert verdict["null"] == found["permuted"]["fdr"]["tagged"]["value"]
    assert verdict["outcome"] in ("PASS", "FAIL", "INCONCLUSIVE")


def test_every_concept_with_a_token_has_a_line(outcome, found):
    with (outcome.folder / "concepts.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    named = sum(int(line["named"]) for line in lines)
    assert named == found["tokens"]["tagged"] and {"dog", "animal"} & {line["name"] for line in lines}
    assert all(0 < float(line["prevalence"]) < 1 and 0 <= float(line["ap"]) <= 1 for line in lines)


def test_the_result_opens_in_python_and_has_a_table(outcome, found):
    assert hsae.load(outcome.folder) == found
    page = detection.told(found)
    assert "recall@5" in page and "average precision, all concepts" in page and "None" not in page


def test_what_cannot_be_read_says_what_to_type(said):
    with pytest.raises(ConfigError, match="no such file"):
        detect.needs(composed(said, "job.path=/nowhere.jsonl"))
    with pytest.raises(UserError, match=r"Type job\.path="):
        execute(composed(said, "job.path=null"))
    for wrong in (["job.path=null", "job.examples=false"], ["job.at=[99]"], ["job.roles=[fit]"]):
        with pytest.raises(ConfigError):
            composed(said, *wrong)


def test_the_sentences_and_how_they_are_read_decide_the_address(said, tmp_path):
    other = tmp_path / "other.jsonl"
    other.write_text('{"text": "A dog.", "tags": [[2, 5, "hsae:dog.n"]]}\n')
    where = lambda *overrides: address(composed(said, *overrides)).fingerprint
    others = (
        f"job.path={other}",
        "job.fdr=0.1",
        "job.roles=[tune]",
        "job.sentences=9",
        "job.fewest=1",
        "seed=1",
    )
    assert len({where(), *map(where, others)}) == 7
