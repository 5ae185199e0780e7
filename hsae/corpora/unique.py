"""A text that stands twice in a corpus is given once: a copy in another split would leak."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from hsae.corpora.document import Document


def unique(documents: Iterable[Document]) -> Iterator[Document]:
    """The documents without later exact copies of a text; it remembers 16 bytes for each."""
    seen: set[bytes] = set()
    for document in documents:
        digest = blake2b(document.text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest not in seen:
            seen.add(digest)
            yield document
