"""Sources of text, one a file.

`documents(settings, *, seed)` of each gives `Document | Skipped`, the same items in the same order each time
it is called. The number of an item in that order is a cursor: what is passed over keeps its place.
"""

from hsae.corpora.document import SHARES, Document, Skipped, fault, split

__all__ = ["SHARES", "Document", "Skipped", "fault", "split"]
