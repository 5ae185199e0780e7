"""Whether capture and edits of one model are what they should be: tried on it, not assumed of its family."""

from collections.abc import Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor

from hsae.lm.model import LM


@final
class Trial(NamedTuple):
    """One promise and what became of it."""

    promise: str
    found: str
    kept: bool


@torch.no_grad()
def trials(lm: LM, rows: Sequence[Sequence[int]]) -> list[Trial]:
    """Four promises, tried on texts of different lengths, given as their own ids."""
    found = [_hidden_states(lm, rows)] if lm.site_names() else []
    end = lm.site_names()[-1] if lm.site_names() else None
    if end is not None:
        stream = [site for site in lm.site_names() if site.startswith("resid_post.")]
        found += [_padding(lm, rows, stream[-1], "right"), _padding(lm, rows, stream[-1], "left")]
        found.append(_edit(lm, rows, stream[0], end))
    return found


def _hidden_states(lm: LM, rows: Sequence[Sequence[int]]) -> Trial:
    ids, mask = lm.reader.pad(rows)
    sites = [f"resid_pre.{layer}" for layer in range(lm.layers)]
    got = lm.capture(ids, mask, sites)
    output = lm.network.base(
        input_ids=ids.to(lm.device), attention_mask=mask.to(lm.device), output_hidden_states=True
    )
    same = sum(torch.equal(got[site], own) for site, own in zip(sites, output.hidden_states, strict=False))
    return Trial(
        "captured = the model's own hidden states", f"{same} of {lm.layers} layers", same == lm.layers
    )


def _padding(lm: LM, rows: Sequence[Sequence[int]], site: str, side: str) -> Trial:
    """The largest |x - y| / |x| of a token, x read alone and y in a padded batch."""
    ids, mask = lm.reader.pad(rows, side="left" if side == "left" else "right")
    together = lm.capture(ids, mask, [site])[site]
    worst = 0.0
    for number, row in enumerate(rows):
        alone = lm.capture(*lm.reader.pad([row]), [site])[site][0].double()
        inside = together[number, mask[number].to(lm.device)].double()
        worst = max(worst, float(((inside - alone).norm(dim=1) / alone.norm(dim=1)).max()))
    # rounding grows over the layers; a token at a wrong position is off by far more than half of the digits
    bound = torch.finfo(lm.model.dtype).eps ** 0.5
    return Trial(
        f"a text reads the same padded on the {side}", f"{worst:.1g} off at {site}, relatively", worst < bound
    )


def _edit(lm: LM, rows: Sequence[Sequence[int]], site: str, end: str) -> Trial:
    ids, mask = lm.reader.pad(rows)

    def outcome() -> Tensor:
        return lm.capture(ids, mask, [end])[end]

    before = outcome()
    with lm.edited(site, torch.zeros_like):
        changed = outcome()
    kept = bool(torch.equal(outcome(), before)) and not torch.equal(changed, before)
    return Trial(
        "an edit changes it and leaves no trace", f"{end}, bit for bit" if kept else f"{end} differs", kept
    )
