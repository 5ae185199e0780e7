"""Which files a corpus is read from, and what is in them."""

from collections.abc import Sequence
from functools import cache
from hashlib import blake2b, file_digest
from pathlib import Path

from hsae.corpora.document import printable
from hsae.errors import UserError


def find(path: str | None, suffixes: Sequence[str], *, corpus: str) -> tuple[Path, list[Path]]:
    """The folder that ids are relative to, and the files below `path`, in the order of their names; a path to
    a file is that file, whatever its suffix. Raises `UserError` where there is none."""
    if path is None:
        raise UserError(f"corpus={corpus} needs files.\nType corpus.path=<file or folder>.")
    root = Path(path).expanduser()
    if root.is_file():
        return root.parent, [root]
    if not root.is_dir():
        raise UserError(f"corpus.path={path}: there is no such file or folder.")
    below = [file for file in root.rglob("*") if not file.is_dir()]
    # a link that leads nowhere stays, to be named when it is read
    files = sorted(
        (file for file in below if file.name.lower().endswith(tuple(suffixes))),
        key=lambda file: name(file, root),
    )
    if not files:
        others = ", ".join(sorted({file.suffix for file in below if file.suffix})[:5]) or "none with a suffix"
        raise UserError(
            f"corpus.path={path}: no {', '.join(suffixes)} file lies in this folder (of others: {others}).\n"
            "Files are read by corpus=text, corpus=jsonl and corpus=parquet."
        )
    return root, files


def name(file: Path, root: Path) -> str:
    """The path below the root, `/` between its parts, the same on every machine."""
    return printable(file.relative_to(root).as_posix())


def fingerprint(root: Path, files: Sequence[Path]) -> str:
    """A hash of the files' names and of all their bytes.

    A file is read once in a process, unless its size or its time changes.
    """
    digest = blake2b(digest_size=8)
    for file in files:
        digest.update(f"{name(file, root)}\0{_content(file)}\0".encode())
    return digest.hexdigest()


def _content(file: Path) -> str:
    try:
        said = file.stat()
        return _hash(file, said.st_size, said.st_mtime_ns)
    except OSError as error:  # it gives no documents either
        return error.strerror or type(error).__name__


@cache
def _hash(file: Path, size: int, time: int) -> str:  # noqa: ARG001  they tell one state of a file from another
    with file.open("rb") as stream:
        return file_digest(stream, lambda: blake2b(digest_size=16)).hexdigest()
