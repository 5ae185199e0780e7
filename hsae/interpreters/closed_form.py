"""Interpreters that are learned in one step, from the sufficient statistics of concepts."""

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import torch

from hsae.interpreters.base import Interpreter, Rows, Step, nll
from hsae.interpreters.calibration import fit_temperature
from hsae.interpreters.classes import Classes, classes


class ClosedForm(Interpreter):
    """A subclass says what it makes of the statistics."""

    scaled: ClassVar[bool] = False
    """Its scores have a scale of their own, log p up to a constant; else `fit` finds one on tune."""

    @abstractmethod
    def learn(self, known: Classes) -> None:
        """From an encyclopedia's statistics alone."""

    def fit(
        self,
        fit: Rows,
        tune: Rows,
        *,
        device: torch.device | str,
        checkpoint: Path | None,  # noqa: ARG002  one step has nothing to resume
    ) -> Iterator[Step]:
        """What `learn` makes of `fit`; by `tune` a temperature, where there is no scale, and the loss."""
        self.check(fit, tune)
        self.to(device).learn(classes(fit, concepts=self.concepts))
        if not self.scaled:
            fit_temperature(self, tune)
        loss = nll(self, tune)
        yield Step(1, 1, loss, loss)
