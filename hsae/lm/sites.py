"""Sites: named places in a language model, resolved to modules by one table with a row per family.

    embed            the token embedding, before anything is added to it
    resid_pre.L      the residual stream as block L reads it
    attn_out.L       what the attention of block L adds to the stream
    resid_mid.L      the stream between the two (families whose MLP reads it there)
    mlp_out.L        what the MLP of block L adds to the stream
    resid_post.L     the stream as block L leaves it
    final_norm       the stream after the last norm, as the unembedding reads it

so resid_mid.L = resid_pre.L + attn_out.L and resid_post.L = resid_pre.L + attn_out.L + mlp_out.L in every
family.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple, final

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from hsae.errors import UserError


class Family(NamedTuple):
    """Paths of modules: the first three below the base model, the others below a block."""

    blocks: str
    embed: str
    final_norm: str
    attn: str
    """The module whose output the attention adds to the stream (a norm, in families that norm it first)."""
    mlp: str
    mid: str | None
    """The module that reads the stream between attention and MLP; None where both read the same."""


_LLAMA = Family("layers", "embed_tokens", "norm", "self_attn", "mlp", "post_attention_layernorm")
_GEMMA = _LLAMA._replace(
    attn="post_attention_layernorm", mlp="post_feedforward_layernorm", mid="pre_feedforward_layernorm"
)

FAMILIES: dict[str, Family] = {
    "gpt2": Family("h", "wte", "ln_f", "attn", "mlp", "ln_2"),
    "gpt_neox": Family(
        "layers", "embed_in", "final_layer_norm", "attention", "mlp", "post_attention_layernorm"
    ),
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA,
    "phi": Family("layers", "embed_tokens", "final_layernorm", "self_attn", "mlp", None),
    "phi3": _LLAMA,
    "olmo": _LLAMA,
    "olmo2": _GEMMA._replace(mid="mlp"),
    "opt": Family(
        "decoder.layers",
        "decoder.embed_tokens",
        "decoder.final_layer_norm",
        "self_attn",
        "fc2",
        "final_layer_norm",
    ),
}
"""By the `model_type` of a Hugging Face configuration. A new architecture is one more row."""

Change = Callable[[Tensor], Tensor]


@final
@dataclass(frozen=True)
class Place:
    """Where a site is read: at the input or the output of one module."""

    module: nn.Module
    input: bool

    def watch(self, see: Callable[[Tensor], None]) -> RemovableHandle:
        """Call `see` with the tensor at every pass."""
        if self.input:
            return self.module.register_forward_pre_hook(
                lambda _, args, kwargs: see(_stream(args, kwargs)), with_kwargs=True
            )
        return self.module.register_forward_hook(lambda _, __, output: see(_tensor(output)))

    def replace(self, change: Change) -> RemovableHandle:
        """Put `change(tensor)` in the tensor's place at every pass."""
        change = _three_axes(change)
        if self.input:
            return self.module.register_forward_pre_hook(
                lambda _, args, kwargs: _with_stream(args, kwargs, change), with_kwargs=True
            )
        return self.module.register_forward_hook(lambda _, __, output: _with_tensor(output, change))


def _three_axes(change: Change) -> Change:
    # OPT's MLP runs on flattened rows [batch*token d]: there, all texts of a batch follow each other as one
    return lambda tensor: change(tensor) if tensor.dim() == 3 else change(tensor[None])[0]


def _tensor(output: Any) -> Tensor:
    # attention returns (tensor, weights); blocks did so too before transformers 5
    return output[0] if isinstance(output, tuple) else output


def _with_tensor(output: Any, change: Change) -> Any:
    return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)


def _stream(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    return args[0] if args else kwargs["hidden_states"]


def _with_stream(args: tuple[Any, ...], kwargs: dict[str, Any], change: Change) -> tuple[Any, Any]:
    if args:
        return (change(args[0]), *args[1:]), kwargs
    return args, kwargs | {"hidden_states": change(kwargs["hidden_states"])}


def places(base: nn.Module, config: Any) -> dict[str, Place]:
    """Every site of a base model (without its head) in the order of the forward pass.

    Raises `UserError` with the tree of modules for a family that has no row in the table.
    """
    if (family := FAMILIES.get(config.model_type)) is None:
        raise UserError(
            f"the architecture {config.model_type!r} has no row in the site table "
            f"(known: {', '.join(sorted(FAMILIES))}).\nAdd one in hsae/lm/sites.py from its modules:\n"
            + tree(base)
        )
    if not getattr(config, "do_layer_norm_before", True):
        raise UserError(
            "this OPT norms the stream after each addition (only OPT-350m does): it has no residual stream.\n"
            "Take another size, such as model.path=facebook/opt-125m"
        )
    found = {"embed": Place(base.get_submodule(family.embed), input=False)}
    blocks = base.get_submodule(family.blocks)
    mid = family.mid if _mlp_reads_after_attention(config) else None
    for layer, block in enumerate(blocks.children()):
        found[f"resid_pre.{layer}"] = Place(block, input=True)
        found[f"attn_out.{layer}"] = Place(block.get_submodule(family.attn), input=False)
        if mid is not None:
            found[f"resid_mid.{layer}"] = Place(block.get_submodule(mid), input=True)
        found[f"mlp_out.{layer}"] = Place(block.get_submodule(family.mlp), input=False)
        found[f"resid_post.{layer}"] = Place(block, input=False)
    found["final_norm"] = Place(base.get_submodule(family.final_norm), input=False)
    return found


def _mlp_reads_after_attention(config: Any) -> bool:
    return not getattr(config, "use_parallel_residual", False)  # Pythia's blocks run the two side by side


def unknown_site(site: str, known: list[str]) -> UserError:
    """The error for a site that a model does not have, naming the nearest that it has."""
    near = get_close_matches(site, known, n=3, cutoff=0.6)
    roles = sorted({name.rpartition(".")[0] or name for name in known})
    layers = sum(name.startswith("resid_post.") for name in known)
    return UserError(
        f"the model has no site {site!r}"
        + (f"; near it are {', '.join(near)}" if near else "")
        + f".\nIt has {', '.join(roles)}, with layers .0 to .{layers - 1}: "
        f"layers.sites=[resid_post.{layers - 1}]"
    )


def tree(module: nn.Module, *, depth: int = 3) -> str:
    """The modules of a model down to `depth`, of numbered siblings only the first."""
    lines = []
    for name, child in module.named_modules():
        parts = name.split(".")
        if name and len(parts) <= depth and all(not part.isdigit() or part == "0" for part in parts):
            lines.append(f"{'  ' * len(parts)}{name}: {type(child).__name__}")
    return "\n".join(lines)
