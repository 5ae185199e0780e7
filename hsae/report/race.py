"""Whether a policy of refinement spends tokens better than chance: paired by seed, on the same rows."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Bool, Int, UInt64

from hsae.report.cells import heads, measured, numbered, scrolling
from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import large, number
from hsae.stats import Interval, cluster_mean, paired_difference

CHANCE = "random"
"""The policy that all others have to beat."""

MORE = 1.02
"""Tokens of a policy over those of chance, above which they count as more: contexts differ in length, and a
policy that picks the long ones spends more on as many."""


@final
class Arm(NamedTuple):
    """One encyclopedia that was refined by a policy, as an interpreter sees it."""

    policy: str
    seed: int
    tokens: int
    """That its refinement read."""
    uid: UInt64[np.ndarray, " row"]
    """Names the context of each held-out row."""
    concept: Int[np.ndarray, " row"]
    correct: Bool[np.ndarray, " row"]


@final
class Lap(NamedTuple):
    """A policy beside chance."""

    policy: str
    seeds: int
    accuracy: float
    tokens: float
    chance_accuracy: float
    chance_tokens: float
    by_seed: Interval
    """Of the difference of accuracies: over pairs of seeds, Student's."""
    by_concept: Interval
    """Of the same: over concepts, drawn with replacement, seeds averaged."""

    @property
    def said(self) -> str:
        """The outcome; either interval alone may lie beyond zero by the choice of seeds, or of concepts."""
        if self.by_seed.low > 0 and self.by_concept.low > 0:
            return "beats chance" if self.tokens <= MORE * self.chance_tokens else "better, at more tokens"
        if self.by_seed.high < 0 and self.by_concept.high < 0:
            return "loses to chance" if self.chance_tokens <= MORE * self.tokens else "worse, at fewer tokens"
        return "not told apart from chance"


def laps(arms: Sequence[Arm], *, seed: int) -> list[Lap]:
    """Every policy that has seeds in common with chance and was judged on the same rows, each at a level of 1
    - 0.05 / policies (Bonferroni)."""
    chance = {arm.seed: arm for arm in arms if arm.policy == CHANCE}
    others: dict[str, dict[int, Arm]] = {}
    for arm in arms:
        if arm.policy != CHANCE and _same_rows(arm, chance.get(arm.seed)):
            others.setdefault(arm.policy, {})[arm.seed] = arm
    level = 1 - 0.05 / max(1, len(others))
    return [_lap(policy, own, chance, seed=seed, level=level) for policy, own in sorted(others.items())]


def _same_rows(arm: Arm, other: Arm | None) -> bool:
    return other is not None and np.array_equal(arm.uid, other.uid)


def _lap(policy: str, own: Mapping[int, Arm], chance: Mapping[int, Arm], *, seed: int, level: float) -> Lap:
    pairs = [(own[s], chance[s]) for s in sorted(own)]
    first, second = ([float(arm.correct.mean()) for arm in side] for side in zip(*pairs, strict=True))
    difference = np.mean([one.correct.astype(float) - other.correct for one, other in pairs], axis=0)
    return Lap(
        policy,
        len(pairs),
        float(np.mean(first)),
        float(np.mean([one.tokens for one, _ in pairs])),
        float(np.mean(second)),
        float(np.mean([other.tokens for _, other in pairs])),
        paired_difference(first, second, level=level),
        cluster_mean(difference, pairs[0][0].concept, seed=seed, level=level),
    )


def table(found: Sequence[Lap], *, start: float | None) -> Markup:
    """One row a policy. `start`: the accuracy before refinement, from which gains per token are counted."""
    names = (
        "policy",
        "accuracy",
        "tokens",
        "with random",
        "tokens",
        "difference, over seeds",
        "over concepts",
        "",
    )
    rows = [numbered(lap.policy, _cells(lap)) for lap in found]
    told = None if start is None else tag("p", " ".join(_per_token(lap, start) for lap in found))
    return join(scrolling(heads(names), rows, cls="verdicts"), told)


def _cells(lap: Lap) -> list[Markup | str]:
    return [
        number(lap.accuracy, 4),
        large(lap.tokens),
        number(lap.chance_accuracy, 4),
        large(lap.chance_tokens),
        _interval(lap.by_seed, f"{lap.seeds} pairs of seeds"),
        _interval(lap.by_concept, f"{lap.by_concept.n:,} concepts"),
        tag("b", lap.said),
    ]


def _interval(of: Interval, n: str) -> Markup:
    return join(measured(of._asdict()), tag("small", n))


def _per_token(lap: Lap, start: float) -> str:
    gained = [
        1e6 * (accuracy - start) / tokens
        for accuracy, tokens in ((lap.accuracy, lap.tokens), (lap.chance_accuracy, lap.chance_tokens))
    ]
    return (
        f"Before refinement accuracy was {number(start, 4)}; a million tokens of it bring "
        f"{number(gained[0])} by {lap.policy} and {number(gained[1])} by chance."
    )
