"""Data sets of the Hugging Face hub, streamed: nothing is downloaded beyond the rows that are read.

pip install "hsae[hf]"
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PositiveInt, model_validator

from hsae.config import Part
from hsae.corpora.document import Document
from hsae.corpora.unique import unique
from hsae.errors import UserError


class Hub(Part):
    """A data set: `path` on the hub or a local folder, its `subset` and `split`, the `column` with the text,
    and the commit that pins it (`revision`); `tokens`: how many a job takes, in the data set's own order."""

    tokens: PositiveInt
    path: Annotated[str, Field(min_length=1)]
    subset: str | None
    split: Annotated[str, Field(min_length=1)]
    column: Annotated[str, Field(min_length=1)]
    revision: str | None

    @model_validator(mode="after")
    def _pinned(self) -> "Hub":
        if self.revision is None and not Path(self.path).expanduser().is_dir():
            raise ValueError(
                "revision: name the commit of the data set, so that everybody reads the same text"
            )
        return self


def stream(settings: Hub) -> Iterator[Document]:
    """The rows' texts as documents, in the data set's order, exact copies and empty texts dropped.

    The id is the row's own (`id`) where it has one, else its number. Raises `UserError` where `datasets` is
    missing, the hub cannot be reached, or there is no such data set, split or column.
    """
    yield from unique(_documents(settings))


def _documents(settings: Hub) -> Iterator[Document]:
    home = f"{settings.path}/{settings.subset or 'default'}/{settings.split}"
    for number, row in enumerate(_rows(settings)):
        if settings.column not in row:
            raise UserError(
                f"corpus.column={settings.column}: the rows of {settings.path} have {', '.join(sorted(row))}."
            )
        text = row[settings.column]
        if isinstance(text, str) and text.strip():
            yield Document(f"{home}#{row.get('id', number)}", text.strip())


def _rows(settings: Hub) -> Iterator[dict[str, Any]]:
    try:
        import datasets
    except ImportError:
        raise UserError(
            f'The corpus {settings.path} is read with the package datasets.\nType  pip install "hsae[hf]"'
        ) from None
    try:
        yield from datasets.load_dataset(
            settings.path,
            name=settings.subset,
            split=settings.split,
            revision=settings.revision,
            streaming=True,
        )
    except FileNotFoundError as error:
        raise UserError(
            f"corpus.path={settings.path} corpus.revision={settings.revision}: no such data set is found.\n"
            f"{error}"
        ) from error
    except OSError as error:  # what datasets raises without a network
        raise UserError(
            f"The data set {settings.path} could not be reached: {error}\n"
            "Check the network, or choose corpus=builtin, wordnet or text, which need none."
        ) from error
    except ValueError as error:
        raise UserError(
            f"{settings.path} cannot be read with subset={settings.subset} split={settings.split}:\n{error}"
        ) from error
