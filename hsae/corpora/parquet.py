"""Parquet files, a document a row, read group by group: the columns asked for of a few rows are in memory.

pip install "hsae[parquet]"
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hsae.corpora import files
from hsae.corpora.document import Document, Skipped
from hsae.corpora.rows import Rows
from hsae.corpora.rows import documents as of_rows
from hsae.corpora.unique import unique
from hsae.errors import UserError

if TYPE_CHECKING:
    from pyarrow import Array
    from pyarrow.parquet import ParquetFile

SUFFIXES = (".parquet",)
ROWS = 256
"""Rows in memory at once."""
BUFFER = 1 << 20


class Settings(Rows):
    """`path`: a file, or a folder with everything below it."""

    name: Literal["parquet"]
    path: str | None


def documents(settings: Settings, *, seed: int) -> Iterator[Document | Skipped]:  # noqa: ARG001  the files' order is kept
    """Documents in the order of file names, `<file>#<row>` from 0 as ids unless they have their own.

    Raises `UserError` where pyarrow is missing and where the path holds no text: at once where nothing is
    there, else once all is read.
    """
    root, found = _files(settings)
    rows = (row for file in found for row in _rows(file, files.name(file, root), settings))
    return unique(of_rows(rows, settings), source=f"corpus.path={settings.path}")


def fingerprint(settings: Settings) -> str:
    """A hash of the files' names and bytes: the path alone does not say what is in them."""
    return files.fingerprint(*_files(settings))


def _files(settings: Settings) -> tuple[Path, list[Path]]:
    return files.find(settings.path, SUFFIXES, corpus="parquet")


def _rows(file: Path, name: str, settings: Settings) -> Iterator[tuple[str, Mapping[str, Any] | str]]:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise UserError(
            'Parquet files are read with the package pyarrow.\nType  pip install "hsae[parquet]"'
        ) from None
    broken = (OSError, pyarrow.ArrowException)
    try:
        opened = ParquetFile(file, buffer_size=BUFFER)
    except broken as error:
        yield name, f"not a Parquet file that can be read: {_line(error)}"
        return
    with opened:
        if (why := _unfit(opened, settings)) is not None:
            yield name, why
            return
        start = 0
        for group in range(opened.num_row_groups):
            try:
                yield from _group(opened, group, name, settings, start)
            except broken as error:
                yield f"{name}, row group {group}", f"cannot be read: {_line(error)}"
            start += opened.metadata.row_group(group).num_rows


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


def _unfit(file: "ParquetFile", settings: Settings) -> str | None:
    """Why no row of this file has a text, or an id, or None."""
    from pyarrow import types

    schema = file.schema_arrow
    for column in _columns(settings):
        if column not in schema.names:
            key = "column" if column == settings.column else "id"
            return f"no column {column!r} (corpus.{key}); there are {', '.join(schema.names)}"[:200]
    kind = schema.field(settings.column).type
    kind = kind.value_type if types.is_dictionary(kind) else kind
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)):
        return f"the column {settings.column!r} holds {kind}, not text"
    return None if file.metadata.num_rows else "empty"


def _columns(settings: Settings) -> list[str]:
    return [settings.column] if settings.id in (None, settings.column) else [settings.column, settings.id]


def _group(
    file: "ParquetFile", group: int, name: str, settings: Settings, number: int
) -> Iterator[tuple[str, Mapping[str, Any] | str]]:
    columns = _columns(settings)
    for batch in file.iter_batches(ROWS, row_groups=[group], columns=columns):
        for values in zip(*(_values(batch.column(column)) for column in columns), strict=True):
            row = dict(zip(columns, values, strict=True))
            yield f"{name}#{number}", "not UTF-8" if any(isinstance(v, bytes) for v in values) else row
            number += 1


def _values(column: "Array") -> list[Any]:
    """Python's values; bytes for a string that is not UTF-8, which Parquet allows to be written."""
    import pyarrow

    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        return [_decoded(value) for value in column.cast(pyarrow.large_binary()).to_pylist()]


def _decoded(value: bytes | None) -> str | bytes | None:
    try:
        return value if value is None else value.decode()
    except UnicodeDecodeError:
        return value
