"""When to stop asking for more contexts of a concept, and what to call the state it is in.

A concept is looked at when it has 4, 8, 16, 32, 64, 128 contexts. Looking six times at bounds of 95 % would
let one concept in four through by luck, so each look spends an equal part of alpha (Bonferroni):

    converged    error bound <= 1/3 (reliability >= .9), every confuser beaten, contexts of several kinds
    ambiguous    else, if two senses explain its contexts better than one
    dead         else, if after 32 contexts nothing that they have in common is seen beyond chance
    budget       else, if it has had all looks, or there are no more contexts
    active       else: worth its next batch

All evidence comes from contexts of the roles fit and tune; test is for judging what was stopped.

Pseudo-words are no measure of death: a rare string of letters moves a model further, and more evenly, than a
common word of many uses, so that all but a few real concepts would lie below them.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, final, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

Status = Literal["active", "converged", "ambiguous", "dead", "budget"]
STATUSES: tuple[Status, ...] = get_args(Status)


@final
class Rule(NamedTuple):
    """What it takes to stop."""

    looks: tuple[int, ...] = (4, 8, 16, 32, 64, 128)
    alpha: float = 0.05
    error: float = 1 / 3
    """Largest upper bound of the relative error e."""
    templates: int = 4
    sources: int = 2
    hopeless_after: int = 32
    """Contexts before a concept may be called dead."""
    hopeless_p: float = 0.05
    """Above it, chance is as likely to set a concept apart as its contexts are."""

    @property
    def level(self) -> float:
        """Confidence level of the bounds at each look: 1 - alpha / looks."""
        return 1 - self.alpha / len(self.looks)


@final
class Evidence(NamedTuple):
    """What is known about each concept. Bounds are one-sided, at the rule's `level`."""

    count: Int[np.ndarray, " concept"]
    error: Float[np.ndarray, " concept"]
    """Upper bound of the relative error e (not squared), centred; NaN where unknown."""
    margin: Float[np.ndarray, " concept"]
    """Lower bound of the leave-template-out retrieval margin; -inf or NaN where unknown."""
    templates: Int[np.ndarray, " concept"]
    sources: Int[np.ndarray, " concept"]
    split: Bool[np.ndarray, " concept"]
    """Two senses explain its reservoir better than one."""
    null_p: Float[np.ndarray, " concept"]
    """That contexts with nothing in common lie as far from the average concept; NaN where unknown."""
    exhausted: Bool[np.ndarray, " concept"]
    """No maker has another context for it."""


@final
class Decisions(NamedTuple):
    """Per concept: the status, the look it rests on (-1: none yet), and why in words."""

    status: list[Status]
    look: Int[np.ndarray, " concept"]
    reason: list[str]

    @property
    def wanted(self) -> Int[np.ndarray, " active"]:
        """Rows of the concepts that are worth more contexts."""
        return np.flatnonzero(np.array([status == "active" for status in self.status], dtype=bool))


def look_of(
    count: Int[np.ndarray, " concept"], exhausted: Bool[np.ndarray, " concept"], rule: Rule
) -> Int[np.ndarray, " concept"]:
    """The number of the last look that each concept has reached; -1 before the first.

    A concept without further contexts never reaches its next look, so it is judged at that one now.
    """
    return np.where(
        exhausted & (count < rule.looks[-1]),
        np.searchsorted(rule.looks, count, side="left"),
        np.searchsorted(rule.looks, count, side="right") - 1,
    )


def decide(evidence: Evidence, rule: Rule, *, before: Decisions | None = None) -> Decisions:
    """The status of every concept.

    With `before`, a verdict stands until the concept reaches another look (to look twice at the same one
    would spend its alpha twice); a concept that was out of budget is active again if it now has contexts.
    """
    look = look_of(evidence.count, evidence.exhausted, rule)
    due = look > (-1 if before is None else before.look)
    needs = {
        "error": evidence.error <= rule.error,
        "margin": evidence.margin > 0,
        "templates": evidence.templates >= rule.templates,
        "sources": evidence.sources >= rule.sources,
    }
    hopeless = (evidence.count >= rule.hopeless_after) & (evidence.null_p > rule.hopeless_p)
    choices: Sequence[tuple[Status, np.ndarray]] = (
        ("converged", due & np.logical_and.reduce(list(needs.values()))),
        ("ambiguous", due & evidence.split),
        ("dead", due & hopeless),
        ("budget", (evidence.count >= rule.looks[-1]) | evidence.exhausted),
    )
    status = np.full(len(look), "active", dtype=object)
    for name, where in reversed(choices):
        status[where] = name
    reason = [_reason(row, str(status[row]), evidence, rule, needs) for row in range(len(look))]
    if before is None:
        return Decisions(list(status), look, reason)
    for row in np.flatnonzero(~due):
        if before.status[row] in ("converged", "ambiguous", "dead"):
            status[row], reason[row] = before.status[row], before.reason[row]
    return Decisions(list(status), np.maximum(look, before.look), reason)


def _reason(
    row: int, status: str, evidence: Evidence, rule: Rule, needs: dict[str, Bool[np.ndarray, " concept"]]
) -> str:
    n = int(evidence.count[row])
    words = {
        "error": f"error bound {evidence.error[row]:.2f} above {rule.error:.2f}",
        "margin": f"margin to its nearest confuser may be {evidence.margin[row]:.2f}",
        "templates": f"{evidence.templates[row]} of {rule.templates} templates",
        "sources": f"{evidence.sources[row]} of {rule.sources} sources",
    }
    lacking = ", ".join(words[need] for need, met in needs.items() if not met[row])
    lacking = lacking or "nothing lacks now, to be judged at its next look"
    match status:
        case "converged":
            return (
                f"after {n} contexts: error bound {evidence.error[row]:.2f}, "
                f"margin to every confuser at least {evidence.margin[row]:.2f}"
            )
        case "ambiguous":
            return f"after {n} contexts: two senses explain them better than one"
        case "dead":
            return (
                f"after {n} contexts: what they have in common does not set it apart from the average one "
                f"(p = {evidence.null_p[row]:.2f})"
            )
        case "budget" if n >= rule.looks[-1]:
            return f"all {n} contexts used: {lacking}"
        case "budget":
            return f"no more contexts after {n}: {lacking}"
    if n < rule.looks[0]:
        return f"{n} contexts, first judged at {rule.looks[0]}"
    return f"after {n} contexts: {lacking}"
