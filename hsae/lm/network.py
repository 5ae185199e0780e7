"""Any torch module with named places inside: activations out, edits undone."""

import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from threading import get_ident
from typing import Any, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hsae.errors import UserError
from hsae.lm.fused import has_fused, unfused
from hsae.lm.sites import Change, Place, layout, module_place, places, unknown_site
from hsae.site_names import MODULE, ROLES


class _Enough(Exception):
    """Raised inside the forward pass when every site was seen: what lies above them need not run."""


@final
class Network:
    """A torch module in evaluation mode whose sites can be read and edited.

    A Hugging Face model, or a network around one of torch's own Transformer stacks, has sites by role; every
    network has those of its modules, `out:PATH` and `in:PATH`. `stack` is the path of the stack in a network
    that has several, such as `encoder` in an `nn.Transformer`. `base` is the model without its head.
    """

    def __init__(self, model: nn.Module, *, stack: str | None = None):
        self.model = model.eval()
        found = layout(model, stack)
        self.family, self.base = found.kind, found.base
        self._places = places(model, found)
        self._inside = {id(module) for module in self.base.modules()}
        self._fused = has_fused(self.model)
        self._layers = sum(name.startswith("resid_post.") for name in self._places)

    def site_names(self) -> list[str]:
        """Every site that has a role, in the order of the forward pass; none for an unknown architecture."""
        return list(self._places)

    def check_sites(self, sites: Sequence[str]) -> None:
        """Raise `UserError` for the first site that the network does not have."""
        for site in sites:
            self._place(site)

    def _place(self, site: str) -> Place:
        if MODULE.fullmatch(site):
            return module_place(self.model, site)
        role, _, layer = site.partition(".")
        from_the_end = role in ROLES and layer.startswith("-") and layer[1:].isdecimal()
        known = f"{role}.{self._layers + int(layer)}" if from_the_end else site
        if known not in self._places:
            raise unknown_site(site, self.site_names(), self.model, self.family)
        return self._places[known]

    def path(self, site: str) -> str:
        """The site by its module: `in:h.3.mlp` for mlp_in.3 of a GPT-2; `out:` is the model itself."""
        place = self._place(site)
        name = next(name for name, module in self.model.named_modules() if module is place.module)
        return f"{'in' if place.input else 'out'}:{name}"

    def widths(self, sites: Sequence[str], *inputs: Any, **named: Any) -> dict[str, int]:
        """Units of each site, from one pass over the inputs."""
        return {site: found.shape[-1] for site, found in self.capture(sites, *inputs, **named).items()}

    @torch.no_grad()
    def capture(
        self, sites: Sequence[str], *inputs: Any, keep: Bool[Tensor, "*axes"] | None = None, **named: Any
    ) -> dict[str, Float[Tensor, "..."]]:
        """Copies of the activations at the sites from one pass over the inputs.

        The pass ends at the highest site: no head unless `logits` or a module of it is asked for. Without
        `keep` a tensor has its module's axes. With `keep`, a mask over its first axes, only those rows are
        copied, [row width], in row-major order. Two sites that are one tensor, as resid_post.0 and
        resid_pre.1, share the copy. Of a module that runs several times in a pass, the first is captured.

        Raises `UserError` for an unknown site, one that the pass does not reach, or axes that are not
        `keep`'s.
        """
        if not sites:
            return {}
        chosen = {site: self._place(site) for site in sites}
        whole = any(id(place.module) not in self._inside for place in chosen.values())
        with self._watched(chosen, keep, stop=True) as seen, suppress(_Enough):
            (self.model if whole else self.base)(*inputs, **named)
        if unseen := [site for site in sites if site not in seen]:
            raise UserError(
                f"the pass did not reach the site {unseen[0]}: "
                f"{type(chosen[unseen[0]].module).__name__} was not called.\n"
                "Its weights may be used without it; name the module around it."
            )
        return {site: seen[site] for site in sites}

    @contextmanager
    def captured(
        self, sites: Sequence[str], keep: Bool[Tensor, "*axes"] | None = None
    ) -> Iterator[dict[str, Tensor]]:
        """Inside the `with`, every forward pass of the model or its base fills the dictionary anew, as
        `capture` would; it runs to its end, and gradients flow through what was captured.

        Edits entered before are part of what is captured; of an edit entered inside, its consequences are.
        """
        with self._watched({site: self._place(site) for site in sites}, keep, stop=False) as seen:
            yield seen

    def _enter(self, hooks: ExitStack, under_way: "_Pass") -> None:
        """What every watched or edited pass needs."""
        hooks.enter_context(unfused() if self._fused else nullcontext())
        # the model may call its base or pass over it (OPT), and a caller may run either
        for whole in {id(part): part for part in (self.model, self.base)}.values():
            hooks.callback(whole.register_forward_pre_hook(under_way.begin, with_kwargs=True).remove)

    @contextmanager
    def _watched(
        self, chosen: Mapping[str, Place], keep: Tensor | None, *, stop: bool
    ) -> Iterator[dict[str, Tensor]]:
        under_way = _Pass(keep, enough=len(chosen) if stop else None)
        with ExitStack() as hooks:
            self._enter(hooks, under_way)
            for site, place in chosen.items():
                hooks.callback(place.watch(partial(under_way.see, site)).remove)
            yield under_way.seen

    @contextmanager
    def edited(self, site: str, change: Change) -> Iterator[None]:
        """Inside the `with`, the model computes with `change(activation)` in the site's place.

        Edits nest; on leaving, however, the model computes what it did, bit for bit. Raises `UserError` for
        `resid_mid` where modules read it but none returns it: adding to `attn_out` of the same layer does the
        same. Editing `mlp_in` changes what the MLP reads and leaves the stream alone.
        """
        place = self._place(site)
        if place.name.startswith("resid_mid") and place.input:
            raise UserError(
                f"{site} can be captured but not edited: no module returns it.\n"
                f"Edit {site.replace('resid_mid', 'attn_out')}, which is added to the stream right there."
            )
        under_way = _Pass(None, enough=None)
        with ExitStack() as hooks:
            self._enter(hooks, under_way)
            hooks.callback(place.replace(partial(under_way.change, change)).remove)
            yield


@final
class _Pass:
    """The forward pass under way: the axes of its batch, and what was seen of it."""

    def __init__(self, keep: Tensor | None, *, enough: int | None):
        self.seen: dict[str, Tensor] = {}
        self._axes: torch.Size | None = None
        self._keep, self._enough = keep, enough
        # a pass that is to be cut short is this thread's own: a stream may run the model in another meanwhile
        self._thread = None if enough is None else get_ident()
        self._index = None if keep is None else keep.flatten().nonzero().squeeze(1)
        self._last: tuple[Any, int, Tensor] | None = None

    def begin(self, _: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Forget the pass before; note the axes [batch token] where the input is tokens."""
        if self._foreign():
            return
        self.seen.clear()
        self._last = None
        ids = kwargs.get("input_ids", args[0] if args else None)
        tokens = isinstance(ids, Tensor) and ids.dim() == 2 and not ids.is_floating_point()
        self._axes = ids.shape if tokens else None

    def see(self, site: str, tensor: Tensor) -> None:
        if site not in self.seen and not self._foreign():
            self.seen[site] = self._copied(site, tensor)
            if len(self.seen) == self._enough:
                raise _Enough

    def _foreign(self) -> bool:
        return self._thread not in (None, get_ident())

    def change(self, change: Change, tensor: Tensor) -> Tensor:
        return change(self._unflattened(tensor)).reshape(tensor.shape)

    def _unflattened(self, tensor: Tensor) -> Tensor:
        # OPT's MLP runs on the tokens of a batch one after the other
        if self._axes is None or tensor.dim() != 2 or len(tensor) != self._axes.numel():
            return tensor
        return tensor.unflatten(0, self._axes)

    def _copied(self, site: str, tensor: Tensor) -> Tensor:
        """The kept rows, copied: later modules may write into the tensor, and the rest of it is let go."""
        if self._last is not None and self._last[0]() is tensor and self._last[1] == tensor._version:
            return self._last[2]
        found = self._unflattened(tensor)
        if self._keep is None or self._index is None:
            copy = found.clone()
        elif found.shape[: self._keep.dim()] != self._keep.shape:
            raise UserError(
                f"the site {site} has no row for every token: it is {list(found.shape)} where "
                f"{list(self._keep.shape)} and a width were expected.\n"
                "Name another module, or capture it whole."
            )
        else:
            flat = found.flatten(0, self._keep.dim() - 1)
            copy = flat.index_select(0, self._index.to(tensor.device))
        if not tensor.is_inference():
            self._last = (weakref.ref(tensor), tensor._version, copy)
        return copy
