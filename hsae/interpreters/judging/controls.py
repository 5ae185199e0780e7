"""What the same estimation gives where there is less to be found, or nothing.

permuted     the labels of fit are shuffled among its rows: nothing can be learned
embedding    token embeddings of the same contexts: what the token alone gives away
untrained    the same contexts read by the same LM with random weights: what the architecture gives away
characters   letters of the span's text: what the spelling gives away
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple, final
from zlib import crc32

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from hsae.concepts import Taxonomy
from hsae.encyclopedia import Encyclopedia
from hsae.encyclopedia.encyclopedia import Role
from hsae.encyclopedia.rereading import EMBED, EMBEDDING, UNTRAINED, Rereading
from hsae.encyclopedia.sampled import sampled_of
from hsae.errors import UserError
from hsae.interpreters import nearest_mean
from hsae.interpreters.base import Interpreter
from hsae.interpreters.calibration import Assessment, assess, fit_temperature
from hsae.interpreters.judging.assessment import interval
from hsae.interpreters.judging.conformal import halves
from hsae.interpreters.roles import Reading, Roles, side_by_side
from hsae.seeding import stream

Make = Callable[[Roles], Interpreter]
"""A blank interpreter for rows of this shape. Raises UserError for a shape that it cannot read."""


@final
class Control(NamedTuple):
    """An interpreter that was fitted where there is less to be found."""

    found: Assessment
    by: str
    """The interpreter's name."""
    refused: str | None
    """Why the one that was asked for could not be fitted, and the nearest mean was taken."""

    def line(self, real: Assessment, roles: Roles, *, seed: int) -> dict[str, Any]:
        """Accuracy, and by how much the real one is better on the same rows, both over concepts
        and templates."""
        of = roles.test.concept.numpy(), roles.test.template.numpy()
        gain = real.correct.astype(np.float64) - self.found.correct
        return {
            **interval(self.found.correct, *of, seed=seed),
            "gain": interval(gain, *of, seed=seed),
            "confidence": interval(self.found.confidence, *of, seed=seed),
            "by": self.by,
            "refused": self.refused,
        }


def less(
    reading: Reading, names: Collection[str], rereading: Callable[[Encyclopedia], Rereading], *, seed: int
) -> Iterator[tuple[str, Roles | None]]:
    """Each of the controls that is named, and what is fitted, tuned and judged on in it; None for token
    embeddings of a model that has no site of them."""
    if "permuted" in names:
        yield "permuted", permuted(reading.roles, seed=seed)
    for reader, sites in ((EMBEDDING, [EMBED]), (UNTRAINED, reading.sites)):
        if reader in names:
            known = rereading(reading.fit).has(reader)
            yield reader, _reread(reading, rereading, reader, sites) if known else None
    if "characters" in names:
        width = reading.fit.d(reading.sites[0])
        yield "characters", reading.told(lambda book, role: trigrams(_spans(book, role), width))


def _reread(
    reading: Reading, rereading: Callable[[Encyclopedia], Rereading], reader: str, sites: Sequence[str]
) -> Roles:
    return reading.told(
        lambda book, role: side_by_side([rereading(book).rows(reader, site, role=role) for site in sites])
    )


def _spans(book: Encyclopedia, role: Role) -> list[str]:
    """The words that the rows of a role are read at."""
    return [context.text[context.start : context.end] for context in sampled_of(book, role).contexts]


def control(
    make: Make, roles: Roles, *, taxonomy: Taxonomy, device: torch.device | str, seed: int
) -> Control:
    """Fitted, calibrated and judged as the real one is; by the nearest mean where what `make` makes cannot
    learn from such rows: token embeddings of one word may not vary at all."""
    try:
        return Control(*_fitted(make, roles, device=device, seed=seed), None)
    except UserError as problem:
        blank = lambda given: nearest(given, taxonomy, seed=seed)
        return Control(*_fitted(blank, roles, device=device, seed=seed), str(problem).splitlines()[0])


def _fitted(make: Make, roles: Roles, *, device: torch.device | str, seed: int) -> tuple[Assessment, str]:
    interpreter = make(roles)
    for _ in interpreter.fit(roles.fit, roles.tune, device=device, checkpoint=None):
        pass
    fit_temperature(interpreter, halves(roles.tune, seed=seed)[0])
    return assess(interpreter, roles.test), interpreter.settings.model_dump()["name"]


def nearest(roles: Roles, taxonomy: Taxonomy, *, seed: int) -> Interpreter:
    """A nearest mean by cosine, for rows of this shape."""
    x = roles.fit.x
    settings = nearest_mean.Settings(name="nearest_mean", metric="cosine")
    shape = {"d": x.shape[-1], "sites": 1 if x.ndim == 2 else x.shape[1]}
    return nearest_mean.build(settings, **shape, taxonomy=taxonomy, seed=seed)


def permuted(roles: Roles, *, seed: int) -> Roles:
    """Every concept keeps its number of rows to be fitted on, and loses which."""
    order = torch.randperm(len(roles.fit.concept), generator=stream(seed, "permuted labels"))
    return roles._replace(fit=roles.fit._replace(concept=roles.fit.concept[order]))


def trigrams(texts: Sequence[str], width: int) -> Float32[Tensor, "row width"]:
    """How often each three letters stand in a text, its ends marked, case ignored, hashed to `width`."""
    known: dict[str, int] = {}
    place = [known.setdefault(text.lower(), len(known)) for text in texts]
    found = torch.zeros(len(known), width)
    for text, row in known.items():
        marked = f"^{text}$"
        for start in range(len(marked) - 2):
            found[row, crc32(marked[start : start + 3].encode()) % width] += 1
    return found[place]
