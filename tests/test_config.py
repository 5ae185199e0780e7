"""What does not fit together is refused early; what is known of a model comes from its own files."""

import json
from pathlib import Path

import pytest

from hsae import build
from hsae.build.plugins import read_class
from hsae.config import Layers, Model
from hsae.errors import ConfigError

GPT2 = {"model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_positions": 1024, "vocab_size": 50257}
NEOX = {"model_type": "gpt_neox", "num_hidden_layers": 6, "hidden_size": 512, "vocab_size": 50304}
GEMMA = {
    "model_type": "gemma3",
    "text_config": {"num_hidden_layers": 18, "hidden_size": 640, "vocab_size": 262144},
}


def a_model(folder: Path, said: dict) -> str:
    (folder / "config.json").write_text(json.dumps(said))
    return f"model.path={folder}"


def layers(**keys) -> Layers:
    said = {"name": "x", "which": "middle", "role": "resid_post", "indices": None, "sites": None, **keys}
    return Layers.model_validate(said)


@pytest.mark.parametrize(
    ("said", "depth", "d", "parallel"),
    [(GPT2, 12, 768, False), (NEOX, 6, 512, True), (GEMMA, 18, 640, False)],
)
def test_the_size_of_a_model_is_read_from_its_own_files(
    tmp_path: Path, said: dict, depth: int, d: int, parallel
):
    a_model(tmp_path, said)
    facts = Model(name="x", path=str(tmp_path), revision=None, untrained=False).facts()
    assert facts is not None
    assert (facts.layers, facts.d, "resid_mid" in facts.lacks) == (depth, d, parallel)


def test_of_a_model_that_is_not_here_nothing_is_claimed(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert Model(name="x", path="nobody/nothing", revision=None, untrained=False).facts() is None
    (tmp_path / "config.json").write_text("<html>")
    assert Model(name="x", path=str(tmp_path), revision=None, untrained=False).facts() is None


def test_a_downloaded_model_is_known_without_a_network(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "models--openai-community--gpt2"
    (cached / "snapshots" / "abc").mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("abc")
    (cached / "snapshots" / "abc" / "config.json").write_text(json.dumps(GPT2))
    facts = Model(name="gpt2", path="openai-community/gpt2", revision=None, untrained=False).facts()
    assert facts is not None and facts.layers == 12


def test_rules_pick_layers_by_depth():
    picks = {which: layers(which=which).numbers(12) for which in ("first", "middle", "last", "quartiles")}
    assert picks == {"first": [0], "middle": [5], "last": [11], "quartiles": [3, 6, 8]}
    assert layers(which="quartiles").numbers(1) == [0]
    assert layers(which="all").resolve(2) == ["resid_post.0", "resid_post.1"]


def test_indices_beat_the_rule_and_sites_beat_both():
    assert layers(indices=[0, -1]).resolve(4) == ["resid_post.0", "resid_post.3"]
    assert layers(indices=[0], role="mlp_out").resolve(4) == ["mlp_out.0"]
    assert layers(indices=[0], sites=["embed", "attn_out.2"]).resolve(4) == ["embed", "attn_out.2"]


@pytest.mark.parametrize(
    ("said", "words", "told"),
    [
        (GPT2, "layers.indices=[3,12]", "layers.indices: there is no layer 12; {path} has layers 0..11"),
        (GPT2, "layers.indices=[-13]", "there is no layer -1"),
        (GPT2, "layers.sites=[mlp_out.40]", "layers.sites: there is no mlp_out.40; {path} has layers 0..11"),
        (GPT2, "layers.indices=[]", "layers.indices: is empty"),
        (
            NEOX,
            "layers.role=resid_mid",
            "layers.role: {path} has no resid_mid.2: its blocks add attention and MLP",
        ),
        (GPT2, "sae.latents=16 sae.k=17", "17 latents cannot"),
        (
            GPT2,
            "sae.latents=null sae.expansion=2 sae.k=1537",
            "the SAE has 1536 (sae.expansion x the width",
        ),
        (
            GPT2,
            "stage.contexts=nowhere",
            "the contexts 'nowhere' are not among those chosen: contexts=[raw, templates, ",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_with_both_sides(
    tmp_path: Path, said: dict, words: str, told: str
):
    with pytest.raises(ConfigError) as refused:
        build.compose([a_model(tmp_path, said), *words.split()])
    assert told.format(path=tmp_path) in str(refused.value)


def test_settings_are_read_without_running_the_rest_of_their_file(tmp_path: Path, monkeypatch):
    import hsae.sae

    (tmp_path / "planted.py").write_text(
        "import torch\nfrom typing import Literal\nfrom pydantic import PositiveInt, model_validator\n"
        "from hsae.config import Part\nfrom hsae.sae.planted_base import Base as Mother\n"
        "LARGEST = 2 * 8\nraise RuntimeError('imported')\n"
        "def even(k): return k % 2 == 0\n"
        "class Settings(Mother):\n    name: Literal['planted']\n    k: PositiveInt = LARGEST\n"
        "    @model_validator(mode='after')\n    def _even(self):\n"
        "        if not even(self.k): raise ValueError('k is odd')\n        return self\n"
    )
    (tmp_path / "planted_base.py").write_text(
        "import torch\nfrom hsae.config import Part\n"
        "class Base(Part):\n    lr: float\nraise RuntimeError('imported')\n"
    )
    monkeypatch.setattr(hsae.sae.__spec__, "submodule_search_locations", [str(tmp_path)])
    settings = build.settings("sae", "planted")
    assert settings(name="planted", lr=0.1).model_dump() == {"lr": 0.1, "name": "planted", "k": 16}
    with pytest.raises(ValueError, match="k is odd"):
        settings(name="planted", lr=0.1, k=3)
    read_class.cache_clear()


def test_settings_that_need_something_heavy_say_what(tmp_path: Path, monkeypatch):
    import hsae.sae

    (tmp_path / "heavy.py").write_text(
        "import torch\nfrom hsae.config import Part\nclass Settings(Part):\n    dtype: torch.dtype\n"
    )
    monkeypatch.setattr(hsae.sae.__spec__, "submodule_search_locations", [str(tmp_path)])
    with pytest.raises(TypeError, match="readable without importing torch"):
        build.settings("sae", "heavy")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["train.tokens=10", "train.batch=128"], "train.tokens: 10 is less than one train.batch=128"),
        (["train.warmup=0.9", "train.decay=0.9"], "train.warmup: 0.9 and train.decay=0.9"),
        (["layers.indices=[-9]"], "there is no layer -9"),
    ],
)
def test_what_could_never_train_is_refused_in_the_words_that_were_typed(overrides, said):
    with pytest.raises(ConfigError, match=said):
        build.compose(["job=train_sae", *overrides])


def test_a_config_json_that_holds_a_list_is_no_model(tmp_path: Path):
    (tmp_path / "config.json").write_text("[1, 2]")
    assert Model(name="x", path=str(tmp_path), revision=None, untrained=False).facts() is None
