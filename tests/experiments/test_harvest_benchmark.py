"""The benchmark runs as one command, shows every ratio beside what was asked for, and hides no failure."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from experiments.benchmarks.harvest import worlds
from experiments.benchmarks.harvest.__main__ import main
from experiments.benchmarks.harvest.capture import bare, captured
from experiments.benchmarks.rounds import Ratio
from experiments.benchmarks.rows import Row, markdown

REPOSITORY = Path(__file__).resolve().parents[2]


def run(*words):
    return main(["--toy", "--rounds", "1", *words])


@pytest.fixture(scope="module")
def toy():
    return worlds.random("toy", rows=600, batch_tokens=512)


@pytest.mark.parametrize(
    ("value", "asked", "most", "outcome"),
    [
        (0.95, 0.95, False, "PASS"),
        (0.94, 0.95, False, "FAIL"),
        (1.3, 1.3, True, "PASS"),
        (1.31, 1.3, True, "FAIL"),
    ],
)
def test_the_median_decides_on_the_right_side(value, asked, most, outcome):
    row = Row("part", "model", "ours", "theirs", Ratio(value, 0, 9, 9), asked, most)
    assert row.outcome == outcome
    assert row.cells()[-2:] == (f"{'<=' if most else '>='} {asked:g}", outcome)


def test_a_row_without_a_threshold_claims_nothing_and_one_without_a_ratio_is_an_error():
    assert Row("part", "model", "ours", "theirs", Ratio(1, 1, 1, 1)).outcome == ""
    broken = Row("part", "model", "", "", None, 3.0, problem="ImportError: no | such thing")
    assert broken.outcome == "ERROR"
    table = markdown([broken]).splitlines()
    assert "no / such thing" in table[-1] and len({line.count("|") for line in table}) == 1


def test_both_sides_run_the_same_passes(toy):
    sites = [f"resid_post.{layer}" for layer in range(6)]
    batches = toy.batches(toy.rows)
    assert sum(batch.rows for batch in batches) == 600
    assert bare(toy, 5)() == captured(toy, sites)() == 600


def test_the_bare_pass_ends_at_its_layer(toy):
    seen = []
    layers = toy.lm.network.base.layers
    handles = [
        layer.register_forward_hook(lambda *_, at=at: seen.append(at)) for at, layer in enumerate(layers)
    ]
    bare(toy, 2)()
    for handle in handles:
        handle.remove()
    assert set(seen) == {0, 1, 2}
    assert not layers[2]._forward_hooks, "and nothing of it stays behind"


def test_sites_are_spread_over_the_layers_and_end_at_the_last(toy):
    assert toy.layers(3) == ["resid_post.1", "resid_post.3", "resid_post.5"]
    assert toy.several(12)[-1] == "resid_post.5" and len(set(toy.several(12))) == 12
    toy.lm.check_sites(toy.several(12))


def test_documents_are_as_long_as_those_of_the_web_and_always_the_same():
    words = sorted(len(text.split(" ")) for text in worlds.texts())
    assert 180 < words[len(words) // 2] < 320 and sum(words) > 500_000
    assert worlds.texts()[0] == worlds.texts.__wrapped__()[0]


def test_the_command_prints_ratios_and_writes_them_for_people_and_programs(tmp_path, capsys):
    assert run("--parts", "capture,limit", "--out", str(tmp_path)) == 0
    shown = capsys.readouterr().out.splitlines()
    assert "PASS" in shown[-1] and "0 ERROR" in shown[-1]
    said = json.loads((tmp_path / "cpu.json").read_text())
    assert {row["part"] for row in said["rows"]} == {"capture", "limit"}
    assert {row["asked"] for row in said["rows"] if row["outcome"]} == {0.95, 1.3}
    table = (tmp_path / "cpu.md").read_text()
    assert "CPU cores" in table and torch.__version__.split("+")[0] in table
    assert str(REPOSITORY) not in table and str(tmp_path) not in table


@pytest.mark.skipif(importlib.util.find_spec("sae_lens") is not None, reason="the peers are here")
def test_a_part_that_cannot_be_measured_is_counted_and_told_by_the_exit_code(capsys):
    assert run("--parts", "peers") == 1
    shown = capsys.readouterr().out
    assert "No module named" in shown and "2 ERROR" in shown.splitlines()[-1]


def test_an_unknown_part_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit) as refused:
        run("--parts", "speed")
    assert refused.value.code == 2
    assert "parts are capture, store" in capsys.readouterr().err


def test_a_gpu_machine_needs_torch_and_transformers_but_neither_the_peers_nor_what_jobs_need():
    code = (
        "import sys, experiments.benchmarks.harvest.__main__; print(*{m.split('.')[0] for m in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.split())
    assert {"torch", "transformers", "h5py"} <= imported
    assert not imported & {"sae_lens", "nnsight", "datasets", "scipy", "sklearn", "einops", "wandb", "nltk"}
