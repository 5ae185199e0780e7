"""What every interpreter is.

    log p(concept | x) = log softmax(scores(x) / temperature)

over the concepts of a taxonomy, in its order. An interpreter is fitted on one role of an encyclopedia's raw
rows, tuned on another, and reads a third. It knows no language model and no disk.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Float32, Int, Int64
from torch import Tensor, nn

from hsae.concepts import Taxonomy
from hsae.config import Part
from hsae.errors import UserError

BATCH = 1024
"""Rows that are read at once where nothing is learned by gradients."""


class Rows(NamedTuple):
    """Activations of one role, and of which concept (a row of the taxonomy) and template each is."""

    x: Float32[Tensor, "row *site d"]
    concept: Int64[Tensor, " row"]
    template: Int64[Tensor, " row"]

    def batches(self, size: int = BATCH) -> Iterator["Rows"]:
        """The rows in their order, `size` at a time."""
        for start in range(0, len(self.concept), size):
            yield self.chosen(slice(start, start + size))

    def chosen(self, rows: slice | Int64[Tensor, " some"] | Bool[Tensor, " row"]) -> "Rows":
        """Some of them."""
        return Rows(self.x[rows], self.concept[rows], self.template[rows])


class Step(NamedTuple):
    """What one step of fitting did; a closed form takes one step, whose loss is that on tune."""

    n: int
    of: int
    loss: float
    tune: float | None
    """Mean -log p(concept) on tune, where this step ended an epoch."""
    lr: float = 0.0
    gradient: float = 0.0
    """Norm of the whole gradient before clipping."""


class Interpreter(nn.Module, ABC):
    """Tells the concepts of a taxonomy apart by activations of width d at `sites` places.

    x is [row d] for one place, [row site d] for several. Everything learned, the normalisation and the
    temperature too, is a weight or a buffer, and so in `state_dict`. A concept that had no row to be fitted
    on has probability 0: of a closed softmax it is no answer (`check_seen`).
    """

    refuses_unseen: ClassVar[bool] = True
    """Rows of concepts that it was not fitted on are refused: a closed softmax cannot name them."""

    seen: Bool[Tensor, " concept"]
    temperature: Float[Tensor, ""]

    def __init__(self, settings: Part, *, d: int, sites: int, taxonomy: Taxonomy, seed: int):
        super().__init__()
        self.settings = settings
        self.d, self.sites, self.taxonomy, self.seed = d, sites, taxonomy, seed
        self.register_buffer("seen", torch.zeros(len(taxonomy), dtype=torch.bool))
        self.register_buffer("temperature", torch.ones(()))

    @property
    def concepts(self) -> int:
        """How many it tells apart, seen or not."""
        return len(self.seen)

    @property
    def width(self) -> int:
        """Numbers in one row, all sites together."""
        return self.sites * self.d

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.temperature.device

    @property
    def weights(self) -> int:
        """Numbers that are learned by gradients."""
        return sum(weight.numel() for weight in self.parameters())

    @abstractmethod
    def scores(self, x: Float[Tensor, "row site d"]) -> Float[Tensor, "row concept"]:
        """Logits at temperature 1, on the interpreter's device; -inf for what is impossible."""

    @abstractmethod
    def fit(
        self, fit: Rows, tune: Rows, *, device: torch.device | str, checkpoint: Path | None
    ) -> Iterator[Step]:
        """Learn, step by step: nothing happens before the iterator is asked, all has at its end.

        With `checkpoint`, what is learned by gradients is saved there after every epoch, and a fit that finds
        the file goes on from it. Raises UserError for rows that it cannot learn from.
        """

    @torch.no_grad()
    def log_posterior(self, x: Float[Tensor, "row *site d"]) -> Float[Tensor, "row concept"]:
        """log p(concept | x); every row sums to 1."""
        return torch.log_softmax(self.scores(self.shaped(x)).float() / self.temperature, dim=1)

    def shaped(self, x: Float[Tensor, "row *site d"]) -> Float[Tensor, "row site d"]:
        """x on the interpreter's device, with its axis of sites. Raises UserError where it is of another
        width."""
        shaped = x[:, None] if x.ndim == 2 else x
        if shaped.shape[1:] != (self.sites, self.d):
            raise UserError(
                f"activations of {shaped.shape[1]} sites x {shaped.shape[2]} came to an interpreter of "
                f"{self.sites} x {self.d}.\nName the sites that it was fitted on (layers=...)."
            )
        return shaped.to(self.device)

    def check(self, fit: Rows, tune: Rows) -> None:
        """Raises UserError for rows that nothing can be fitted on."""
        if not len(fit.concept) or not len(tune.concept):
            raise UserError(
                f"an interpreter is fitted on rows of the roles fit and tune, and there are "
                f"{len(fit.concept):,} and {len(tune.concept):,}.\nAsk for more templates: stage=templates"
            )
        if not (fit.x.isfinite().all() and tune.x.isfinite().all()):
            raise UserError("the encyclopedia's rows hold NaN or infinity.\nMake it again: force=true")
        if self.refuses_unseen:
            check_seen(fit.concept, tune.concept)

    def masked(self, logits: Float[Tensor, "row concept"]) -> Float[Tensor, "row concept"]:
        """-inf for concepts without a row to be fitted on."""
        return logits.masked_fill(~self.seen, -torch.inf)

    @torch.no_grad()
    def see(self, concept: Int64[Tensor, " row"]) -> None:
        """Remember which concepts there were rows of."""
        self.seen.zero_()
        self.seen[concept.unique().to(self.device)] = True


@torch.no_grad()
def nll(interpreter: Interpreter, rows: Rows, *, batch: int = BATCH) -> float:
    """Mean of -log p(concept | x), in float64, a batch at a time."""
    total = 0.0
    for part in rows.batches(batch):
        log_p = interpreter.log_posterior(part.x)
        total -= log_p.gather(1, part.concept.to(log_p.device)[:, None]).double().sum().item()
    return total / len(rows.concept)


def check_seen(fit_concepts: Int[Tensor, " row"], test_concepts: Int[Tensor, " other"]) -> None:
    """Raises UserError where a closed softmax would be asked for concepts that it never saw.

    Their outputs are never a target, so training only pushes them down: the accuracy on them is 0 by
    construction, whatever the data.
    """
    tested = test_concepts.unique()
    unseen = tested[~torch.isin(tested, fit_concepts.unique())]
    if len(unseen):
        raise UserError(
            f"{len(unseen):,} of {len(tested):,} concepts have no row to be fitted on (the first is row "
            f"{int(unseen[0])} of the taxonomy). A closed softmax never saw them as a target, so it is wrong "
            "on all of them by construction, and that says nothing about the activations.\n"
            "Split by template or source instead of by concept, or take interpreter=open_vocabulary"
        )
