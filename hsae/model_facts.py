"""What a model's own config.json says of it, under whichever of the field's names; needs no torch."""

from collections.abc import Mapping
from typing import Any, NamedTuple

PARALLEL = {"gpt_neox", "gptj", "phi", "cohere", "falcon"}
"""Architectures whose blocks add attention and MLP to the same stream."""

AFTER_PAD = {"roberta", "xlm-roberta", "camembert"}
"""Architectures that number positions from the padding id + 1 on."""

UNGATED = {"gpt2", "gpt_neox", "gptj", "phi", "opt", "bert", "roberta", "vit", "t5"}
"""Architectures whose MLP is two matrices; newer T5s say in `feed_forward_proj` that theirs is three."""


class ModelFacts(NamedTuple):
    """The size of a model, and which sites it has."""

    layers: int
    d: int
    context: int | None
    """The longest text in tokens; None where nothing bounds it (positions relative to each other)."""
    vocabulary: int | None
    mlp: int | None
    """Width inside the MLP."""
    lacks: Mapping[str, str]
    """Role -> why the architecture has no such site."""
    attention: int
    """Weights in the matrices of a layer's attention."""
    gated: bool
    """Whether the MLP has three matrices (Llama's) or two (GPT-2's)."""
    tied: bool
    """Whether the unembedding is the embedding."""

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "ModelFacts | None":
        """Read from a configuration of the field; None where it does not say how deep and wide it is."""
        layers = _first(said, "num_hidden_layers", "n_layer", "num_layers")
        d = _first(said, "hidden_size", "n_embd", "d_model")
        if layers is None or d is None:
            return None
        family = said.get("model_type")
        context = _first(said, "max_position_embeddings", "n_positions", "n_ctx")
        if context is not None and family in AFTER_PAD:
            pad = _first(said, "pad_token_id")
            context -= 1 + (1 if pad is None else pad)
        if family == "t5":  # its n_positions is what it was trained on, and bounds nothing
            context = None
        mlp = _first(said, "intermediate_size", "n_inner", "ffn_dim", "d_ff")
        return cls(
            layers=layers,
            d=d,
            context=context,
            vocabulary=_first(said, "vocab_size"),
            mlp=4 * d if mlp is None and family == "gpt2" else mlp,
            lacks=_lacks(said),
            attention=_attention(said, d),
            gated=family not in UNGATED or str(said.get("feed_forward_proj")).startswith("gated"),
            tied=bool(said.get("tie_word_embeddings", True)),
        )

    def width(self, site: str) -> int | None:
        """Units of a site; None where only the model itself knows, as of a module by its path."""
        if ":" in site:
            return None
        return {"mlp_act": self.mlp, "logits": self.vocabulary}.get(site.partition(".")[0], self.d)

    @property
    def parameters(self) -> int:
        """Weights of all matrices."""
        embedding = self.d * (self.vocabulary or 0)
        return self.passed("logits") + (0 if self.tied else embedding)

    def passed(self, site: str) -> int:
        """Weights in the matrices that a token is multiplied with on its way to a site: half its FLOPs.

        The way to a module by its path counts as all layers. Scores of attention are not counted.
        """
        role, _, layer = site.partition(".")
        block = self.attention + (3 if self.gated else 2) * self.d * (self.mlp or 4 * self.d)
        if role == "embed":
            return 0
        if role == "logits":
            return self.layers * block + self.d * (self.vocabulary or 0)
        if not layer.isdecimal():
            return self.layers * block
        within = {"resid_pre": 0, "attn_out": self.attention, "resid_mid": self.attention}.get(role, block)
        return int(layer) * block + within


def _attention(said: Mapping[str, Any], d: int) -> int:
    """Queries and output of all heads, keys and values of as many as there are of those."""
    heads = _first(said, "num_attention_heads", "n_head", "num_heads") or 1
    shared = _first(said, "num_key_value_heads") or heads
    width = _first(said, "head_dim", "d_kv") or d // heads
    return 2 * d * width * (heads + shared)


def _first(said: Mapping[str, Any], *names: str) -> int | None:
    return next((int(said[name]) for name in names if isinstance(said.get(name), int)), None)


def _lacks(said: Mapping[str, Any]) -> dict[str, str]:
    family = said.get("model_type")
    lacks = {}
    if said.get("use_parallel_residual", family in PARALLEL):
        lacks["resid_mid"] = "its blocks add attention and MLP at once"
    if family in {"bert", "roberta"} or said.get("do_layer_norm_before") is False:
        lacks["final_norm"] = "each block ends in a norm, and none follows the last"
    if family in {"t5", "vit"}:
        lacks["logits"] = "it is read without a head"
    return lacks
