"""job=doctor as a person meets it: what it says of a model is so, and it makes nothing."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from worlds import VOCABULARY, random_lm_folder, sentences, tokenizer

from hsae import build
from hsae.errors import UserError
from hsae.execute import execute


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    for number, text in enumerate(sentences(12)):
        (folder / f"{number:03d}.txt").write_text(text)
    return folder


@pytest.fixture
def look(tmp_path, corpus, capsys):
    """Runs the job on a folder and gives its metrics and what it said."""

    def run(model, *overrides):
        common = ["job=doctor", f"model.path={model}", "corpus=text", f"corpus.path={corpus}", "hardware=cpu"]
        common += ["capture.context=32", "job.tokens=100", f"outputs={tmp_path / 'outputs'}"]
        outcome = execute(build.compose([*common, *overrides]))
        assert not (tmp_path / "outputs").exists(), "nothing is made"
        return outcome.metrics, capsys.readouterr().out

    return run


def weights(folder, change):
    stored = load_file(folder / "model.safetensors")
    change(stored)
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})


def line(said, start):
    return next(text for text in said.splitlines() if text.startswith(start)).split()


def test_it_shows_what_it_found(look, tmp_path):
    metrics, said = look(random_lm_folder(tmp_path, "gemma2"), "layers=all")
    titles = [
        "around a text",
        "tried on this model",
        "sites",
        "norms, and what rounding takes away",
        "memory",
    ]
    places = [said.index(f"\n{title}") for title in titles]
    assert places == sorted(places)
    assert "Gemma2ForCausalLM (gemma2)" in said and "4, 2 of keys and values" in said
    assert "tied to the embedding, logits capped at 30" in said
    where = ["resid_mid", "0..2", "in:model.layers.L.pre_feedforward_layernorm", "32"]
    assert line(said, "resid_mid")[:4] == where
    assert line(said, "resid_post  0..2")[-1] == "all"
    assert said.count(" kept ") == 4
    assert metrics["promises kept"] == "4 of 4" and metrics["not finite"] == 0
    assert 100 <= metrics["tokens"] < 100 + 32
    assert said.rstrip().endswith("nothing here stands in the way of a harvest")


def test_memory_is_counted_from_the_model_itself(look, tmp_path):
    folder = random_lm_folder(tmp_path)
    from hsae.lm import load

    parameters = sum(weight.numel() for weight in load(folder).model.parameters())
    _, said = look(folder, "layers.sites=[resid_post.0,mlp_act.-1]")
    assert line(said, "parameters")[-1] == f"{parameters:,}"
    assert line(said, "a token at the 2 chosen")[-8:] == ["384", "B", "192", "B", "192", "B", "104", "B"]
    assert line(said, "mlp_act.2")[-1] == "yes"


@pytest.mark.parametrize(("family", "suffix"), [("bert", True), ("t5", True), ("gpt2", False)])
def test_what_stands_around_a_text_is_shown_with_where_it_comes_from(look, tmp_path, family, suffix):
    _, said = look(random_lm_folder(tmp_path, family))
    assert ("</s>" in line(said, "suffix")) == suffix
    if family == "gpt2":
        assert "the tokenizer puts none: its BOS, else its EOS" in said
        assert re.search(r"loss: \d\.\d+ nats a token behind the prefix, \d\.\d+ without it", said)
    else:
        assert "loss:" not in said  # of a model that does not predict the next token


def test_a_tokenizer_without_special_tokens_is_no_obstacle(look, tmp_path):
    _, said = look(random_lm_folder(tmp_path, bos=False))
    for what in ("prefix", "suffix", "padding"):
        assert " ".join(line(said, what)[1:]).startswith("the tokenizer has none")


def test_a_sink_is_named_and_what_to_do_about_it(look, tmp_path):
    folder = random_lm_folder(tmp_path)
    often = tokenizer()(" a")["input_ids"][0]
    quiet, said = look(folder)
    assert quiet["sinks"] == 0 and "attention sinks: no token's norm" in said

    def loud(stored):
        stored["model.embed_tokens.weight"][[0, often]] *= 300

    weights(folder, loud)
    metrics, said = look(folder)
    assert metrics["sinks"] >= 2
    assert line(said, "'<|endoftext|>'")[1] == "0"
    assert "' a'" in said and "capture.outliers=10 drops the" in said


def test_what_float16_cannot_hold_is_told_with_what_can(look, tmp_path):
    folder = random_lm_folder(tmp_path)
    weights(folder, lambda stored: stored["model.embed_tokens.weight"].mul_(1e6))
    _, said = look(folder, "layers.sites=[embed]")
    assert said.count("too large") >= 1
    assert re.search(r"embed reaches [\d,]+, and float16 ends at 65,504:\n  compute in another dtype", said)
    assert re.search(r"stored of embed reaches [\d,]+:\n  type capture.dtype=bfloat16", said)


def test_numbers_that_are_none_are_counted(look, tmp_path):
    folder = random_lm_folder(tmp_path)
    weights(folder, lambda stored: stored["model.layers.1.mlp.down_proj.weight"].mul_(float("nan")))
    metrics, said = look(folder, "layers.indices=[0]")
    assert metrics["not finite"] > 0
    assert metrics["promises kept"] != "4 of 4"
    assert "NaN or infinite at" in said and "the first is mlp_out.1" in said
    assert "stands in the way" not in said


def test_an_unknown_architecture_shows_its_modules_and_is_looked_at_by_them(look, tmp_path):
    from transformers import GPTJConfig, GPTJForCausalLM

    GPTJForCausalLM(
        GPTJConfig(n_embd=16, n_layer=2, n_head=2, rotary_dim=4, n_positions=64, vocab_size=VOCABULARY)
    ).save_pretrained(tmp_path / "gptj")
    tokenizer().save_pretrained(tmp_path / "gptj")
    with pytest.raises(UserError, match=r"'gptj' has no row(.|\n)*transformer\.h\.0\.attn: GPTJAttention"):
        look(tmp_path / "gptj")
    metrics, said = look(tmp_path / "gptj", "layers.sites=[out:transformer.h.0,out:transformer.h.1.mlp]")
    assert metrics["sites"] == 2 and "tried on this model" not in said
    assert line(said, "out:transformer.h.1.mlp")[1] == "out:transformer.h.1.mlp"


def test_a_context_that_the_model_does_not_have_is_refused(look, tmp_path):
    with pytest.raises(UserError, match="capture.context=100(.|\n)*capture.context=64 or less"):
        look(random_lm_folder(tmp_path), "capture.context=100")


def test_a_dry_run_shows_the_choices_and_nothing_else(tmp_path, monkeypatch, capsys):
    from hsae.__main__ import guarded

    monkeypatch.setattr("sys.argv", ["hsae"])
    monkeypatch.chdir(tmp_path)
    assert guarded(["job=doctor", "dry_run=true", "hardware=cpu"]) == 0
    assert "doctor" in capsys.readouterr().out


def test_weights_that_are_not_there_are_told_as_anywhere(look, tmp_path):
    folder = random_lm_folder(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 5}))
    with pytest.raises(UserError, match="do not fill the model"):
        look(folder, "layers.indices=[0]")
    assert torch.is_grad_enabled()
