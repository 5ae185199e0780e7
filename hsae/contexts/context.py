"""A context is a text in which a concept occurs, with the place where its word stands."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, final, runtime_checkable

from hsae.concepts import Taxonomy
from hsae.seeding import split_of

Role = Literal["fit", "tune", "test"]
SHARES = {"fit": 0.5, "tune": 0.25, "test": 0.25}


@final
class Context(NamedTuple):
    """`text[start:end]` is the concept's name, but for a capital at the head of a sentence.

    `template` names what it was made from: a sentence with a gap, a document, a prompt. The role follows
    that, never the single context, so that what is fitted on one role is judged on texts it has not seen.
    `source` is the kind of text it is.
    """

    concept: str
    text: str
    start: int
    end: int
    template: str
    role: Role
    source: str


@final
class Attempt(NamedTuple):
    """One prompt put to a language model; the context that it gave follows, unless it was refused."""

    concept: str
    template: str
    prompt: str
    """Hash of the text that the model was given."""
    temperature: float
    seed: int
    refused: str | None
    """Why its text is no context, in a word or two; None where it is one."""


@runtime_checkable
class Continuation(Protocol):
    """What a language model wrote behind a prompt."""

    @property
    def text(self) -> str: ...

    @property
    def stop(self) -> str:
        """Why it ends: `eos`, `length`, `context` (the model reads no longer text) or `not finite`."""
        ...


@runtime_checkable
class Sampler(Protocol):
    """Draws one continuation for each prompt, the same whatever prompts stand beside it."""

    def __call__(
        self, prompts: Sequence[str], *, tokens: int, temperature: float, top_p: float, seed: int
    ) -> Sequence[Continuation]: ...


@final
class Wanted(NamedTuple):
    """What a stage asks of a maker of contexts."""

    rows: Sequence[int]
    """Concepts, by their rows in the taxonomy, ascending."""
    have: Sequence[int]
    """How many contexts of the maker each of them has already."""
    each: int | None
    """How many more each is to have, as far as there are; None asks for all."""
    lm: Any = None  # an LM stands on this floor's other half
    """The language model (`hsae.lm.LM`) under study, for makers that generate."""
    confusers: Mapping[int, Sequence[int]] | None = None
    """For each row, those of the concepts that it is most often taken for, nearest first."""
    sample: Sampler | None = None
    """Draws from the language model that writes contexts; the job binds it to the model."""


def everything(taxonomy: Taxonomy) -> Wanted:
    """All contexts of all concepts."""
    return Wanted(range(len(taxonomy)), [0] * len(taxonomy), None)


def role_of(template: str) -> Role:
    """The role of whatever is made from a sentence (with its gap unfilled) or a document, by its hash alone.

    The salt was chosen once so that each family of our templates has all three roles.
    """
    role = split_of(template, salt="template role 3238", shares=SHARES)
    assert role == "fit" or role == "tune" or role == "test"
    return role
