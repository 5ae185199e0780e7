"""Which of an encyclopedia's sites an interpreter reads, side by side."""

from collections.abc import Sequence

from hsae.encyclopedia import Encyclopedia
from hsae.errors import UserError


def of_one_width(book: Encyclopedia, sites: Sequence[str]) -> list[str]:
    """The sites themselves. Raises UserError where they differ in width: one interpreter reads one."""
    if len({book.d(site) for site in sites}) > 1:
        raise UserError(
            f"the sites {', '.join(sites)} have different widths, and one interpreter reads one.\n"
            f"Type site={sites[-1]}"
        )
    return list(sites)
