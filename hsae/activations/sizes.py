"""How large rows and shards are, without torch: for plans, and for whoever makes them."""

SHARD_BYTES, SHARD_ROWS = 256 << 20, 1 << 16
"""What a shard holds at most: some seconds of work, which is what a kill may cost."""
BESIDE = 12
"""Bytes of a row beside its activations: token, document, position."""


def row_bytes(dtype: str, d: int) -> int:
    """Bytes that the activations of one site, of width `d`, take in a row."""
    return d + 4 if dtype == "int8" else 2 * d


def shard_rows(a_row: int) -> int:
    """Rows of a shard whose rows have so many bytes of activations, all sites together."""
    return max(1024, min(SHARD_ROWS, SHARD_BYTES // a_row))
