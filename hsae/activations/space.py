"""Memory that the rows of one portion after the other lie in."""

from typing import final

import torch

from hsae.activations.encoding import Dtype, Rows


@final
class Space:
    """Memory for the rows of one chunk after the other: they are never quite as many, and memory that is
    given back and asked for in ever other sizes tears the heap to pieces."""

    def __init__(self):
        self._held: dict[str, Rows] = {}

    def of(self, site: str, rows: int, width: int, dtype: Dtype, device: torch.device) -> Rows:
        """Room for so many rows of a site; what was there before is lost."""
        if site not in self._held or len(self._held[site].values) < rows:
            self._held.pop(site, None)
            most = rows + rows // 8
            scale = torch.empty(most, device=device) if dtype == "int8" else None
            kind = getattr(torch, dtype)
            self._held[site] = Rows(torch.empty(most, width, dtype=kind, device=device), scale)
        values, scale = self._held[site]
        return Rows(values[:rows], None if scale is None else scale[:rows])
