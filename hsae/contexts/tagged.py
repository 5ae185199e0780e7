"""Sentences in which the sense of a word is known: what a detector of concepts can be held against.

WordNet's examples were each written for one synset and name one of its words. A file of one's own (SemCor,
say) has a JSON object a line:

    {"text": "The dog slept.", "tags": [[4, 7, "wn30:dog.n.01"]], "document": "a01"}

`document` may be left out: a sentence then is a document of its own. The role follows the document, by the
same hash as everywhere, so what an encyclopedia was fitted on (sentences of the role `fit`) can be left out.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, final

from hsae.concepts import Taxonomy
from hsae.contexts.context import Role, role_of
from hsae.contexts.finder import Finder
from hsae.errors import UserError

KEYS = ("text", "tags", "document")


class Tag(NamedTuple):
    """`text[start:end]` means the concept."""

    start: int
    end: int
    concept: str


@final
class Tagged(NamedTuple):
    """A sentence of a document, with the words whose sense is known; of its other words nothing is."""

    text: str
    tags: tuple[Tag, ...]
    document: str

    @property
    def role(self) -> Role:
        """That of the document."""
        return role_of(self.document)


def from_examples(taxonomy: Taxonomy, passed: Counter[str]) -> Iterator[Tagged]:
    """The examples of all concepts, each text once, tagged where the first of the concept's words stands.

    Examples in which none of its words is found are counted in `passed`.
    """
    tags: dict[str, list[Tag]] = {}
    for concept in taxonomy:
        finder = Finder((0, name, concept.pos) for name in dict.fromkeys((concept.name, *concept.lemmas)))
        for example in dict.fromkeys(" ".join(example.split()) for example in concept.examples):
            if word := next(finder.find(example), None):
                tags.setdefault(example, []).append(Tag(word.start, word.end, concept.id))
            else:
                passed["examples without the word"] += 1
    for text, found in tags.items():
        yield Tagged(text, tuple(found), text)


def from_file(path: str) -> Iterator[Tagged]:
    """The sentences of a file as above. Raises `UserError`, with the line, for one that is not so."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(
            f"job.path={path}: there is no such file.\nType job.path=<file.jsonl>, a sentence a line."
        )
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        if line.strip():
            yield _sentence(f"{file}, line {number}", line)


def _sentence(where: str, line: bytes) -> Tagged:
    try:
        said = json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{where}: this is not JSON ({error}).") from None
    if not isinstance(said, dict) or not {"text", "tags"} <= set(said) <= set(KEYS):
        found = ", ".join(said) if isinstance(said, dict) else type(said).__name__
        raise UserError(f"{where}: text and tags must be there, document may; found {found or 'nothing'}.")
    text, document = said["text"], said.get("document", said["text"])
    if not isinstance(text, str) or not isinstance(document, str) or not isinstance(said["tags"], list):
        raise UserError(f"{where}: text and document must be texts, and tags a list.")
    return Tagged(text, tuple(_tag(where, text, tag) for tag in said["tags"]), document)


def _tag(where: str, text: str, tag: Any) -> Tag:
    match tag:
        case [int(start), int(end), str(concept)] if 0 <= start < end <= len(text):
            return Tag(start, end, concept)
    raise UserError(
        f"{where}: a tag is [start, end, concept id] with 0 <= start < end <= {len(text)}, the length of the "
        f"text; found {json.dumps(tag)}."
    )


def held_out(sentences: Iterable[Tagged], roles: Iterable[Role], passed: Counter[str]) -> Iterator[Tagged]:
    """The sentences with a tag whose documents have one of the roles; the others are counted in `passed`."""
    wanted = frozenset(roles)
    for sentence in sentences:
        if not sentence.tags:
            passed["sentences without a tag"] += 1
        elif sentence.role not in wanted:
            passed[f"sentences of documents of the role {sentence.role}"] += 1
        else:
            yield sentence
