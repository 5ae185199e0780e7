"""Plain text files as documents, for makers that take sentences from them.

In a folder each `.txt` or `.md` file is a document. A single file, which may be a whole book, is cut into
passages of whole paragraphs: one document has one role, and all roles are wanted.
"""

from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import NamedTuple

from hsae.errors import UserError

SUFFIXES = (".txt", ".md")
PASSAGE = 2_000
"""Characters of a passage, or more where its last paragraph is longer."""


class Document(NamedTuple):
    """`id`: the file's path below the folder; for passages the file's name, `#` and a number from 0."""

    id: str
    text: str


def documents(path: str, passed: Counter[str]) -> Iterator[Document]:
    """The documents in the order of their files' names; files that hold no text are counted in `passed`.

    Raises `UserError` where there is no such file or folder, or no text file in it.
    """
    root, files = _files(path)
    whole = Path(path).expanduser().is_dir()
    for file in files:
        try:
            text = file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            passed["files that are not UTF-8 text"] += 1
            continue
        except OSError as error:
            passed[f"files that cannot be read: {error.strerror}"] += 1
            continue
        name = file.relative_to(root).as_posix()
        if "\0" in text or not text.strip():
            passed["files that are empty or binary"] += 1
        elif whole:
            yield Document(name, text)
        else:
            yield from (
                Document(f"{name}#{number}", passage) for number, passage in enumerate(passages(text))
            )


def passages(text: str) -> Iterator[str]:
    """The text in runs of paragraphs, each ended once it is long enough."""
    together: list[str] = []
    length = 0
    for paragraph in text.split("\n\n"):
        together.append(paragraph)
        length += len(paragraph)
        if length >= PASSAGE:
            yield "\n\n".join(together)
            together, length = [], 0
    if length:
        yield "\n\n".join(together)


def fingerprint(path: str) -> str:
    """A hash of the files' names and bytes: the path alone does not say what is in them."""
    root, files = _files(path)
    digest = blake2b(digest_size=8)
    for file in files:
        with file.open("rb") as stream:
            content = file_digest(stream, lambda: blake2b(digest_size=16)).hexdigest()
        digest.update(f"{file.relative_to(root).as_posix()}\0{content}\0".encode())
    return digest.hexdigest()


def _files(path: str) -> tuple[Path, list[Path]]:
    """The folder that ids are relative to, and the text files, by name."""
    root = Path(path).expanduser()
    if root.is_file():
        return root.parent, [root]
    if not root.is_dir():
        raise UserError(
            f"contexts.natural.path={path}: there is no such file or folder.\n"
            "Type contexts.natural.path=<a text file, or a folder of them>."
        )
    files = [file for file in root.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()]
    if not files:
        raise UserError(
            f"contexts.natural.path={path}: no {' or '.join(SUFFIXES)} file lies in this folder.\n"
            "Type contexts.natural.path=<a text file, or a folder of them>."
        )
    return root, sorted(files, key=lambda file: file.relative_to(root).as_posix())
