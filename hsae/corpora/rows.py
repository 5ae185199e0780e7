"""Data with named columns, of which one holds the texts: a row is a document."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, PositiveInt

from hsae.config import Part
from hsae.corpora.document import Document, Skipped, printable
from hsae.corpora.unique import Seen


class Rows(Part):
    """`tokens`: how many a job takes, in the rows' own order; `column`: which holds the text; `id`: which
    holds an id that stays the same when rows are added or moved (null: the number of the row is its id)."""

    tokens: PositiveInt
    column: Annotated[str, Field(min_length=1)]
    id: Annotated[str, Field(min_length=1)] | None


def documents(
    rows: Iterable[tuple[str, Mapping[str, Any] | str]], settings: Rows, *, prefix: str = ""
) -> Iterator[Document | Skipped]:
    """A document for each row, with `prefix` before the row's own id.

    A row comes with the id that its number gives it; in the place of one that cannot be read stands why.
    """
    known = Seen()
    for numbered, row in rows:
        if isinstance(row, str):
            yield Skipped(numbered, row)
        elif settings.column not in row:
            has = ", ".join(sorted(map(str, row)))[:80]
            yield Skipped(
                numbered, f"no {settings.column!r} (corpus.column) in it; it has {has or 'nothing'}"
            )
        elif settings.id is None:
            yield Document(numbered, _stripped(row[settings.column]))
        elif not isinstance(own := row.get(settings.id), str | int) or isinstance(own, bool) or own == "":
            yield Skipped(numbered, f"no id in {settings.id!r} (corpus.id)")
        elif not known.add(own := printable(own)):
            yield Skipped(numbered, f"its {settings.id!r} is that of an earlier row")
        else:
            yield Document(f"{prefix}{own}", _stripped(row[settings.column]))


def _stripped(text: Any) -> Any:
    return text.strip() if isinstance(text, str) else text
