"""Fitting by gradients: AdamW, warm-up and cosine, clipping, an early stop on tune, exact resume.

Everything that a step changes can be saved and loaded, and everything random about it is drawn anew from its
number, so that N steps, a kill and M steps give what N + M steps give: bit for bit on a CPU. Nothing is ever
held for all rows and all concepts at once: a batch's logits are [batch concept], those of tune as well.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.optim import AdamW

from hsae.concepts import Taxonomy
from hsae.errors import UserError
from hsae.interpreters.base import BATCH, Interpreter, Rows, Step, nll
from hsae.interpreters.normaliser import Normaliser
from hsae.interpreters.settings import Learning
from hsae.sae.files import load_tensors, save_tensors
from hsae.seeding import stream


class Learner(Interpreter):
    """An interpreter that learns by gradients.

    A subclass says how logits come from normalised activations, and what is minimised beyond cross entropy.
    """

    settings: Learning

    def __init__(self, settings: Learning, *, d: int, sites: int, taxonomy: Taxonomy, seed: int):
        super().__init__(settings, d=d, sites=sites, taxonomy=taxonomy, seed=seed)
        self.normalise = Normaliser(sites=sites, d=d)

    @abstractmethod
    def logits(self, x: Float[Tensor, "row site d"]) -> Float[Tensor, "row concept"]:
        """Of normalised activations."""

    def scores(self, x: Float[Tensor, "row site d"]) -> Float[Tensor, "row concept"]:
        """The logits of concepts that were seen."""
        return self.masked(self.logits(self.normalise(x)))

    def loss(self, x: Float[Tensor, "row site d"], concept: Int64[Tensor, " row"]) -> Float[Tensor, ""]:
        """Mean of -log p(concept | x)."""
        return nn.functional.cross_entropy(self.scores(x).float(), concept)

    def prepare(self, fit: Rows) -> None:
        """What is learned of `fit` before the first step: which concepts there are, and their scale."""
        self.temperature.fill_(1.0)
        self.see(fit.concept)
        self.normalise.learn(fit)

    def fit(
        self, fit: Rows, tune: Rows, *, device: torch.device | str, checkpoint: Path | None
    ) -> Iterator[Step]:
        """Steps until tune's loss no longer falls or the epochs are over; then the best epoch's weights."""
        self.check(fit, tune)
        training = Training(self.to(device), fit, tune)
        if checkpoint is not None and checkpoint.is_file():
            training.load(checkpoint)
        for step in training.steps():
            if step.tune is not None and checkpoint is not None:
                training.save(checkpoint)
            yield step
        training.finish()


@final
class Training:
    """An interpreter on its way: weights, moments of AdamW, the best epoch's weights, the place in the
    data."""

    def __init__(self, interpreter: Learner, fit: Rows, tune: Rows):
        self.interpreter, self.recipe = interpreter, interpreter.settings
        self.rows, self.tune = fit, tune
        self.step, self.stale, self.lowest = 0, 0, math.inf
        self.per_epoch = math.ceil(len(fit.concept) / self.recipe.batch)
        self.of = self.recipe.epochs * self.per_epoch
        interpreter.prepare(fit)
        self.best = self._weights()
        matrices = [weight for weight in interpreter.parameters() if weight.ndim > 1]
        others = [weight for weight in interpreter.parameters() if weight.ndim < 2]
        groups = [
            {"params": matrices, "weight_decay": self.recipe.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        self.adam = AdamW([group for group in groups if group["params"]], lr=self.recipe.lr)

    @property
    def over(self) -> bool:
        """No step is left, or none would help."""
        return self.step >= self.of or self.stale >= self.recipe.patience

    def steps(self) -> Iterator[Step]:
        """The remaining steps. Raises UserError, naming the step, where a loss is not finite."""
        while not self.over:
            epoch = self.step // self.per_epoch
            order = torch.randperm(
                len(self.rows.concept), generator=stream(self.interpreter.seed, f"interpreter epoch {epoch}")
            )
            batches = order.split(self.recipe.batch)
            for chosen in batches[self.step - epoch * self.per_epoch :]:
                step = self._learn(self.rows.chosen(chosen))
                yield self._judged(step) if self.step % self.per_epoch == 0 else step

    def finish(self) -> None:
        """Take the best epoch's weights, and learn no more."""
        self.interpreter.load_state_dict(self.best)
        self.interpreter.eval()

    def _learn(self, batch: Rows) -> Step:
        self.interpreter.train()
        device = self.interpreter.device
        with seeded(self.interpreter.seed, f"interpreter step {self.step}", device=device):
            with torch.autocast(device.type, torch.bfloat16, enabled=_halves(device)):
                loss = self.interpreter.loss(self.interpreter.shaped(batch.x), batch.concept.to(device))
            loss.backward()
        gradient = nn.utils.clip_grad_norm_(self.interpreter.parameters(), self.recipe.clip).item()
        value = loss.item()
        if not (math.isfinite(value) and math.isfinite(gradient)):
            raise UserError(
                f"fitting diverged at step {self.step + 1} of {self.of}: loss {value:.3g}, gradient norm "
                f"{gradient:.3g}.\nSet interpreter.lr below {self.recipe.lr:.3g}."
            )
        lr = self.recipe.lr * rate(self.step, self.of, warmup=self.recipe.warmup)
        for group in self.adam.param_groups:
            group["lr"] = lr
        self.adam.step()
        self.adam.zero_grad()
        self.step += 1
        return Step(self.step, self.of, value, None, lr, gradient)

    def _judged(self, step: Step) -> Step:
        self.interpreter.eval()
        loss = nll(self.interpreter, self.tune, batch=min(self.recipe.batch, BATCH))
        if loss < self.lowest:
            self.lowest, self.stale, self.best = loss, 0, self._weights()
        else:
            self.stale += 1
        return step._replace(tune=loss)

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.interpreter.state_dict().items()}

    def save(self, path: Path) -> None:
        """All of it, at once or not at all."""
        moments = {
            f"adam.{name}.{key}": value
            for name, weight in self.interpreter.named_parameters()
            for key, value in self.adam.state.get(weight, {}).items()
        }
        state = {
            **{f"now.{name}": tensor for name, tensor in self.interpreter.state_dict().items()},
            **{f"best.{name}": tensor for name, tensor in self.best.items()},
            **moments,
            "position": torch.tensor([self.step, self.stale, self.of, len(self.rows.concept)]),
            "lowest": torch.tensor(self.lowest, dtype=torch.float64),
        }
        save_tensors(state, path)

    def load(self, path: Path) -> None:
        """Go on from what `save` wrote. Raises UserError for the checkpoint of another fit."""
        state = load_tensors(path, device=self.interpreter.device)
        try:
            self.step, self.stale, of, rows = (int(number) for number in state["position"])
            if (of, rows) != (self.of, len(self.rows.concept)):
                raise RuntimeError(
                    f"{of} steps over {rows} rows, not {self.of} over {len(self.rows.concept)}"
                )
            self.lowest = state["lowest"].item()
            self.best = {name: state[f"best.{name}"] for name in self.best}
            self.interpreter.load_state_dict({name: state[f"now.{name}"] for name in self.best})
            for name, weight in self.interpreter.named_parameters():
                if f"adam.{name}.step" in state:
                    kept = {key: state[f"adam.{name}.{key}"] for key in ("step", "exp_avg", "exp_avg_sq")}
                    # AdamW counts its steps on the CPU, wherever the weights are
                    self.adam.state[weight] = kept | {"step": kept["step"].cpu()}
        except (KeyError, RuntimeError) as error:
            raise UserError(
                f"{path} is not a checkpoint of this fit: {error}.\nDelete it to start afresh."
            ) from None


def rate(step: int, of: int, *, warmup: float) -> float:
    """Share of the learning rate at step 0, 1, ...: up a line to 1, then down half a cosine towards 0."""
    rising = warmup * of
    if step + 1 < rising:
        return (step + 1) / rising
    return 0.5 + 0.5 * math.cos(math.pi * (step - rising) / (of - rising)) if step > rising else 1.0


@contextmanager
def seeded(seed: int, purpose: str, *, device: torch.device | None = None) -> Iterator[None]:
    """Weights and dropout drawn inside depend on the seed and purpose alone, and disturb nobody outside."""
    with torch.random.fork_rng([device] if device is not None and device.type == "cuda" else []):
        torch.manual_seed(stream(seed, purpose).initial_seed())
        yield


def _halves(device: torch.device) -> bool:
    """bfloat16 is worth it: on a CPU it is slower."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported()
