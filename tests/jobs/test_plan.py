"""job=plan says what a run will take, measured here, and refuses what cannot fit before anything starts."""

import json
import re
from pathlib import Path

import pytest
import torch
from worlds import FAMILIES, random_lm_folder, sentences

import hsae.lm
from hsae import artifact, build, console, hardware
from hsae.activations.sizes import BESIDE
from hsae.artifact import HEADROOM
from hsae.errors import ConfigError, UserError
from hsae.execute import execute
from hsae.jobs import extract, plan, train_sae
from hsae.model_facts import ModelFacts


@pytest.fixture(scope="module")
def choices(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    for number, text in enumerate(sentences(80)):
        (folder / f"{number:03d}.txt").write_text(text)
    model = random_lm_folder(tmp_path_factory.mktemp("model"))
    said = [f"model.path={model}", "corpus=text", f"corpus.path={folder}", "corpus.tokens=500"]
    said += ["capture.context=32", "hardware=cpu", "concepts=builtin", "evaluations=[]"]
    return [*said, "train.tokens=2000", "train.batch=50", "sae.latents=64", "sae.k=4", "sae.clip=1000"]


@pytest.fixture
def planned(tmp_path, choices):
    """The job over this world, with little time for measuring."""
    common = [*choices, "job=plan", "job.seconds=0.05", f"outputs={tmp_path / 'outputs'}"]
    return lambda *overrides: execute(build.compose([*common, *overrides])).metrics


def of(*jobs):
    return build.quoted("job.of", jobs)


def test_ten_million_tokens_at_the_twelve_layers_of_gpt2_take_184_gigabytes(tmp_path):
    (tmp_path / "config.json").write_text(
        '{"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12}'
    )
    config = build.compose(
        ["job=extract", f"model.path={tmp_path}", "layers=all", "corpus.tokens=10_000_000"]
    )
    rows = extract.estimate(config)["bytes"] - 10_000_000 * BESIDE
    assert rows == 10_000_000 * 12 * 768 * 2
    assert console.size(rows) == "184.3 GB"


@pytest.mark.parametrize("family", FAMILIES)
def test_flops_are_twice_the_weights_of_the_matrices_that_a_token_passes(tmp_path, family):
    lm = hsae.lm.load(random_lm_folder(tmp_path, family))
    facts = ModelFacts.of(json.loads(next(tmp_path.rglob("config.json")).read_text()))
    inside = re.compile(r"(^|\.)(h|layers|layer|block)\.(\d+)\.")
    passed: dict[int, int] = {}
    for name, weight in lm.network.base.named_parameters():
        if (found := inside.search(name)) and weight.dim() == 2 and "relative_attention_bias" not in name:
            passed[int(found[3])] = passed.get(int(found[3]), 0) + weight.numel()
    assert facts.passed("resid_post.0") == passed[0]
    assert facts.passed("resid_pre.2") == passed[0] + passed[1]
    assert facts.passed("final_norm") == facts.passed("out:any.module") == sum(passed.values())
    assert facts.passed("embed") == 0
    assert facts.passed("attn_out.0") < facts.passed("mlp_out.0") == facts.passed("resid_post.0")
    assert facts.passed("logits") == facts.passed("final_norm") + facts.d * facts.vocabulary


def test_an_estimate_of_the_disk_is_what_the_job_writes(tmp_path, choices):
    config = build.compose(["job=extract", *choices, "layers=all", f"outputs={tmp_path}"])
    folder = execute(config).folder
    written = sum(path.stat().st_size for path in folder.glob("*.h5"))
    assert written == pytest.approx(extract.estimate(config)["bytes"], rel=0.2)


def test_half_the_bytes_make_half_a_store(choices):
    size = lambda *said: extract.estimate(build.compose(["job=extract", *choices, *said]))["bytes"]
    beside = 500 * BESIDE
    assert size("layers=all") - beside == 3 * (size("layers=last") - beside)
    assert size("capture.dtype=int8") - beside == 500 * (32 + 4)
    assert size("layers.sites=[mlp_act.0]") == size("layers.sites=[resid_post.0,resid_post.1]"), "64 wide"


def test_a_stream_takes_passes_of_the_lm_and_no_disk_for_rows(choices):
    stored, streamed = (
        train_sae.estimate(build.compose(["job=train_sae", *choices, f"train.source={source}"]))
        for source in ("store", "stream")
    )
    assert "lm_flops" not in stored and streamed["lm_flops"] > 0
    assert streamed["memory"] > stored["memory"]
    assert stored["sae_flops"] == streamed["sae_flops"] == 2000 * 2 * 32 * (64 + 4 * 4)


def test_all_steps_are_shown_with_what_they_take_and_nothing_is_written(planned, tmp_path, capsys):
    found = planned(of("extract", "train_sae", "job=train_sae seed=1"))
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines() if "to make" in line] == [
        "extract",
        *["train_sae"] * 2,
    ]
    assert re.search(r"^extract .* 500 +38 kB +\S+ MFLOP +\S+ MB +[\d.]+ s", said, re.MULTILINE)
    assert said.count("measured:") == 2, "the LM once, the SAE once, though it is trained twice"
    assert found["steps"] == found["to make"] == 3 and found["seconds"] >= 0
    assert found["flops"] == sum(
        number
        for line in (["job=extract"], ["job=train_sae"], ["job=train_sae"])
        for name, number in _sizes(line, planned).items()
        if name.endswith("flops")
    )
    assert not (tmp_path / "outputs").exists()


def _sizes(line, planned):
    common = planned.__closure__[0].cell_contents
    config = build.compose([*build.without(common, ("job",)), *line])
    return build.job_module(config).estimate(config)


def test_a_name_stands_for_the_job_and_an_experiment_for_its_steps(choices):
    names = lambda *said: [
        (step.job.name, step.seed) for step in plan.steps(build.compose([*choices, "job=plan", *said]))
    ]
    assert (
        names("job.of=extract") == names("job.of=[extract]") == names(of("job=extract")) == [("extract", 0)]
    )
    assert names(of("train_sae", "job=train_sae seed=3,4")) == [("train_sae", s) for s in (0, 3, 4)]
    steps = plan.steps(build.compose(["job=plan", "experiment=quickstart"]))
    assert len(steps) > 10 and steps[-1].job.name == "report"


def test_nothing_to_plan_says_what_can_be_typed():
    with pytest.raises(ConfigError, match=r"job\.of=\[extract,train_sae\]"):
        plan.steps(build.compose(["job=plan"]))


@pytest.mark.parametrize("job", ["verify", "doctor", "plan"])
def test_a_job_that_makes_nothing_is_no_step(choices, job):
    with pytest.raises(ConfigError, match=f"job={job} makes no artifact, so it is no step"):
        plan.steps(build.compose([*choices, "job=plan", f"job.of={job}"]))


def test_what_is_there_takes_nothing(planned, choices, tmp_path, capsys):
    execute(build.compose(["job=extract", *choices, f"outputs={tmp_path / 'outputs'}"]))
    found = planned("job.of=extract")
    assert "there" in capsys.readouterr().out
    assert (found["to make"], found["bytes"], found["flops"], found["seconds"]) == (0, 0, 0, 0)


def test_a_disk_that_is_too_small_is_refused_naming_the_first_step_too_many(planned, monkeypatch):
    asked = of("extract", "train_sae")
    enough = planned(asked)["bytes"] * HEADROOM
    scratch = 6 * 4 * 64 * 2 * 33 * HEADROOM
    monkeypatch.setattr(artifact, "free", lambda folder: enough + scratch)
    planned(asked)
    monkeypatch.setattr(artifact, "free", lambda folder: enough + scratch - 1)
    with pytest.raises(UserError, match=r"disk: train_sae .*-topk-none-seed0 writes 16\.9 kB") as refused:
        planned(asked)
    assert "extract" not in str(refused.value) and "train.source=stream" in str(refused.value)


def test_memory_that_is_not_there_is_refused_before_any_model_is_loaded(planned, monkeypatch, capsys):
    monkeypatch.setattr(hsae.lm, "load", lambda *_, **__: pytest.fail("a model was loaded"), raising=False)
    monkeypatch.setattr(hardware, "ram", lambda: 400_000_000)
    with pytest.raises(
        UserError, match=r"RAM: extract .* needs 5\d\d\.?\d* MB, and 400 MB are free"
    ) as refused:
        planned("job.of=extract")
    assert "hardware.batch_tokens" in str(refused.value)
    assert "extract" in capsys.readouterr().out, "the table is shown all the same"


def test_a_gpu_that_is_too_small_is_refused(planned, monkeypatch):
    monkeypatch.setattr(hardware, "device", lambda asked: "cuda")
    monkeypatch.setattr(hardware, "gpu_memory", lambda device: 1_000_000)
    with pytest.raises(UserError, match=r"GPU memory: extract .* needs .* MB, and 1 MB are free"):
        planned("job.of=extract")


def test_a_job_does_not_start_what_the_disk_cannot_hold(tmp_path, choices, monkeypatch):
    config = build.compose(["job=extract", *choices, f"outputs={tmp_path}"])
    need = extract.estimate(config)["bytes"]
    monkeypatch.setattr(artifact, "free", lambda folder: round(HEADROOM * need) - 1)
    with pytest.raises(UserError, match="extract has 0.0 GB to write") as refused:
        execute(config)
    assert "job=plan" in str(refused.value)
    partial = build.address(config).partial
    (partial / "written-before-a-kill").write_bytes(bytes(10))
    assert execute(config).state == "made", "what a killed run left counts as written"


def test_a_dry_run_shows_sizes_with_their_units():
    assert console.sizes({"rows": 300_000, "bytes": 184_320_000_000, "lm_flops": 2_500}) == (
        "rows 300,000  bytes 184.3 GB  lm_flops 2.5 kFLOP"
    )


def test_speed_is_measured_with_passes_of_the_real_model(choices, monkeypatch):
    from hsae.lm.speed import flops_per_second

    lm = hsae.lm.load("tiny")
    monkeypatch.setattr(torch, "randint", _counted(torch.randint, seen := []))
    found = flops_per_second(lm, ["resid_post.1"], context=64, batch_tokens=256, seconds=0.2)
    assert 1e6 < found < 1e14
    assert set(seen) == {(4, 64)}, "as many tokens at once as the job will take"


def _counted(draw, seen):
    def counting(high, shape, *args, **kwargs):
        seen.append(tuple(shape))
        return draw(high, shape, *args, **kwargs)

    return counting


def test_a_model_that_is_not_here_is_planned_as_far_as_it_goes(planned, capsys):
    found = planned("job.of=extract", "model.path=nobody/nothing", "corpus.tokens=1000")
    assert (found["flops"], found["bytes"]) == (0, 0)
    assert "nobody/nothing is not on this machine" in capsys.readouterr().out


def test_free_memory_is_what_the_system_says():
    assert 10_000_000 < hardware.ram() < 1 << 50
    assert hardware.gpu_memory("cpu") is None


def test_free_disk_is_known_of_a_folder_that_is_not_there_yet(tmp_path: Path):
    assert artifact.free(tmp_path / "not" / "yet") == pytest.approx(artifact.free(tmp_path), rel=0.1)
