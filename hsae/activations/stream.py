"""Batches straight from the LM: the corpus is read, mixed in a pool and forgotten; nothing lies on disk.

The pool takes the place of a store's shards. Its batches are cut in an order that follows from seed, epoch
and pool alone, so that a killed reader goes on where it was: to find the place the corpus is tokenised again,
but the model does not run.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any, final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hsae.activations.background import ahead
from hsae.activations.encoding import Rows, decode
from hsae.activations.harvest import Documents, Reading, fill, result
from hsae.activations.shard import Shard
from hsae.activations.space import Space
from hsae.activations.windows import Chunk, chunks
from hsae.errors import UserError
from hsae.lm import LM
from hsae.seeding import stream


@final
class Stream:
    """Activations of a corpus at several sites, made when they are asked for.

    It reads like a `Store` of the same reading: the same rows in each split, rounded in the same way, in the
    same order for all sites. `limits` are those of `outlier_limits`; batches are mixed from `pool` rows.
    """

    def __init__(
        self,
        lm: LM,
        documents: Documents,
        reading: Reading,
        *,
        limits: Mapping[str, float],
        pool: int = 1 << 17,
    ):
        lm.check_sites(reading.sites)
        self._lm, self._documents, self._reading, self._limits = lm, documents, reading, limits
        self._pool = pool
        self.model = lm.fingerprint
        self.sites = list(reading.sites)
        self._widths = lm.widths(reading.sites)

    def d(self, site: str) -> int:
        """Width of the site."""
        return self._widths[site]

    def rows(self, site: str, split: str, start: int, stop: int) -> Float[Tensor, "row d"]:
        """Rows [start, stop) of a split in the order of the corpus, float32; the model runs for all before
        `stop`."""
        found, have = [torch.empty(0, self.d(site), device=self._lm.device)], 0
        space = Space()
        for chunk in self._chunks(split, rows=min(stop, 1 << 16)):
            found.append(decode(self._run(chunk, space).sites[site]))
            have += len(found[-1])
            if have >= stop:
                break
        return torch.cat(found)[start:stop]

    def batches(
        self,
        sites: str | Sequence[str],
        *,
        split: str = "train",
        batch: int,
        seed: int,
        skip: int = 0,
        device: str | None = None,
    ) -> Iterator[Any]:
        """Endless batches of a split, float32, on the device (the model's own, if none is named): a tensor of
        one site, or tensors of several by their names.

        What does not fill a batch at the corpus's end is dropped, and the corpus is read again, its pools
        mixed anew. `skip` batches are passed over without running the model, unless outliers are dropped,
        which only the model can count. Raises `UserError` where the split has fewer rows than a batch.
        """
        chosen = [sites] if isinstance(sites, str) else list(sites)
        pools = self._pools(split, batch, skip, seed)
        if self._lm.device.type != "cpu":  # there, both would only wait for the same cores
            pools = ahead(pools)
        for shard, order, first in pools:
            for number in range(first, len(order) // batch):
                rows = order[number * batch : (number + 1) * batch]
                found = {site: decode(_some(shard.sites[site], rows)).to(device=device) for site in chosen}
                yield found[sites] if isinstance(sites, str) else found

    def _pools(
        self, split: str, batch: int, skip: int, seed: int
    ) -> Iterator[tuple[Shard, Int64[Tensor, " row"], int]]:
        """Each pool, the order of its rows, and the first batch of it that is wanted."""
        # on a GPU one is filled while batches are cut from another, and a third waits between them
        spaces = cycle([Space() for _ in range(1 if self._lm.device.type == "cpu" else 3)])
        size = max(batch, self._pool // batch * batch)
        epoch = 0
        while True:
            served = 0
            for chunk in self._chunks(split, size):
                wanted = self._limits or skip < chunk.rows // batch
                shard = self._run(chunk, next(spaces)) if wanted else None
                count = chunk.rows if shard is None else len(shard.token)
                served += count // batch
                if shard is None or skip >= count // batch:
                    skip -= count // batch
                    continue
                purpose = f"order of {split}, epoch {epoch}, pool {chunk.number}"
                order = torch.randperm(count, generator=stream(seed, purpose)).to(self._lm.device)
                yield shard, order, skip
                skip = 0
            if not served:
                raise UserError(
                    f"the corpus has fewer rows of the split {split} than one batch of {batch}.\n"
                    "Read more of it (corpus.tokens=...), or take a smaller train.batch."
                )
            epoch += 1

    def _chunks(self, split: str, rows: int) -> Iterator[Chunk]:
        reading = self._reading.windows(self._lm, self._documents())
        found = chunks(reading, rows=rows, most=self._reading.tokens, only=split, exactly=True)
        return (chunk for chunk in ahead(found) if chunk.windows)

    def _run(self, chunk: Chunk, space: Space) -> Shard:
        shard, _ = result(fill(self._lm, chunk, self._reading, self._limits, space))
        return shard


def _some(rows: Rows, chosen: Int64[Tensor, " row"]) -> Rows:
    """The chosen rows, copied."""
    scale = None if rows.scale is None else rows.scale.index_select(0, chosen)
    return Rows(rows.values.index_select(0, chosen), scale)
