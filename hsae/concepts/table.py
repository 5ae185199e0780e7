"""Concepts from a table of one's own: a .csv file with a header, or a .json file with a list of objects.

Columns `id` and `name` must be there; `gloss`, `parents` and `frequency` may. Parents are ids, in CSV with
`|` between them, in JSON as a list; the first is the main one. The rows may stand in any order.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import PositiveInt

from hsae.concepts import files
from hsae.concepts.choose import first
from hsae.concepts.taxonomy import Concept, Taxonomy
from hsae.config import Part
from hsae.errors import UserError

NEEDED, ALLOWED = ("id", "name"), ("id", "name", "gloss", "parents", "frequency")


class Settings(Part):
    """`n`: how many concepts, ancestors included (null: all); most frequent first, ties as in the file."""

    name: Literal["table"]
    path: str | None
    n: PositiveInt | None


class Row(NamedTuple):
    """One concept as the file gives it; `where` says which line that was."""

    where: str
    concept: Concept


def load(settings: Settings, *, seed: int) -> Taxonomy:  # noqa: ARG001  every source takes the seed
    """The taxonomy of the table.

    Raises `UserError`, with the line, for a table that is no taxonomy, and where it has fewer than `n`.
    """
    file = _file(settings)
    taxonomy = Taxonomy(_in_order({row.concept.id: row for row in _unique(_rows(file))}))
    if not len(taxonomy):
        raise UserError(f"{file} holds no concepts.\nGive it at least one row under {','.join(ALLOWED)}.")
    if settings.n is None:
        return taxonomy
    order = sorted(range(len(taxonomy)), key=lambda row: -taxonomy.concepts[row].frequency)
    return first(taxonomy, settings.n, order=order, source=str(file))


def fingerprint(settings: Settings) -> str:
    """A hash of the file's bytes: the path alone does not say what is in it."""
    return files.fingerprint(_file(settings))


def _file(settings: Settings) -> Path:
    file = files.find(settings.path, source="table", kind="file.csv or file.json")
    if file.suffix.lower() not in (".csv", ".json"):
        raise UserError(f"concepts.path={settings.path}: a table of concepts is a .csv or a .json file.")
    return file


def _rows(file: Path) -> Iterator[Row]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(f"{file}, line {line}: this is not UTF-8 text.\nSave the table as UTF-8.") from None
    for where, values in _csv(file, text) if file.suffix.lower() == ".csv" else _json(file, text):
        yield Row(where, _concept(where, values))


def _csv(file: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(StringIO(text, newline=""), restkey="", strict=True)
    try:
        _check_columns(f"{file}, line 1", [name.strip() for name in reader.fieldnames or ()])
        for values in reader:
            where = f"{file}, line {reader.line_num}"
            if "" in values:
                raise UserError(
                    f"{where}: more cells than the header has columns.\nQuote cells that hold commas."
                )
            cells = {column.strip(): (cell or "").strip() for column, cell in values.items()}
            yield (
                where,
                {**cells, "parents": [id for id in cells.get("parents", "").split("|") if id.strip()]},
            )
    except csv.Error as error:
        raise UserError(f"{file}, line {reader.reader.line_num}: {error}.") from None


def _json(file: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{file}, line {error.lineno}: this is not JSON ({error.msg}).") from None
    if not isinstance(values, list):
        raise UserError(f'{file} must hold a list of objects such as [{{"id": "my:dog.n", "name": "dog"}}].')
    for number, entry in enumerate(values, start=1):
        where = f"{file}, entry {number}"
        if not isinstance(entry, dict):
            raise UserError(
                f"{where}: found {json.dumps(entry)[:40]} where an object with id and name should be."
            )
        _check_columns(where, list(entry))
        yield where, entry


def _check_columns(where: str, found: list[str]) -> None:
    missing = [name for name in NEEDED if name not in found]
    unknown = [name for name in found if name not in ALLOWED]
    if missing or unknown or len(set(found)) < len(found):
        raise UserError(
            f"{where}: the columns are {', '.join(found) or 'none'}.\n"
            f"{' and '.join(NEEDED)} must be there, {', '.join(ALLOWED[2:])} may, each once."
        )


def _concept(where: str, values: Mapping[str, Any]) -> Concept:
    texts = {column: values.get(column) or "" for column in ("id", "name", "gloss")}
    parents = values.get("parents") or []
    for column, text in texts.items():
        if not isinstance(text, str) or (column in NEEDED and not text.strip()):
            raise UserError(f"{where}: {column} must be a text, found {text!r}.")
    if not isinstance(parents, list) or not all(isinstance(id, str) for id in parents):
        raise UserError(f"{where}: parents must be a list of ids, found {parents!r}.")
    id, name, gloss = (text.strip() for text in texts.values())
    return Concept(
        id=id,
        name=name,
        gloss=gloss,
        parents=tuple(dict.fromkeys(parent.strip() for parent in parents)),
        frequency=_frequency(where, values.get("frequency")),
        lemmas=(name,),
    )


def _frequency(where: str, value: object) -> float:
    try:
        number = float(str(value or 0))
    except ValueError:
        number = -1.0
    if number < 0 or not isfinite(number):
        raise UserError(f"{where}: frequency must be a number from 0, found {value!r}.")
    return number


def _unique(rows: Iterator[Row]) -> Iterator[Row]:
    stood: dict[str, str] = {}
    for row in rows:
        if row.concept.id in stood:
            raise UserError(
                f"{row.where}: the id {row.concept.id} already stands in {stood[row.concept.id]}."
            )
        stood[row.concept.id] = row.where
        yield row


def _in_order(rows: Mapping[str, Row]) -> Iterator[Concept]:
    """Every parent before its children, else in the file's order; each with its depth."""
    depth: dict[str, int] = {}
    for id in rows:
        todo = [id]  # the way up from this concept
        while todo:
            row = rows[todo[-1]]
            if row.concept.id in depth:
                todo.pop()
            elif (above := _waits_for(row, rows, depth)) is None:
                parents = row.concept.parents
                depth[todo.pop()] = depth[parents[0]] + 1 if parents else 0
                yield replace(row.concept, depth=depth[row.concept.id])
            elif above in todo:
                circle = " > ".join([*todo[todo.index(above) :], above])
                raise UserError(f"{row.where}: the parents run in a circle: {circle}.")
            else:
                todo.append(above)


def _waits_for(row: Row, rows: Mapping[str, Row], done: Mapping[str, int]) -> str | None:
    for parent in row.concept.parents:
        if parent not in rows:
            raise UserError(f"{row.where}: the parent {parent} of {row.concept.id} is not in the table.")
        if parent not in done:
            return parent
    return None
