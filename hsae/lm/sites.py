"""Sites: named places in a network, resolved to modules by the rows of `hsae.lm.families`.

    embed            the token embedding, before anything is added to it (of a ViT: what block 0 reads)
    resid_pre.L      the residual stream as block L reads it
    attn_out.L       what the self-attention of block L adds to the stream
    resid_mid.L      the stream between the two (families whose MLP reads it there)
    mlp_in.L         what the MLP of block L reads, behind its norm
    mlp_act.L        the activation inside it, behind non-linearity and gate, as its last matrix reads it
    mlp_out.L        what the MLP of block L adds to the stream
    resid_post.L     the stream as block L leaves it
    final_norm       the stream behind the last norm, as the unembedding reads it
    logits           the scores of the vocabulary, soft-capped where the model does so
    out:PATH         what any module returns, by its path in the model's `named_modules()`
    in:PATH          what it reads

so resid_mid.L = resid_pre.L + attn_out.L and resid_post.L = resid_pre.L + attn_out.L + mlp_out.L, save where
blocks norm the stream itself (BERT, RoBERTa, OPT-350m, torch's stacks with norm_first=False). There, with the
two norms of block L,

    resid_mid.L  = norm1(resid_pre.L + attn_out.L)      which is mlp_in.L too
    resid_post.L = norm2(resid_mid.L + mlp_out.L)       and no final_norm follows

In torch's decoder the cross-attention adds to the stream between attn_out and resid_mid.
"""

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple, final

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from hsae.errors import UserError
from hsae.lm.families import FAMILIES, Family, family
from hsae.site_names import MODULE, ROLES

Change = Callable[[Tensor], Tensor]


@final
@dataclass(frozen=True)
class Place:
    """Where a site is read: at the input or the output of one module."""

    name: str
    module: nn.Module
    input: bool = False
    field: str | None = None
    """Of an output with names."""

    def watch(self, see: Callable[[Tensor], None]) -> RemovableHandle:
        """Call `see` with the tensor at every pass."""
        if self.input:
            return self.module.register_forward_pre_hook(
                lambda _, args, kwargs: see(self._read(args, kwargs)), with_kwargs=True
            )
        return self.module.register_forward_hook(lambda _, __, output: see(self._returned(output)))

    def replace(self, change: Change) -> RemovableHandle:
        """Put `change(tensor)` in the tensor's place at every pass."""
        if self.input:
            return self.module.register_forward_pre_hook(
                lambda _, args, kwargs: self._reading(args, kwargs, change), with_kwargs=True
            )
        return self.module.register_forward_hook(lambda _, __, output: self._returning(output, change))

    def _returned(self, output: Any) -> Tensor:
        # attention returns (tensor, weights), T5's blocks too, a whole model fields with names
        if isinstance(output, MutableMapping):
            output = output[self.field or next(iter(output))]
        elif isinstance(output, tuple | list):
            output = output[0]
        return self._tensor(output, "returns")

    def _returning(self, output: Any, change: Change) -> Any:
        changed = change(self._returned(output))
        if isinstance(output, MutableMapping):
            output[self.field or next(iter(output))] = changed
            return output
        return type(output)((changed, *output[1:])) if isinstance(output, tuple | list) else changed

    def _read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
        return self._tensor(args[0] if args else kwargs.get(_first(kwargs)), "reads")

    def _reading(self, args: tuple[Any, ...], kwargs: dict[str, Any], change: Change) -> tuple[Any, Any]:
        changed = change(self._read(args, kwargs))
        return ((changed, *args[1:]), kwargs) if args else (args, kwargs | {_first(kwargs): changed})

    def _tensor(self, found: Any, does: str) -> Tensor:
        if not isinstance(found, Tensor):
            raise UserError(
                f"the site {self.name} is no tensor: {type(self.module).__name__} {does} "
                f"{type(found).__name__} first.\nName a module inside or around it."
            )
        return found


def _first(kwargs: Mapping[str, Any]) -> str:
    """The argument by name that carries the stream."""
    tensors = (name for name, value in kwargs.items() if isinstance(value, Tensor))
    return "hidden_states" if "hidden_states" in kwargs else next(tensors, "")


class Layout(NamedTuple):
    """How a model is built, as far as the table knows."""

    kind: str
    """The architecture: a `model_type`, or a class of torch."""
    base: nn.Module
    """The model without its head."""
    stack: nn.Module
    """The module that the row's paths start from."""
    row: Family | None


def layout(model: nn.Module, stack: str | None = None) -> Layout:
    """Recognises a Hugging Face model by its config, and one of torch's own stacks inside any other network.

    `stack` is the path of the stack in a network that has several.
    """
    base = getattr(model, "base_model", model)
    inner = model.get_submodule(stack) if stack else getattr(base, "language_model", base)
    config: Any = getattr(inner, "config", None)
    if hasattr(config, "model_type"):
        config = config.get_text_config()
        return Layout(config.model_type, base, inner, family(config.model_type, config.to_dict()))
    stacks = [
        part for part in inner.modules() if isinstance(part, nn.TransformerEncoder | nn.TransformerDecoder)
    ]
    if len(stacks) != 1:
        return Layout(type(model).__name__, base, inner, None)
    kind = "TransformerEncoder" if isinstance(stacks[0], nn.TransformerEncoder) else "TransformerDecoder"
    said = {"norm_first": stacks[0].layers[0].norm_first, "norm": stacks[0].norm is not None}
    return Layout(kind, base, stacks[0], family(kind, said))


def places(model: nn.Module, layout: Layout) -> dict[str, Place]:
    """Every site of a model that has a role, in the order of the forward pass.

    Raises `UserError` with the tree of modules where the row of the family names modules that are not there.
    """
    row = layout.row
    if row is None:
        return {}
    found: dict[str, Place] = {}
    try:
        _add(found, layout.stack, "embed", row.embed)
        for layer, block in enumerate(layout.stack.get_submodule(row.blocks).children()):
            found[f"resid_pre.{layer}"] = Place(f"resid_pre.{layer}", block, input=True)
            for role in ROLES[1:-1]:
                _add(found, block, f"{role}.{layer}", getattr(row, role))
            found[f"resid_post.{layer}"] = Place(f"resid_post.{layer}", block)
        _add(found, layout.stack, "final_norm", row.final_norm)
    except AttributeError as missing:
        raise UserError(
            f"the row {layout.kind!r} of the site table does not fit this model: {missing}.\n"
            f"Mend it in hsae/lm/families.py from the model's modules:\n{tree(model)}"
        ) from missing
    head = getattr(model, "get_output_embeddings", lambda: None)()
    if layout.base is not model and head is not None:
        found["logits"] = Place("logits", model, field="logits")
    return found


def _add(found: dict[str, Place], below: nn.Module, name: str, where: str | None) -> None:
    if where is not None:
        side, _, path = where.partition(":")
        found[name] = Place(name, below.get_submodule(path), input=side == "in")


def module_place(model: nn.Module, site: str) -> Place:
    """A site that is named by its module's path. Raises `UserError` where the model has no such module."""
    match = MODULE.fullmatch(site)
    assert match is not None, site
    modules = dict(model.named_modules())
    if (module := modules.get(match[2])) is None:
        near = get_close_matches(match[2], list(modules), n=3, cutoff=0.6)
        raise UserError(
            f"the model has no module {match[2]!r}, which the site {site} asks for"
            + (f"; near it are {', '.join(near)}" if near else "")
            + f".\nIts modules, of like siblings only the first:\n{tree(model)}"
        )
    return Place(site, module, input=match[1] == "in")


def unknown_site(site: str, known: list[str], model: nn.Module, kind: str) -> UserError:
    """The error for a site that a model does not have: the nearest that it has, or how to name one by its
    module."""
    if not known:
        lists = (f"{name}.0" for name, part in model.named_modules() if isinstance(part, nn.ModuleList))
        block = next(lists, None) or next((name for name, _ in model.named_children()), "PATH")
        return UserError(
            f"{site!r} is a site by its role, and the architecture {kind!r} has no row in the site table "
            f"(known: {', '.join(sorted(FAMILIES))}).\n"
            f"Name sites by their modules: layers.sites=[out:{block}] is what {block} returns, [in:{block}] "
            "what it reads. Or add a row to hsae/lm/families.py.\n"
            f"The modules, of like siblings only the first:\n{tree(model)}"
        )
    near = get_close_matches(site, known, n=3, cutoff=0.6)
    roles = list(dict.fromkeys(name.partition(".")[0] for name in known))
    layers = sum(name.startswith("resid_post.") for name in known)
    return UserError(
        f"the model has no site {site!r}"
        + (f"; near it are {', '.join(near)}" if near else "")
        + f".\nIt has {', '.join(roles)}, with layers .0 to .{layers - 1}: "
        f"layers.sites=[resid_post.{layers - 1}], and any module by its path: out:PATH"
    )


def tree(module: nn.Module, *, depth: int = 5) -> str:
    """The modules of a model by their paths, down to `depth`, of numbered siblings of one kind only the
    first."""
    return "\n".join(_branches(module, "", depth))


def _branches(module: nn.Module, path: str, depth: int) -> Iterator[str]:
    shown: set[type] = set()
    for name, child in module.named_children() if depth else ():
        if name.isdigit() and type(child) in shown:
            continue
        shown.add(type(child))
        below = f"{path}.{name}".lstrip(".")
        yield f"{'  ' * below.count('.')}  {below}: {type(child).__name__}"
        yield from _branches(child, below, depth - 1)
