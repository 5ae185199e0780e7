"""Any data set of the Hugging Face hub, or a local folder of parquet, JSON or text files."""

from collections.abc import Iterator
from typing import Literal

from hsae.corpora.document import Document, Skipped
from hsae.corpora.hub import Hub, fingerprint, stream

__all__ = ["Settings", "documents", "fingerprint"]


class Settings(Hub):
    name: Literal["hf"]


def documents(settings: Settings, *, seed: int) -> Iterator[Document | Skipped]:  # noqa: ARG001  the data set's order is kept
    """The documents of `hsae.corpora.hub.stream`, with its errors."""
    return stream(settings)
