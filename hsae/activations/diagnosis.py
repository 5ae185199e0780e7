"""What a model's activations look like on some texts: norms, sinks, what the dtypes of a store can hold."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int32
from torch import Tensor

from hsae.activations.encoding import DTYPES, decode, encode
from hsae.activations.windows import Window
from hsae.lm import LM
from hsae.lm.batching import by_length

TOGETHER = 512
"""Tokens in a pass: all sites of a large model are held at once."""

SINK = 10.0
"""A token is a sink where its norm is above so many times the median of the texts' own tokens."""


@final
class Health(NamedTuple):
    """One site on the texts that were read. Norms are Euclidean; those that are no finite number are left out
    and counted."""

    width: int
    norm: Float32[np.ndarray, " token"]
    """Of every token that was read, those around the texts too, in the order of `Examination.token`."""
    median: float
    """Of the norms of the texts' own tokens."""
    largest: float
    """Of the norms of the texts' own tokens."""
    peak: float
    """max |x| over all tokens, which half precision must hold while the model runs."""
    own_peak: float
    """max |x| over the texts' own tokens, which a store must hold."""
    broken: int
    """Tokens with a number that is not finite."""
    rounding: Mapping[str, float]
    """dtype of a store -> sqrt(sum |x - decoded(encoded(x))|^2 / sum |x|^2) over the texts' own tokens;
    absent for a dtype that cannot hold them all."""


@final
class Examination(NamedTuple):
    """All sites on the same tokens."""

    sites: dict[str, Health]
    token: Int32[np.ndarray, " token"]
    position: Int32[np.ndarray, " token"]
    """In the window, the reader's prefix included."""
    own: Bool[np.ndarray, " token"]
    """False for special tokens, those around the texts among them."""


@final
class Sink(NamedTuple):
    """A token whose norm stands out in the residual stream, wherever it is at that position."""

    token: int
    position: int | None
    """In the window, 0 for the first token of the prefix; None stands for all positions behind the first of a
    text's own."""
    seen: int
    """How often it was there, and how often of that it stood out at any of the sites."""
    stood_out: int
    sites: list[str]
    times: float
    """The most that its norm was above the median of the same site."""


@torch.no_grad()
def examine(lm: LM, windows: Sequence[Window], sites: Sequence[str]) -> Examination:
    """Every token of the windows at every site, from passes of a few hundred tokens each."""
    found = {site: _Site() for site in sites}
    read: list[tuple[Tensor, Tensor, Tensor]] = []
    around = len(lm.reader.prefix) + len(lm.reader.suffix)
    for batch in by_length([around + len(window.ids) for window in windows], tokens=TOGETHER):
        ids, mask = lm.reader.pad([windows[number].ids.tolist() for number in batch])
        own = torch.zeros_like(mask)
        for row, number in enumerate(batch):
            start = len(lm.reader.prefix)
            own[row, start : start + len(windows[number].ids)] = torch.from_numpy(windows[number].kept)
        position = torch.arange(ids.shape[1]).expand_as(ids)
        read.append((ids[mask], position[mask], own[mask]))
        for site, rows in lm.capture(ids, mask, sites, mask).items():
            found[site].add(rows.float(), own[mask].to(rows.device))
    token, position, own = (torch.cat(parts).numpy() for parts in zip(*read, strict=True))
    healths = {site: gathered.health(own) for site, gathered in found.items()}
    return Examination(healths, token.astype(np.int32), position.astype(np.int32), own)


class _Site:
    """What is added up over the passes."""

    def __init__(self) -> None:
        self.norms: list[Tensor] = []
        self.width = self.broken = 0
        self.peak = self.own_peak = 0.0
        self.square = 0.0
        self.error = dict.fromkeys(DTYPES, 0.0)

    def add(self, rows: Tensor, own: Tensor) -> None:
        sound = rows.isfinite().all(1)
        self.width = rows.shape[1]
        self.broken += int((~sound).sum())
        self.norms.append(torch.where(sound, rows.double().norm(dim=1), torch.nan).float().cpu())
        self.peak = max(self.peak, _peak(rows[sound]))
        rows = rows[sound & own]
        self.own_peak = max(self.own_peak, _peak(rows))
        self.square += float(rows.double().square().sum())
        for dtype in DTYPES:
            self.error[dtype] += float((decode(encode(rows, dtype)) - rows).double().square().sum())

    def health(self, own: Bool[np.ndarray, " token"]) -> Health:
        norm = torch.cat(self.norms).numpy()
        inside = norm[own & np.isfinite(norm)]
        # an infinite error is a dtype that cannot hold them
        error = {dtype: error for dtype, error in self.error.items() if np.isfinite(error) and self.square}
        return Health(
            width=self.width,
            norm=norm,
            median=float(np.median(inside)) if len(inside) else float("nan"),
            largest=float(inside.max()) if len(inside) else float("nan"),
            peak=self.peak,
            own_peak=self.own_peak,
            broken=self.broken,
            rounding={dtype: (error[dtype] / self.square) ** 0.5 for dtype in error},
        )


def _peak(rows: Tensor) -> float:
    return float(rows.abs().amax()) if rows.numel() else 0.0


def sinks(examination: Examination, sites: Sequence[str], *, prefix: int) -> list[Sink]:
    """The sinks of the residual stream, the strongest first.

    A token is told apart by its position up to the first that is a text's own (`prefix`): what draws
    attention there is the place.
    """
    stream = {site: examination.sites[site] for site in sites}
    times = np.stack([health.norm / (health.median or np.nan) for health in stream.values()])
    place = np.where(examination.position <= prefix, examination.position, -1)
    groups, member = np.unique(np.stack([examination.token, place]), axis=1, return_inverse=True)
    member = member.reshape(-1)
    out = np.nan_to_num(times) > SINK
    found = []
    for group in np.unique(member[out.any(0)]):
        inside = member == group
        token, position = groups[:, group].tolist()
        found.append(
            Sink(
                token,
                None if position < 0 else position,
                int(inside.sum()),
                int((out.any(0) & inside).sum()),
                [site for site, here in zip(stream, out[:, inside], strict=True) if here.any()],
                float(np.nanmax(times[:, inside])),
            )
        )
    return sorted(found, key=lambda sink: -sink.times)


@torch.no_grad()
def losses(lm: LM, windows: Sequence[Window]) -> tuple[float, float]:
    """Mean next-token loss in nats of the texts' tokens from the second on, with the reader's prefix before
    each text and without it; NaN where no text has two tokens."""
    sums, count, prefix = [0.0, 0.0], 0, len(lm.reader.prefix)
    around = prefix + len(lm.reader.suffix)
    for batch in by_length([around + len(window.ids) for window in windows], tokens=TOGETHER):
        ids, mask = lm.reader.pad([windows[number].ids.tolist() for number in batch])
        # what is predicted from a token of the text: loss number t is of token t + 1
        own = torch.zeros_like(mask)
        for row, number in enumerate(batch):
            own[row, prefix + 1 : prefix + len(windows[number].ids)] = True
        both = lm.loss(ids, mask)[:, prefix:], lm.loss(ids[:, prefix:], mask[:, prefix:])
        wanted = own[:, prefix + 1 :].to(lm.device)
        sums = [before + float(nll[wanted].double().sum()) for before, nll in zip(sums, both, strict=True)]
        count += int(wanted.sum())
    with_prefix, without = (total / count if count else float("nan") for total in sums)
    return with_prefix, without
