from hsae.corpora.document import SHARES, Document, split

__all__ = ["SHARES", "Document", "split"]
