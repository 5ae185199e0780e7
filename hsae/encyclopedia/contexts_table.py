"""The contexts that a block of concepts was read in, kept so that every number can be computed again."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, final

import numpy as np
from jaxtyping import Int

from hsae.contexts import Context
from hsae.encyclopedia.statistics import ROLES

COLUMNS = {
    "concept": np.int32,
    "template": np.int32,
    "source": np.int32,
    "role": np.uint8,
    "stage": np.uint8,
    "tokens": np.int32,
    "start": np.int32,
    "end": np.int32,
    "uid": np.uint64,
}
"""Numbers of a context: its concept in the block, its template and source by their places among the names,
its role in ROLES, the number of the stage that added it, how many tokens the model read for it, its span, and
its name in 64 bits."""


def uid(context: Context) -> int:
    """64 bits that name a context, whatever made it: of concept, text and span."""
    said = f"{context.concept}\0{context.start}\0{context.end}\0{context.text}"
    return int.from_bytes(blake2b(said.encode(), digest_size=8).digest(), "little")


@final
class ContextTable:
    """One row per context; `names` are those of templates and of sources, each once, sorted."""

    def __init__(
        self, columns: Mapping[str, np.ndarray], names: Mapping[str, Sequence[str]], text: Sequence[str]
    ):
        self.columns = {name: np.asarray(columns[name], kind) for name, kind in COLUMNS.items()}
        self.names = {kind: tuple(names[kind]) for kind in ("template", "source")}
        self.text = tuple(text)

    @classmethod
    def of(
        cls,
        contexts: Sequence[Context],
        concept: Int[np.ndarray, " row"],
        *,
        tokens: Sequence[int],
        stage: int,
    ) -> "ContextTable":
        """The table of contexts whose concepts stand at these places of the block."""
        names = {
            kind: sorted({getattr(context, kind) for context in contexts}) for kind in ("template", "source")
        }
        place = {kind: {name: number for number, name in enumerate(known)} for kind, known in names.items()}
        columns = {
            "concept": concept,
            "template": [place["template"][context.template] for context in contexts],
            "source": [place["source"][context.source] for context in contexts],
            "role": [ROLES.index(context.role) for context in contexts],
            "stage": [stage] * len(contexts),
            "tokens": tokens,
            "start": [context.start for context in contexts],
            "end": [context.end for context in contexts],
            "uid": np.array([uid(context) for context in contexts], np.uint64),
        }
        return cls(
            {name: np.asarray(column) for name, column in columns.items()},
            names,
            [context.text for context in contexts],
        )

    def __len__(self) -> int:
        return len(self.text)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def contexts(self, ids: Sequence[str]) -> list[Context]:
        """The contexts themselves; `ids` are those of the block's concepts."""
        of = self.columns
        return [
            Context(
                concept=ids[int(of["concept"][row])],
                text=text,
                start=int(of["start"][row]),
                end=int(of["end"][row]),
                template=self.names["template"][of["template"][row]],
                role=ROLES[of["role"][row]],
                source=self.names["source"][of["source"][row]],
            )
            for row, text in enumerate(self.text)
        ]

    def followed_by(self, other: "ContextTable", place: Int[np.ndarray, " concept"]) -> "ContextTable":
        """Both, one behind the other; concept i of the other block stands at `place[i]` of this one."""
        names = {kind: sorted({*self.names[kind], *other.names[kind]}) for kind in self.names}
        columns = {
            name: np.concatenate([self.columns[name], other.columns[name]])
            for name in COLUMNS
            if name not in names
        }
        columns["concept"] = np.concatenate([self["concept"], place[other["concept"]].astype(np.int32)])
        for kind in names:
            columns[kind] = np.concatenate([_renamed(table, kind, names[kind]) for table in (self, other)])
        return ContextTable(columns, names, (*self.text, *other.text))

    def write(self, group: Any) -> None:
        """Into a group of an HDF5 file: columns, names, and the texts as one run of bytes."""
        for name, column in self.columns.items():
            group[name] = column
        for kind, known in self.names.items():
            group[f"names/{kind}"] = _bytes(known)
        encoded = [text.encode() for text in self.text]
        group["text/bytes"] = np.frombuffer(b"".join(encoded), np.uint8)
        group["text/ends"] = np.cumsum([len(text) for text in encoded], dtype=np.int64)

    @classmethod
    def read(cls, group: Any) -> "ContextTable":
        """What `write` wrote."""
        blob, ends = group["text/bytes"][()].tobytes(), group["text/ends"][()].tolist()
        text = [blob[start:end].decode() for start, end in zip([0, *ends[:-1]], ends, strict=False)]
        names = {
            kind: [name.decode() for name in group[f"names/{kind}"][()]] for kind in ("template", "source")
        }
        return cls({name: group[name][()] for name in COLUMNS}, names, text)


def _renamed(table: ContextTable, kind: str, names: Sequence[str]) -> Int[np.ndarray, " row"]:
    """A column of numbers of names, in another order of names."""
    place = {name: number for number, name in enumerate(names)}
    there = np.array([place[name] for name in table.names[kind]], np.int32)
    return there[table[kind]] if len(there) else np.zeros(0, np.int32)


def _bytes(names: Sequence[str]) -> np.ndarray:
    return np.array([name.encode() for name in names], dtype="S") if names else np.zeros(0, "S1")
