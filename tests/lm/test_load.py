"""Loading goes through the real loader, and every mistake is answered with what to type."""

import json
import subprocess
import sys

import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from safetensors.torch import load_file, save_file
from worlds import CONTEXT, LAYERS, VOCABULARY, WIDTH, random_lm_folder

from hsae.errors import UserError
from hsae.lm import files
from hsae.lm import load as lazily_loaded
from hsae.lm.loading import AutoConfig, load


@pytest.fixture
def folder(tmp_path):
    return random_lm_folder(tmp_path)


def test_a_folder_that_transformers_wrote_is_a_model(folder):
    lm = lazily_loaded(str(folder))
    assert (lm.d, lm.layers, lm.context, lm.vocabulary, lm.family) == (
        WIDTH,
        LAYERS,
        CONTEXT,
        VOCABULARY,
        "llama",
    )
    assert lm.unembedding.shape == lm.embedding.shape == (VOCABULARY, WIDTH)
    assert not lm.model.training and not any(weight.requires_grad for weight in lm.model.parameters())
    assert lm.fingerprint == files.fingerprint(str(folder), None)


def test_weights_stored_in_half_precision_compute_in_float32(folder):
    stored = {name: weight.half() for name, weight in load_file(folder / "model.safetensors").items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    assert load(str(folder)).model.dtype == torch.float32
    assert load(str(folder), dtype="bfloat16").model.dtype == torch.bfloat16


def test_auto_is_float32_on_a_machine_without_a_gpu(folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    model = load(str(folder), device="auto", dtype="auto").model
    assert (model.device.type, model.dtype) == ("cpu", torch.float32)


def test_weights_that_do_not_fill_the_model_are_refused(folder):
    stored = load_file(folder / "model.safetensors")
    del stored["model.layers.1.mlp.up_proj.weight"]
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="do not fill the model.*layers.1.mlp.up_proj"):
        load(str(folder))


def test_a_missing_folder_says_what_would_be_one(tmp_path):
    with pytest.raises(UserError, match="not a directory(.|\n)*config.json"):
        load(str(tmp_path / "nowhere"))


def test_a_folder_without_a_model_says_what_it_holds(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match=r"no config\.json \(found: notes\.txt\)"):
        load(str(tmp_path))


def test_a_folder_without_weights_or_with_broken_ones_is_a_user_error(folder):
    (folder / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="cannot be loaded"):
        load(str(folder))
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match="cannot be loaded"):
        load(str(folder))


def test_an_unknown_architecture_shows_its_modules_and_where_to_add_it(tmp_path):
    from transformers import GPTJConfig, GPTJForCausalLM
    from worlds import tokenizer

    GPTJForCausalLM(
        GPTJConfig(n_embd=16, n_layer=2, n_head=2, rotary_dim=4, vocab_size=VOCABULARY)
    ).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"'gptj' has no row(.|\n)*sites\.py(.|\n)*h\.0\.attn: GPTJAttention"):
        load(str(tmp_path))


def test_the_one_opt_without_a_residual_stream_is_refused(tmp_path):
    path = random_lm_folder(tmp_path, "opt")
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"do_layer_norm_before": False}))
    with pytest.raises(UserError, match="opt-125m"):
        load(str(path))


def test_an_architecture_that_transformers_does_not_know_is_a_user_error(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "martian"}))
    with pytest.raises(UserError, match="martian"):
        load(str(folder))


@pytest.mark.parametrize(
    ("problem", "answer"),
    [
        (GatedRepoError, "hf auth login"),
        (RepositoryNotFoundError, "neither a directory here nor a model on the hub"),
        (RevisionNotFoundError, "no such revision"),
    ],
)
def test_what_the_hub_refuses_is_explained(monkeypatch, problem, answer):
    def refuse(*_args, **_options):
        raise OSError("the hub says no") from problem.__new__(problem)

    monkeypatch.setattr(AutoConfig, "from_pretrained", refuse)
    with pytest.raises(UserError, match=answer):
        load("someone/something", revision="abc")


def test_a_model_that_is_not_here_while_the_hub_is_away_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # what the environment's HF_HUB_OFFLINE=1 sets
    with pytest.raises(UserError, match=r"HF_HUB_OFFLINE(.|\n)*hf download nobody/nothing --revision v1"):
        load("nobody/nothing", revision="v1")


def test_a_gpu_that_is_not_there_is_a_user_error(folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="hardware=cpu"):
        load(str(folder), device="cuda")


def test_the_fingerprint_follows_the_content_and_not_the_place(folder, tmp_path):
    from shutil import copytree

    before = files.fingerprint(str(folder), None)
    assert files.fingerprint(str(copytree(folder, tmp_path / "elsewhere")), None) == before
    (folder / "README.md").write_text("a note")
    assert files.fingerprint(str(folder), None) == before
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    assert files.fingerprint(str(folder), None) != before


def test_large_weights_are_told_apart_by_length_head_and_tail(folder, monkeypatch):
    monkeypatch.setattr(files, "_READ_WHOLE", 1 << 10)
    monkeypatch.setattr(files, "_EDGE", 1 << 8)
    weights = (folder / "model.safetensors").read_bytes()
    before = files.fingerprint(str(folder), None)
    for other in (weights + b"\0", b"\0" + weights[1:], weights[:-1] + bytes([weights[-1] ^ 1])):
        (folder / "model.safetensors").write_bytes(other)
        assert files.fingerprint(str(folder), None) != before


def test_a_model_on_the_hub_is_its_name_and_revision():
    assert files.fingerprint("gpt2", None) == "gpt2@main"
    assert files.fingerprint("org/model", "abc123") == "org/model@abc123"


def test_fingerprints_need_no_torch():
    program = "import sys, hsae.lm.files; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
