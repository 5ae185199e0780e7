"""A corpus of the group `corpus` as documents, for makers that take sentences from it."""

import json
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from typing import Any

from hsae import build
from hsae.build.contents import contents
from hsae.config import Part
from hsae.contexts.documents import Document
from hsae.errors import UserError


def is_corpus(name: str) -> bool:
    """Whether this is one of the corpora on offer."""
    return (build.conf_dir() / "corpus" / f"{name}.yaml").is_file()


def documents(name: str, path: str | None, *, most: int, passed: Counter[str]) -> Iterator[Document]:
    """The first `most` documents of the corpus as it is configured, but for its `path` where one is given.

    What the corpus skips is counted in `passed`. Raises `UserError` where the corpus is not on this machine
    or has no path.
    """
    module, settings = build.plugin("corpus", _part(name, path))
    try:
        for item in islice(module.documents(settings, seed=0), most):
            if hasattr(item, "why"):
                passed[f"documents: {item.why}"] += 1
            else:
                yield Document(item.id, item.text)
    except UserError as error:
        raise _of_here(name, error) from error


def fingerprint(name: str, path: str | None) -> str:
    """A hash of the corpus's settings, and of its files where it can tell."""
    try:
        said: dict[str, Any] = contents("corpus", _part(name, path))
    except UserError as error:
        raise _of_here(name, error) from error
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _part(name: str, path: str | None) -> Part:
    if path is None:
        return build.compose([f"corpus={name}"]).corpus
    escaped = path.replace("\\", "\\\\").replace("'", "\\'")
    return build.compose([f"corpus={name}", f"corpus.path='{escaped}'"]).corpus


def _of_here(name: str, error: UserError) -> UserError:
    """The corpus names its own key for the path; here it has another."""
    said = str(error).replace("corpus.path", "contexts.natural.path")
    return UserError(f"contexts.natural.corpus={name}: {said}")
