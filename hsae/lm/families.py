"""The site table: where each architecture has its sites, a row a family. A new architecture is one more row.

A place is written as users write it: `out:mlp` is what the module `mlp` returns, `in:mlp` what it reads.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Family(NamedTuple):
    """Paths: of the blocks, `embed` and `final_norm` below the stack, of all others below a block.

    None where an architecture has no such place.
    """

    blocks: str
    embed: str | None
    attn_out: str
    resid_mid: str | None
    mlp_in: str
    mlp_act: str
    mlp_out: str
    final_norm: str | None


_LLAMA = Family(
    blocks="layers",
    embed="out:embed_tokens",
    attn_out="out:self_attn",
    resid_mid="in:post_attention_layernorm",
    mlp_in="in:mlp",
    mlp_act="in:mlp.down_proj",
    mlp_out="out:mlp",
    final_norm="out:norm",
)
_GEMMA = _LLAMA._replace(  # what attention and MLP return is normed before it is added
    attn_out="out:post_attention_layernorm",
    resid_mid="in:pre_feedforward_layernorm",
    mlp_out="out:post_feedforward_layernorm",
)
_BERT = Family(
    blocks="encoder.layer",
    embed="out:embeddings.word_embeddings",
    attn_out="out:attention.output.dense",
    resid_mid="out:attention",
    mlp_in="in:intermediate",
    mlp_act="in:output.dense",
    mlp_out="out:output.dense",
    final_norm=None,
)
_TORCH = Family(
    blocks="layers",
    embed=None,
    attn_out="out:self_attn",
    resid_mid="in:norm2",
    mlp_in="in:linear1",
    mlp_act="in:linear2",
    mlp_out="out:linear2",
    final_norm="out:norm",
)

FAMILIES: dict[str, Family] = {
    "gpt2": Family(
        blocks="h",
        embed="out:wte",
        attn_out="out:attn",
        resid_mid="in:ln_2",
        mlp_in="in:mlp",
        mlp_act="in:mlp.c_proj",
        mlp_out="out:mlp",
        final_norm="out:ln_f",
    ),
    "gpt_neox": Family(
        blocks="layers",
        embed="out:embed_in",
        attn_out="out:attention",
        resid_mid="in:post_attention_layernorm",
        mlp_in="in:mlp",
        mlp_act="in:mlp.dense_4h_to_h",
        mlp_out="out:mlp",
        final_norm="out:final_layer_norm",
    ),
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA,
    "phi": _LLAMA._replace(resid_mid=None, mlp_act="in:mlp.fc2", final_norm="out:final_layernorm"),
    "phi3": _LLAMA,
    "olmo": _LLAMA,
    "olmo2": _GEMMA._replace(resid_mid="in:mlp"),
    "opt": Family(
        blocks="decoder.layers",
        embed="out:decoder.embed_tokens",
        attn_out="out:self_attn",
        resid_mid="in:final_layer_norm",
        mlp_in="in:fc1",
        mlp_act="in:fc2",
        mlp_out="out:fc2",
        final_norm="out:decoder.final_layer_norm",
    ),
    "bert": _BERT,
    "roberta": _BERT,
    "t5": Family(
        blocks="encoder.block",
        embed="out:encoder.embed_tokens",
        attn_out="out:layer.0.SelfAttention",
        resid_mid="in:layer.1",
        mlp_in="in:layer.1.DenseReluDense",
        mlp_act="in:layer.1.DenseReluDense.wo",
        mlp_out="out:layer.1.DenseReluDense",
        final_norm="out:encoder.final_layer_norm",
    ),
    "vit": Family(
        blocks="layers",
        embed="out:embeddings",
        attn_out="out:attention",
        resid_mid="in:layernorm_after",
        mlp_in="in:mlp",
        mlp_act="in:mlp.fc2",
        mlp_out="out:mlp",
        final_norm="out:layernorm",
    ),
    "TransformerEncoder": _TORCH,
    "TransformerDecoder": _TORCH._replace(resid_mid="in:norm3"),
}
"""By the `model_type` of a Hugging Face configuration, or the class of one of torch's own stacks."""


def family(kind: str, said: Mapping[str, Any]) -> Family | None:
    """The row of an architecture as its configuration varies it; None for one that has no row.

    Read from `said`: `use_parallel_residual` (GPT-NeoX), `do_layer_norm_before` (OPT), `norm_first` and
    `norm` (torch's stacks).
    """
    row = FAMILIES.get(kind)
    if row is None:
        return None
    if kind == "gpt_neox" and said.get("use_parallel_residual", True):
        return row._replace(resid_mid=None)
    if kind == "opt" and not said.get("do_layer_norm_before", True):  # OPT-350m
        return row._replace(resid_mid="out:self_attn_layer_norm", final_norm=None)
    if kind.startswith("Transformer"):
        after = {"TransformerEncoder": "out:norm1", "TransformerDecoder": "out:norm2"}[kind]
        return row._replace(
            resid_mid=row.resid_mid if said["norm_first"] else after,
            final_norm=row.final_norm if said["norm"] else None,
        )
    return row
