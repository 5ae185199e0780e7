"""The encyclopedia's benchmark runs as one command, each part in seconds, and tells what was asked for."""

import json

import pytest
import torch

from experiments.benchmarks.encyclopedia import memory, raw, sizes, subject
from experiments.benchmarks.encyclopedia.__main__ import PARTS, main
from experiments.benchmarks.process import peak_of
from hsae.encyclopedia.encyclopedia import Encyclopedia, write_taxonomy


def run(*words):
    return main(["--toy", "--rounds", "1", *words])


@pytest.fixture(scope="module")
def tiny():
    return subject.tiny()


def test_both_sides_of_stage_raw_read_the_same_tokens(tiny, tmp_path):
    taxonomy = subject.concepts(20)
    batches, tokens = raw.batches_of(tiny, taxonomy, tmp_path)
    place = tmp_path / "raw"
    place.mkdir()
    assert subject.read_raw(tiny, taxonomy, place) == tokens
    contexts = Encyclopedia(place).stages[-1]["contexts"]
    assert sum(len(batch.ids) for batch in batches) == contexts, "each context is in one batch"
    assert sum(batch.rows for batch in batches) == tokens + contexts, "with BOS in front"
    assert "capture" not in vars(tiny.lm), "and the model is as it was"


def test_every_byte_of_an_encyclopedia_is_told_once(tiny, tmp_path):
    book = subject.read_templates(tiny, subject.concepts(15), tmp_path)
    found = sizes.components(book)
    assert sum(found.values()) == sum(path.stat().st_size for path in tmp_path.iterdir())
    n, sites, d = len(book.taxonomy), len(book.sites), tiny.lm.d
    assert found["mean"] == found["m2"] == 3 * n * sites * d * 4
    assert found["scatter"] == sites * d * d * 8
    assert set(found) > {"counts", "sample", "contexts", "texts", "names", "effects", "format"}


def test_memory_is_that_of_a_process_of_its_own(tmp_path):
    path = tmp_path / "few.jsonl"
    write_taxonomy(subject.concepts(10), path)
    place = tmp_path / "raw"
    place.mkdir()
    found = peak_of("experiments.benchmarks.encyclopedia.memory", "raw", str(path), str(place))
    assert 1e8 < found < 4e9 and Encyclopedia(place).count().sum() == 20
    assert memory.main("taxonomy", path, tmp_path) > 1e8
    with pytest.raises(RuntimeError, match="ended with 1"):
        peak_of("experiments.benchmarks.encyclopedia.memory", "raw", str(tmp_path / "none"), str(place))


def test_the_command_prints_ratios_and_writes_them_for_people_and_programs(tmp_path, capsys):
    parts = [part for part in PARTS if part != "memory"]
    assert run("--parts", ",".join(parts), "--out", str(tmp_path)) == 0
    assert "0 ERROR" in capsys.readouterr().out.splitlines()[-1]
    said = json.loads((tmp_path / "cpu.json").read_text())
    assert {row["part"] for row in said["rows"]} == set(parts)
    asked = {(row["part"], row["asked"]) for row in said["rows"] if row["outcome"]}
    assert asked == {("raw", 0.85), ("raw", 1), ("bytes", 1.35), ("bytes", 0.675), ("monitor", 0.7)}
    table = (tmp_path / "cpu.md").read_text()
    assert "CPU cores" in table and torch.__version__.split("+")[0] in table and str(tmp_path) not in table
    evidence = next(row for row in said["rows"] if row["measured"].startswith("evidence"))
    assert 0 < evidence["ratio"]["value"] < 1


def test_an_unknown_part_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit) as refused:
        run("--parts", "speed")
    assert refused.value.code == 2 and "parts are raw, memory" in capsys.readouterr().err
