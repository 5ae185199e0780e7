"""Which contexts the raw rows of an encyclopedia are of: their texts, and the 64 bits that name each."""

from typing import Any, NamedTuple, final

import h5py
import numpy as np
from jaxtyping import UInt8, UInt64

from hsae.contexts import Context
from hsae.encyclopedia.contexts_table import ContextTable
from hsae.encyclopedia.encyclopedia import Encyclopedia, Role
from hsae.encyclopedia.statistics import ROLES


@final
class Sampled(NamedTuple):
    """The contexts behind the raw rows of one shard, in the rows' order: the same at every site."""

    contexts: list[Context]
    uid: UInt64[np.ndarray, " row"]
    role: UInt8[np.ndarray, " row"]
    """Places in ROLES."""

    def of(self, role: Role) -> "Sampled":
        """Those of one role, as `Encyclopedia.rows` gives them."""
        chosen = np.ones(len(self.uid), bool) if role == "all" else self.role == ROLES.index(role)
        kept = [context for context, wanted in zip(self.contexts, chosen, strict=True) if wanted]
        return Sampled(kept, self.uid[chosen], self.role[chosen])


def sampled(book: Encyclopedia, shard: int) -> Sampled:
    """Of one shard, all roles together."""
    ids = [concept.id for concept in book.taxonomy]
    opened: Any = h5py.File(book.shards[shard], "r")
    with opened as file:
        table = ContextTable.read(file["contexts"])
        rows = file[f"sites/{book.sites[0]}/{book.poolings[0]}/sample/context"][()]
        own = [ids[row] for row in file["rows"][()]]
    contexts = table.contexts(own)
    return Sampled([contexts[row] for row in rows], table["uid"][rows], table["role"][rows])


def sampled_of(book: Encyclopedia, role: Role) -> Sampled:
    """Of the whole encyclopedia, one for each row of `book.rows(site, role=role)`."""
    parts = [sampled(book, shard).of(role) for shard in range(len(book.shards))]
    return Sampled(
        [context for part in parts for context in part.contexts],
        np.concatenate([part.uid for part in parts]),
        np.concatenate([part.role for part in parts]),
    )
