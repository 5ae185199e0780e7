"""Contexts that a language model writes: any that the job binds, or the one under study.

Where a model writes the contexts by which it is studied, the circle is a factor to be reported, so the
generator is a choice of its own. Every prompt is reported (`Attempt`), kept or refused, with the hash of its
text, its temperature and its seed, so each text can be written again.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import blake2b
from typing import Annotated, NamedTuple, final

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from hsae.concepts import Taxonomy
from hsae.config import Part
from hsae.contexts import filters
from hsae.contexts.context import (
    Attempt,
    Context,
    Continuation,
    Role,
    Sampler,
    Wanted,
    everything,
    role_of,
)
from hsae.contexts.kin import Kin
from hsae.contexts.prompts import PROMPTS, Kind, Wording
from hsae.contexts.sentence import Facts, Filled, Sentence
from hsae.contexts.turns import in_turns
from hsae.errors import UserError
from hsae.seeding import unit_interval

TOGETHER = 256
"""Concepts that are written about at a time."""


class Settings(Part):
    """What is asked of the language model, and what it must not write.

    `model`: path or hub id of the generator (null: the model under study); the job loads it. `kinds`: of
    prompts. `prompts`: at most so many for each concept; `patience`: so many refused in a row end its series.
    `tokens`: of a continuation at most. `temperatures`: taken in turn. `top_p`: nucleus sampling. `words`:
    least and most of what the model wrote. `ngram`: so many words in a row may not occur twice. `alike`: from
    this Jaccard index of their words on, two texts are the same one.
    """

    model: str | None
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)]
    prompts: PositiveInt
    patience: PositiveInt
    tokens: PositiveInt
    temperatures: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)]
    top_p: Annotated[PositiveFloat, Field(le=1)]
    words: tuple[PositiveInt, PositiveInt]
    ngram: PositiveInt
    alike: Annotated[PositiveFloat, Field(le=1)]

    @field_validator("words")
    @classmethod
    def _in_order(cls, words: tuple[int, int]) -> tuple[int, int]:
        if words[0] > words[1]:
            raise ValueError("the least number of words stands first, the most second")
        return words


class Template(NamedTuple):
    """A numbered prompt; the number stays with it when others are added behind it."""

    id: str
    wording: Wording
    role: Role
    names_in_tail: bool


@cache
def templates(pos: str, kinds: tuple[Kind, ...]) -> tuple[Template, ...]:
    """The prompts of some kinds for a part of speech (`n`, `v`, `a`, `r`). Raises `UserError` for any
    other."""
    if pos not in PROMPTS:
        raise UserError(
            f"contexts=[generated] has prompts for the parts of speech {', '.join(PROMPTS)}, none for "
            f"pos={pos!r}."
        )
    return tuple(
        Template(
            f"{kind}-{pos}-{number:02d}: {wording.text}",
            wording,
            role_of(f"generated {kind} {number}"),
            any(f"{{{gap}}}" in wording.tail for gap in ("x", "a", "A", "the")),
        )
        for kind in kinds
        for number, wording in enumerate(PROMPTS[pos][kind], start=1)
    )


def make(
    taxonomy: Taxonomy, settings: Settings, *, seed: int, wanted: Wanted | None = None
) -> Iterator[Context | Attempt]:
    """For each concept its prompts as `Attempt`s, each followed by its context unless it was refused.

    Whether a text is too like an earlier one depends on those before it, so a concept that has contexts
    already gets these written again; what is yielded is what comes after them.

    Raises `UserError` where no language model is given, or for a part of speech without prompts.
    """
    asked = wanted or everything(taxonomy)
    if asked.sample is None:
        raise UserError(
            "contexts=[generated] needs a language model that writes "
            f"({settings.model or 'the one under study'}), and nothing here gives it one.\n"
            "Let a job that loads models ask for it: hsae job=bootstrap stage=generated"
        )
    kin = Kin(taxonomy)
    pairs = list(zip(asked.rows, asked.have, strict=True))
    for start in range(0, len(pairs), TOGETHER):
        some = pairs[start : start + TOGETHER]
        series = [Series(kin, row, settings, seed) for row, _ in some]
        goals = [None if asked.each is None else before + asked.each for _, before in some]
        _write(series, goals, settings, asked.sample)
        for one, (_, before) in zip(series, some, strict=True):
            yield from one.after(before)


def _write(
    series: Sequence["Series"], goals: Sequence[int | None], settings: Settings, sample: Sampler
) -> None:
    """Prompts in rounds, until each concept has as many contexts as it shall, or no more to give."""
    while True:
        groups: dict[tuple[float, int], list[tuple[Series, Prompt]]] = {}
        for one, goal in zip(series, goals, strict=True):
            for prompt in one.next(goal):
                groups.setdefault((prompt.temperature, prompt.seed), []).append((one, prompt))
        if not groups:
            return
        # a concept takes its texts in the order of its prompts, whatever their temperatures
        written: dict[tuple[int, int], Continuation] = {}
        for (temperature, seed), members in groups.items():
            found = sample(
                [prompt.text for _, prompt in members],
                tokens=settings.tokens,
                temperature=temperature,
                top_p=settings.top_p,
                seed=seed,
            )
            for (one, prompt), continuation in zip(members, found, strict=True):
                written[one.row, prompt.number] = continuation
        for one in series:
            one.take(written)


class Prompt(NamedTuple):
    """One prompt of one concept."""

    number: int
    template: Template
    text: str
    lead: str
    facts: Facts
    temperature: float
    seed: int


@final
class Series:
    """The prompts of one concept one after another, and what came of them."""

    def __init__(self, kin: Kin, row: int, settings: Settings, seed: int):
        self.kin, self.row, self.settings, self.seed = kin, row, settings, seed
        self.concept = kin.taxonomy.concepts[row]
        self.others = [*kin.siblings(row)]
        salt = f"{seed}/{self.concept.id}"
        shelf = [one for one in templates(self.concept.pos, settings.kinds) if self._can(one.wording)]
        self.shelf = in_turns(sorted(shelf, key=lambda one: unit_interval(one.id, salt=salt)))
        self.items: list[Context | Attempt] = []
        self.words: list[frozenset[str]] = []
        """Of each text that was kept."""
        self.asked: list[Prompt] = []
        self.number = self.refused = 0

    def _can(self, wording: Wording) -> bool:
        """Whether all that the prompt speaks of is known."""
        has_gloss = self.kin.facts[self.row].has_gloss or "gloss}" not in wording.text.lower()
        return has_gloss and (bool(self.others) or "other}" not in wording.text)

    def next(self, goal: int | None) -> list[Prompt]:
        """The next prompts: as many as contexts are missing, and none that would not count if all before it
        were refused."""
        ended = self.refused >= self.settings.patience or not self.shelf
        missing = self.settings.prompts if goal is None else goal - len(self.words)
        left = min(missing, self.settings.patience - self.refused, self.settings.prompts - self.number)
        self.asked = [] if ended else [self._prompt(self.number + turn) for turn in range(left)]
        return self.asked

    def _prompt(self, number: int) -> Prompt:
        round, place = divmod(number, len(self.shelf))
        template, temperatures = self.shelf[place], self.settings.temperatures
        other = self.others[round % len(self.others)] if self.others else self.row
        facts = self.kin.with_others(self.row, other=other)
        ask, lead = (_told(text, facts) for text in template.wording[:2])
        glue = "" if ask.endswith('"') or not lead else " "
        return Prompt(
            number,
            template,
            ask + glue + lead,
            lead,
            facts,
            # a prompt that comes again comes at the next temperature, and with a seed of its own
            temperatures[(place + round) % len(temperatures)],
            int(unit_interval(f"round {round}", salt=f"generated {self.seed}") * 2**31),
        )

    def take(self, written: dict[tuple[int, int], Continuation]) -> None:
        """What was written behind the prompts that `next` gave."""
        for prompt in self.asked:
            if self.refused >= self.settings.patience:
                return
            filled, refused = self._judge(prompt, written[self.row, prompt.number])
            self.number, self.refused = prompt.number + 1, self.refused + 1 if refused else 0
            concept, template = self.concept.id, prompt.template
            digest = blake2b(prompt.text.encode(), digest_size=8).hexdigest()
            self.items.append(Attempt(concept, template.id, digest, prompt.temperature, prompt.seed, refused))
            if filled:
                self.items.append(Context(concept, *filled, template.id, template.role, "generated"))

    def _judge(self, prompt: Prompt, continuation: Continuation) -> tuple[Filled | None, str | None]:
        """The context's text with its span, or why there is none."""
        template, lead = prompt.template, prompt.lead
        new, refused = filters.sentences(continuation.text, continuation.stop)
        if template.names_in_tail:
            new = filters.first_clause(new)
        checks = (
            lambda: refused,
            lambda: "half a word" if lead and (new[:1].isalnum() or new[:1] in "'-") else None,
            lambda: filters.wrong_length(new, self.settings.words),
            lambda: "repeats itself" if filters.repeats(new, self.settings.ngram) else None,
            lambda: (
                "names it" if template.names_in_tail and filters.names(lead + new, self.concept) else None
            ),
            lambda: "like an earlier one" if filters.alike(new, self.words, self.settings.alike) else None,
        )
        if why := next((why for check in checks if (why := check())), None):
            return None, why
        filled = _assembled(lead, new, template, prompt.facts)
        if filled is None:
            return None, "does not name it"
        self.words.append(filters.words_of(new))
        return filled, None

    def after(self, kept: int) -> Iterator[Context | Attempt]:
        """What came behind the first so many contexts."""
        for item in self.items:
            if kept <= 0:
                yield item
            elif isinstance(item, Context):
                kept -= 1


def _told(text: str, facts: Facts) -> str:
    """A text about a concept that may name it any number of times."""
    phrase = facts.article["a"] + facts.word
    gaps = {"x": facts.word, "a": phrase, "A": phrase[:1].upper() + phrase[1:]}
    return text.format(**facts.around, **gaps)


def _assembled(lead: str, new: str, template: Template, facts: Facts) -> Filled | None:
    """Lead, what was written and tail in one; None where a text that has to name the concept does not."""
    text = " ".join(f"{lead}{new}".split())
    text = text[:1].upper() + text[1:]
    if template.names_in_tail:
        tail = Sentence(template.wording.tail).fill(facts)
        return Filled(text + tail.text, len(text) + tail.start, len(text) + tail.end)
    before = len(" ".join(lead.split()))
    span = filters.mention(text[before:], facts.word)
    return Filled(text + template.wording.tail, before + span[0], before + span[1]) if span else None
