"""job=bootstrap as a person meets it: stages add to each other, by address, safe against kill -9."""

import json

import pytest
import torch
from kills import killed_and_whole
from worlds import NOUNS, SENTENCES, random_lm_folder

from hsae import artifact, build
from hsae.build import address
from hsae.encyclopedia import Encyclopedia
from hsae.errors import MissingInput
from hsae.execute import execute, plan
from hsae.report.read import read_map

SITE = "resid_post.1"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return random_lm_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A dozen nouns in a file, each under the one before it."""
    concepts = [
        {
            "id": f"t:{number}",
            "name": name,
            "gloss": "a thing",
            "parents": [f"t:{number - 1}"] if number else [],
        }
        for number, name in enumerate(NOUNS)
    ]
    path = tmp_path_factory.mktemp("concepts") / "nouns.json"
    path.write_text(json.dumps(concepts))
    return path


@pytest.fixture
def compose(tmp_path, model, table):
    common = ["job=bootstrap", f"model.path={model}", "concepts=table", f"concepts.path={table}"]
    common += [f"layers.sites=[{SITE}]", f"outputs={tmp_path}", "hardware=cpu", "evaluations=[]"]
    common += ["encyclopedia.controls=0"]
    return lambda *overrides: build.compose([*common, *overrides])


def test_a_stage_adds_to_the_earlier_one(compose):
    raw = Encyclopedia(execute(compose("stage=raw")).folder)
    made = execute(compose("stage=templates"))
    both = Encyclopedia(made.folder)
    assert [stage["stage"] for stage in both.stages] == ["raw", "templates"]
    assert both.taxonomy.concepts == raw.taxonomy.concepts
    assert (both.count() > raw.count()).all() and (raw.count() == 2).all()
    assert both.vectors(SITE).shape == (len(NOUNS), 32) and torch.isfinite(both.covariance(SITE)).all()
    assert made.metrics["concepts"] == len(NOUNS)
    assert made.metrics["contexts"] == int(both.count(role="all").sum())
    assert 0 < made.metrics["median_relative_error"] < 10
    assert execute(compose("stage=templates")).state == "there"


def test_the_page_draws_what_was_written(compose):
    execute(compose("stage=raw"))
    made = execute(compose("stage=templates"))
    drawn, book = read_map(artifact.read(made.folder), seed=0), Encyclopedia(made.folder)
    torch.testing.assert_close(
        torch.from_numpy(drawn.vectors).float(), book.mean(SITE, role="all"), rtol=1e-5, atol=1e-6
    )
    assert [entry.contexts for entry in drawn.entries] == book.count(role="all").tolist()


def test_a_missing_earlier_stage_is_named_with_the_command_that_makes_it(compose):
    with pytest.raises(MissingInput, match="stage=raw"):
        execute(compose("stage=templates"))


def test_all_that_is_missing_is_named_in_the_order_in_which_it_is_made(compose):
    with pytest.raises(MissingInput) as told:
        execute(compose("stage=adversarial"))
    commands = [line.strip() for line in str(told.value).splitlines() if line.startswith("  hsae ")]
    assert [command.rpartition("stage=")[2] for command in commands] == ["raw", "templates", "generated"]
    assert "these 3" in str(told.value)


def test_one_concept_has_no_error_and_no_warning(compose):
    assert execute(compose("stage=raw", "concepts.n=1")).metrics["median_relative_error"] == "unknown"


def test_what_decides_the_content_decides_the_address_and_nothing_else(compose, table):
    where = lambda *overrides: address(compose(*overrides)).fingerprint
    for overrides in (["hardware.batch_tokens=7"], ["seed=5"], ["corpus.tokens=9"]):
        assert where(*overrides) == where(), overrides
    for overrides in (
        ["stage=raw"],
        ["layers.sites=[embed]"],
        ["contexts.raw.gloss=false"],
        ["concepts.n=5"],
    ):
        assert where(*overrides) != where(), overrides
    before, text = where(), table.read_text()
    table.write_text(text.replace("oak", "elm"))
    assert where() != before
    table.write_text(text)


def test_the_plan_says_how_large_the_encyclopedia_will_be(compose):
    asked = compose("stage=raw", "concepts.n=12")
    sizes = plan([asked])[0].sizes
    assert sizes["concepts"] == 12
    # few concepts at this width: the scatter, which the plan leaves out, is one and a half times the rest
    written = (execute(asked).folder / "shard-00000.h5").stat().st_size
    assert sizes["bytes"] < written < 4 * sizes["bytes"]


def test_what_is_asked_of_a_stage_is_not_asked_of_those_before_it(compose):
    execute(compose("stage=raw"))
    execute(compose("stage=templates"))
    made = execute(compose("stage=adversarial", "stage.after=templates", "stage.rounds=1"))
    assert [stage["stage"] for stage in Encyclopedia(made.folder).stages] == [
        "raw",
        "templates",
        "adversarial",
    ]


def test_killed_at_every_stage_it_goes_on_and_ends_with_the_same_bytes(tmp_path, model):
    text = tmp_path / "text.txt"
    text.write_text(". ".join(SENTENCES))
    killed, whole = killed_and_whole(
        tmp_path,
        imports="""
            from hsae import artifact, build
            from hsae.encyclopedia import writer
            from hsae.execute import execute
            writer.FEWEST = 1  # so blocks of d = 32 concepts
        """,
        work=f"""
            for stage in ("raw", "templates", "generated", "adversarial"):
                execute(build.compose([
                    "job=bootstrap", "stage=" + stage, "model.path={model}", "layers.sites=[{SITE}]",
                    "concepts=builtin", "concepts.n=70", "contexts.templates.per_concept=2",
                    "contexts.natural.path={text}", "contexts.grammar.per_concept=8",
                    "contexts.generated.prompts=2", "contexts.generated.tokens=4", f"outputs={{out}}",
                    "encyclopedia.controls=3", "hardware=cpu", "evaluations=[]"]))
        """,
        # files that are made safe: 14 of stage raw, 14 of templates, 70 of generated, 60 of adversarial
        moments=[
            *(("fsync", 5), ("replace", 5), ("fsync", 12), ("replace", 10), ("fsync", 40)),
            *(("replace", 12), ("fsync", 20), ("replace", 8), ("fsync", 10)),
        ],
    )
    data = lambda files: {name: hash for name, hash in files.items() if name.endswith((".h5", "l", "a.json"))}
    assert data(killed) == data(whole)
    shards = [name for name in data(whole) if name.endswith(".h5")]
    assert len(shards) == 4 * (3 + 1)
