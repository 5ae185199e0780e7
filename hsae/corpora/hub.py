"""Data sets of the Hugging Face hub, streamed: nothing is downloaded beyond the rows that are read.

pip install "hsae[hf]"
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import Field, model_validator

from hsae.corpora import files
from hsae.corpora.document import Document, Skipped
from hsae.corpora.rows import Rows, documents
from hsae.corpora.unique import unique
from hsae.errors import UserError

SECONDS = 10
"""After which the hub counts as out of reach."""


class Hub(Rows):
    """A data set: `path` on the hub or a local folder, its `subset` and `split`, and the commit that pins it
    (`revision`)."""

    path: Annotated[str, Field(min_length=1)]
    subset: str | None
    split: Annotated[str, Field(min_length=1)]
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None

    @model_validator(mode="after")
    def _pinned(self) -> "Hub":
        if self.revision is None and not self.is_local:
            raise ValueError(
                "revision: name the commit of the data set, so that everybody reads the same text"
            )
        return self

    @property
    def is_local(self) -> bool:
        """Whether the data set is a folder of this machine."""
        return Path(self.path).expanduser().is_dir()


def stream(settings: Hub) -> Iterator[Document | Skipped]:
    """The rows' texts as documents, in the data set's order.

    Raises `UserError` where `datasets` is missing, the hub cannot be reached, or there is no such data set,
    split or column.
    """
    home = f"{settings.subset or 'default'}/{settings.split}#"
    home = home if settings.is_local else f"{settings.path}/{home}"
    rows = ((f"{home}{number}", row) for number, row in enumerate(_rows(settings)))
    return unique(documents(rows, settings, prefix=home), source=f"corpus.path={settings.path}")


def fingerprint(settings: Hub) -> str:
    """The commit, or a hash of the files in a local folder."""
    if settings.revision is not None and not settings.is_local:
        return settings.revision
    root, found = files.find(settings.path, ("",), corpus=settings.path)
    return files.fingerprint(root, found)


def _rows(settings: Hub) -> Iterator[dict[str, Any]]:
    try:
        import datasets
    except ImportError:
        raise UserError(
            f'The corpus {settings.path} is read with the package datasets.\nType  pip install "hsae[hf]"'
        ) from None
    if not settings.is_local:
        _reach(settings)
    try:
        rows = datasets.load_dataset(
            settings.path,
            name=settings.subset,
            split=settings.split,
            revision=None if settings.is_local else settings.revision,
            streaming=True,
        )
        for number, row in enumerate(rows):
            if number == 0:
                _check(row, settings)
            yield row
    except FileNotFoundError as error:
        raise _missing(settings, error) from error
    except OSError as error:
        raise _unreachable(settings, error) from error
    except ValueError as error:
        raise UserError(
            f"{settings.path} cannot be read with subset={settings.subset} split={settings.split}:\n{error}"
        ) from error


def _reach(settings: Hub) -> None:
    """Ask for the commit once: `datasets` would try again for half a minute before it says that there is no
    network."""
    from huggingface_hub import HfApi, errors

    # its faults of transport belong to whichever HTTP library a release is built on; this is their root
    transport = cast("tuple[type[Exception], ...]", errors.HfHubHTTPError.__bases__)
    try:
        HfApi().dataset_info(settings.path, revision=settings.revision, timeout=SECONDS)
    except errors.OfflineModeIsEnabled:
        return  # asked for (HF_HUB_OFFLINE): a copy in the cache may do
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
        raise _missing(settings, error) from error
    except (OSError, *transport) as error:
        raise _unreachable(settings, error) from error


def _missing(settings: Hub, error: Exception) -> UserError:
    return UserError(
        f"corpus.path={settings.path} corpus.revision={settings.revision}: "
        f"no such data set is found.\n{error}"
    )


def _unreachable(settings: Hub, error: Exception) -> UserError:
    return UserError(
        f"The data set {settings.path} could not be reached: {error}\n"
        "Check the network, or choose corpus=builtin, wordnet, brown, text or synthetic, which need none."
    )


def _check(row: dict[str, Any], settings: Hub) -> None:
    for key, column in (("column", settings.column), ("id", settings.id)):
        if column is not None and column not in row:
            raise UserError(
                f"corpus.{key}={column}: the rows of {settings.path} have {', '.join(sorted(row))}."
            )
