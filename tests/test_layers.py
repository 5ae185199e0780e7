"""Which layers and sites a choice means: from config.json alone, refused where it cannot be."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hsae import build
from hsae.config import Layers
from hsae.errors import ConfigError
from hsae.lm import files
from hsae.model_facts import ModelFacts

GPT2 = {"model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_positions": 1024, "vocab_size": 50257}
PYTHIA = {"model_type": "gpt_neox", "num_hidden_layers": 6, "hidden_size": 512, "vocab_size": 50304}
BERT = {"model_type": "bert", "num_hidden_layers": 4, "hidden_size": 64, "intermediate_size": 128}
T5 = {"model_type": "t5", "num_layers": 6, "d_model": 512, "d_ff": 2048, "n_positions": 512}


def layers(**keys) -> Layers:
    said = {"name": "x", "which": "middle", "role": "resid_post", "indices": None, "sites": None, **keys}
    return Layers.model_validate(said)


def model_of(folder: Path, said: dict) -> str:
    (folder / "config.json").write_text(json.dumps(said))
    return f"model.path={folder}"


@pytest.mark.parametrize(
    ("said", "numbers"),
    [
        (3, [3]),
        (-1, [11]),
        ([0, 5, -2], [0, 5, 10]),
        ("0-11:2", [0, 2, 4, 6, 8, 10]),
        ("0..11:5", [0, 5, 10]),
        ("2-4", [2, 3, 4]),
        ("-3..-1", [9, 10, 11]),
        ("0..-1", list(range(12))),
        (["0-2", -1, "2..3"], [0, 1, 2, 11, 3]),
        ([0, -12], [0]),
    ],
)
def test_indices_are_numbers_lists_and_ranges_from_either_end(said, numbers):
    assert layers(indices=said).numbers(12) == numbers


def test_rules_pick_layers_by_depth():
    rules = ("first", "middle", "last", "thirds", "quartiles")
    picks = {which: layers(which=which).numbers(12) for which in rules}
    assert picks == {"first": [0], "middle": [5], "last": [11], "thirds": [4, 7], "quartiles": [3, 6, 8]}
    assert layers(which="all").numbers(3) == [0, 1, 2]
    assert layers(which="thirds").numbers(1) == [0]


def test_several_roles_come_layer_by_layer():
    both = layers(role=["attn_out", "mlp_act"], indices="0-1").resolve(4)
    assert both == ["attn_out.0", "mlp_act.0", "attn_out.1", "mlp_act.1"]


@pytest.mark.parametrize(
    ("said", "sites"),
    [
        ("final_norm", ["final_norm"]),
        (["embed", "logits"], ["embed", "logits"]),
        ("resid_post.-1", ["resid_post.5"]),
        (["mlp_in.0-4:2", "mlp_act.4..-1"], ["mlp_in.0", "mlp_in.2", "mlp_in.4", "mlp_act.4", "mlp_act.5"]),
        (["resid_mid.1", "resid_mid.-5"], ["resid_mid.1"]),
        (["out:h.3.mlp", "in:h.3.mlp.c_proj"], ["out:h.3.mlp", "in:h.3.mlp.c_proj"]),
    ],
)
def test_sites_are_roles_ranges_and_modules(said, sites):
    assert layers(sites=said).resolve(6) == sites


@pytest.mark.parametrize(
    ("said", "words", "told"),
    [
        (GPT2, "layers.indices=12", "layers.indices: there is no layer 12; {path} has layers 0..11"),
        (GPT2, "layers.indices=0-12:3", "layers.indices: there is no layer 12"),
        (GPT2, "layers.indices=8..20", "layers.indices: there is no layer 20"),
        (GPT2, "layers.indices=-13..-1", "layers.indices: there is no layer -13"),
        (GPT2, "layers.indices=9..-9", "layers.indices: 9..-9 is empty; {path} has layers 0..11"),
        (GPT2, "layers.indices=5-3", "layers.indices: '5-3' is empty: a range goes up"),
        (GPT2, "layers.indices=[]", "layers.indices: is empty; null leaves the choice to layers.which"),
        (GPT2, "layers.indices=[1.5]", "layers.indices.0: 1.5 names no layers; type an index (3, -1) or a"),
        (GPT2, "layers.indices=some", "layers.indices: 'some' names no layers"),
        (GPT2, "layers.sites=[mlp_act.40]", "layers.sites: there is no mlp_act.40; {path} has layers 0..11"),
        (GPT2, "layers.sites=[resid_post.-13]", "layers.sites: there is no resid_post.-13"),
        (GPT2, "layers.sites=[resid_post.4..40]", "layers.sites: there is no resid_post.40"),
        (GPT2, "layers.sites=[resid_post.4-2]", "layers.sites.0: '4-2' is empty"),
        (
            GPT2,
            "layers.sites=resid_pots.1",
            "layers.sites: there is no site 'resid_pots.1'; did you mean resid_post.1? (sites are embed,",
        ),
        (GPT2, "layers.sites=[embed.1]", "layers.sites.0: there is no site 'embed.1'"),
        (GPT2, "layers.sites=[h.3.mlp]", "did you mean out:h.3.mlp?"),
        (GPT2, "layers.sites=[mlp_act]", "did you mean mlp_act.N?"),
        (GPT2, "layers.sites=[]", "layers.sites: is empty"),
        (GPT2, "layers.role=mlp_hidden", "layers.role: should be 'resid_pre'"),
        (GPT2, "layers.role=[attn_out,mlp_ouz]", "did you mean mlp_out?"),
        (GPT2, "layers.role=[]", "layers.role: "),
        (PYTHIA, "layers.role=resid_mid", "layers.role: {path} has no resid_mid.2: its blocks add attention"),
        (PYTHIA, "layers.sites=[resid_mid.-1]", "layers.sites: {path} has no resid_mid.5: its blocks add"),
        (
            BERT,
            "layers.sites=[final_norm]",
            "layers.sites: {path} has no final_norm: each block ends in a norm",
        ),
        (T5, "layers.sites=[logits]", "layers.sites: {path} has no logits: it is read without a head"),
    ],
)
def test_what_the_model_cannot_have_is_refused_before_it_is_loaded(tmp_path: Path, said, words, told):
    with pytest.raises(ConfigError) as refused:
        build.compose([model_of(tmp_path, said), words])
    assert told.format(path=tmp_path) in str(refused.value)
    assert len(str(refused.value).splitlines()) == 2, "one mistake, told once"


@pytest.mark.parametrize(
    ("words", "sites"),
    [
        ("layers.indices=0-11:5", ["resid_post.0", "resid_post.5", "resid_post.10"]),
        ("layers.indices=[0,-1]", ["resid_post.0", "resid_post.11"]),
        ("layers.indices=-1", ["resid_post.11"]),
        ("layers=thirds", ["resid_post.4", "resid_post.7"]),
        ("layers.sites=[out:h.3.mlp,resid_post.-1]", ["out:h.3.mlp", "resid_post.11"]),
        ("layers.sites=mlp_act.1..2", ["mlp_act.1", "mlp_act.2"]),
        ("layers=last layers.role=[mlp_in,mlp_out]", ["mlp_in.11", "mlp_out.11"]),
    ],
)
def test_what_is_typed_is_understood(tmp_path: Path, words, sites):
    config = build.compose([model_of(tmp_path, GPT2), *words.split()])
    assert config.layers.resolve(12) == sites
    assert files.site_choice(config.model, config.layers) == sites


def test_two_ways_to_say_the_same_are_one_choice(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    hub = "model.path=nobody/nothing"  # which is not here, so that the rule itself is the choice
    said = [build.compose([hub, words]) for words in ("layers.role=mlp_out", "layers.role=[mlp_out]")]
    first, second = (files.site_choice(config.model, config.layers) for config in said)
    assert first == second


def test_a_site_that_is_a_module_can_name_a_folder(tmp_path: Path):
    config = build.compose([model_of(tmp_path, GPT2), "layers.sites=[out:h.3.mlp]"])
    assert files.site_label(config.model, config.layers) == "out-h.3.mlp"


def test_a_folder_is_not_named_after_a_rule_that_was_overruled(tmp_path: Path):
    for words in ("layers.sites=[embed,mlp_act.3]", "layers.indices=[0,-1]"):
        config = build.compose([model_of(tmp_path, GPT2), "layers=middle", words])
        assert files.site_label(config.model, config.layers) == "chosen"
    config = build.compose([model_of(tmp_path, GPT2), "layers=thirds"])
    assert files.site_label(config.model, config.layers) == "thirds"


def test_the_width_of_a_site_is_known_without_the_model():
    facts = ModelFacts.of(GPT2 | {"n_inner": None})
    assert facts is not None
    widths = {site: facts.width(site) for site in ("resid_post.3", "mlp_act.3", "logits", "out:h.3.mlp")}
    assert widths == {"resid_post.3": 768, "mlp_act.3": 3072, "logits": 50257, "out:h.3.mlp": None}
    assert ModelFacts.of(T5).context is None, "distances bound no text"
    roberta = {**BERT, "model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    assert ModelFacts.of(roberta).context == 512, "two positions are for padding"


@pytest.mark.parametrize(
    "file", sorted((build.conf_dir() / "layers").glob("*.yaml")), ids=lambda file: file.stem
)
def test_every_rule_on_offer_is_named_after_itself(file: Path):
    said = yaml.safe_load(file.read_text())
    assert said["which"] == said["name"] == file.stem


def test_sites_are_resolved_without_torch():
    program = (
        "import sys\nfrom hsae.build import compose\n"
        "config = compose(['layers.sites=[resid_post.-1]'])\n"
        "print(config.layers.resolve(config.model.facts().layers))\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("['resid_post.")
