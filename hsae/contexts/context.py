"""A context is a text in which a concept occurs, with the place where its word stands."""

from typing import Literal, NamedTuple

from hsae.seeding import split_of

Role = Literal["fit", "tune", "test"]
SHARES = {"fit": 0.5, "tune": 0.25, "test": 0.25}


class Context(NamedTuple):
    """`text[start:end]` is the concept's name, but for a capital at the head of a sentence.

    `template` names the sentence it was made from; the role follows that sentence, never the single context,
    so that what is fitted on one role is judged on sentences it has not seen.
    """

    concept: str
    text: str
    start: int
    end: int
    template: str
    role: Role


def role_of(sentence: str) -> Role:
    """The role of a sentence (with its gap unfilled), by its hash alone.

    The salt was chosen once so that each family of our templates has all three roles.
    """
    role = split_of(sentence, salt="template role 3238", shares=SHARES)
    assert role == "fit" or role == "tune" or role == "test"
    return role
