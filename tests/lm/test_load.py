"""Loading goes through the real loader, and every mistake is answered with what to type."""

import json
import subprocess
import sys

import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from safetensors.torch import load_file, save_file
from worlds import CONTEXT, FAMILIES, LAYERS, VOCABULARY, WIDTH, random_lm_folder

from hsae.errors import UserError
from hsae.lm import files
from hsae.lm import load as lazily_loaded
from hsae.lm.families import FAMILIES as TABLE
from hsae.lm.loading import AutoConfig, load
from hsae.model_facts import ModelFacts
from hsae.site_names import ENDS, ROLES


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


def test_an_unknown_architecture_shows_its_modules_and_still_has_sites_by_path(tmp_path):
    from transformers import GPTJConfig, GPTJForCausalLM
    from worlds import tokenizer

    GPTJForCausalLM(
        GPTJConfig(n_embd=16, n_layer=2, n_head=2, rotary_dim=4, vocab_size=VOCABULARY)
    ).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    lm = load(str(tmp_path))
    asked = r"'resid_post\.0' is a site by its role, and the architecture 'gptj' has no row"
    how = r"layers\.sites=\[out:transformer\.h\.0\](.|\n)*families\.py(.|\n)*h\.0\.attn: GPTJAttention"
    with pytest.raises(UserError, match=rf"{asked}(.|\n)*{how}"):
        lm.check_sites(["resid_post.0"])
    tokens, got = lm.capture_texts(["a dog", "an oak is a tall tree"], ["out:transformer.h.0"])
    with torch.no_grad():
        hidden = lm.model(tokens.ids, attention_mask=tokens.mask, output_hidden_states=True).hidden_states
    assert torch.equal(got["out:transformer.h.0"], hidden[1])


def test_a_row_that_does_not_fit_its_model_is_told_with_the_modules(folder, monkeypatch):
    monkeypatch.setitem(TABLE, "llama", TABLE["llama"]._replace(mlp_out="out:feed_forward"))
    with pytest.raises(UserError, match=r"row 'llama'(.|\n)*feed_forward(.|\n)*layers\.0\.mlp: LlamaMLP"):
        load(str(folder))


def test_a_model_of_text_and_images_is_read_through_its_text_half(tmp_path):
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration
    from worlds import COMMON, FAMILIES, tokenizer

    text = COMMON | FAMILIES["gemma3_text"] | {"vocab_size": VOCABULARY}
    vision = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 8}
    vision |= {"intermediate_size": 32, "patch_size": 4}
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=5)
    Gemma3ForConditionalGeneration(config).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    lm = load(tmp_path)
    assert (lm.family, lm.layers, lm.d) == ("gemma3_text", LAYERS, WIDTH)
    tokens, got = lm.capture_texts(["a dog"], ["resid_post.-1", "logits"])
    assert torch.equal(got["logits"], lm.logits(tokens.ids, tokens.mask))
    with torch.no_grad():
        expected = lm.model.model.language_model.norm(got["resid_post.-1"])
    assert torch.equal(lm.capture_texts(["a dog"], ["final_norm"])[1]["final_norm"], expected)


@pytest.mark.parametrize(
    ("family", "kind", "causal"),
    [
        ("gpt2", "GPT2LMHeadModel", True),
        ("bert", "BertForMaskedLM", False),
        ("roberta", "RobertaForMaskedLM", False),
        ("t5", "T5EncoderModel", False),
    ],
)
def test_each_family_is_read_by_the_class_that_fits_it(tmp_path, family, kind, causal):
    lm = load(random_lm_folder(tmp_path, family))
    assert (type(lm.model).__name__, lm.causal, lm.layers) == (kind, causal, LAYERS)
    facts = ModelFacts.of(json.loads((tmp_path / f"{family}-0" / "config.json").read_text()))
    assert facts is not None
    assert (facts.layers, facts.d, facts.context or sys.maxsize) == (lm.layers, lm.d, lm.context)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_what_config_json_tells_of_the_sites_is_what_the_model_has(families, family):
    lm = families[family]
    facts = ModelFacts.of(lm.model.config.to_dict())
    assert facts is not None
    roles = {site.partition(".")[0] for site in lm.site_names()}
    assert roles == {*ROLES, *ENDS} - set(facts.lacks)
    assert {site: facts.width(site) for site in lm.site_names()} == lm.widths(lm.site_names())
    assert facts.width("out:anything") is None


def test_weights_of_other_shapes_than_the_config_says_are_told_in_so_many_words(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 96}))
    with pytest.raises(UserError, match="its weights have other shapes than its config.json says"):
        load(str(folder))


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
