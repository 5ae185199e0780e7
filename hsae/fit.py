"""The training loop, as an iterator of steps: whoever drives it logs, judges, saves and stops.

    for step in training.steps(batches):
        ...                      # log step.losses, training.save(path) now and then

Everything that a step changes can be saved and loaded, so that N steps, a kill and M steps give what N + M
steps give: bit for bit on a CPU.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Adam

from hsae.errors import UserError
from hsae.metrics import Variance
from hsae.sae.base import SAE
from hsae.sae.files import load_tensors, save_tensors


@final
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How an SAE is trained, whatever its kind."""

    steps: int
    lr: float
    warmup: float
    """Share of the steps in which the learning rate rises from 0."""
    decay: float
    """Share of the steps, at the end, in which it falls to 0."""
    clip: float
    """Largest norm of the whole gradient."""
    dead_after: int
    """Tokens of silence after which a latent counts as dead."""

    def rate(self, step: int) -> float:
        """Share of `lr` that step 0, 1, ... learns with."""
        rising = (step + 1) / max(self.warmup * self.steps, 1)
        falling = (self.steps - step) / max(self.decay * self.steps, 1)
        return max(min(rising, falling, 1.0), 0.0)


def default_lr(latents: int) -> float:
    """2e-4 / sqrt(latents / 2^14). Source: Gao et al. 2024, arXiv:2406.04093, section 3.1."""
    return 2e-4 / (latents / 2**14) ** 0.5


def default_dead_after(tokens: int) -> int:
    """10 M tokens, or a tenth of a training that is shorter than ten times that."""
    return max(min(10_000_000, tokens // 10), 1)


class Step(NamedTuple):
    """What one step did. The losses are those before it, weighted as they were summed."""

    n: int
    tokens: int
    losses: dict[str, Float[Tensor, ""]]
    lr: float
    gradient: float
    """Norm of the whole gradient before clipping."""


@final
class Training:
    """An SAE on its way: weights, Adam's moments, each latent's silence, the place in the stream.

    Batches come as the LM gave them; the SAE sees them times `scale`, which brings E|x| to sqrt(d), so that
    one learning rate suits every site. `SAE.fold(scale)` ends it.
    """

    def __init__(self, sae: SAE, recipe: Recipe, *, scale: float):
        self.sae = sae
        self.recipe = recipe
        self.scale = scale
        self.step = 0
        self.tokens = 0
        self.silent = torch.zeros(sae.latents, dtype=torch.long, device=sae.b_enc.device)
        # eps 6.25e-10: gradients of rarely firing latents are small (Gao et al.'s code, train.py)
        self.adam = Adam(sae.parameters(), lr=recipe.lr, betas=(0.9, 0.999), eps=6.25e-10, fused=True)

    @property
    def dead(self) -> Tensor:
        """Latents that did not fire in the last `dead_after` tokens."""
        return self.silent >= self.recipe.dead_after

    def steps(self, batches: Iterable[Float[Tensor, "_ d"]]) -> Iterator[Step]:
        """The remaining steps, on batches from `self.step` of the stream on.

        Raises UserError, naming the step, where a loss or a gradient is not finite; the weights are still
        those before that step.
        """
        remaining = range(self.step, self.recipe.steps)
        for _, x in zip(remaining, batches, strict=False):
            yield self._learn(x.to(self.silent.device) * self.scale)

    def _learn(self, x: Float[Tensor, "batch d"]) -> Step:
        losses, fired = self.sae.losses(x, dead=self.dead)
        torch.stack([*losses.values()]).sum().backward()
        self.sae.project_gradients()
        gradient = torch.nn.utils.clip_grad_norm_(self.sae.parameters(), self.recipe.clip).item()
        self._check(x, losses, gradient)
        lr = self.recipe.lr * self.recipe.rate(self.step)
        for group in self.adam.param_groups:
            group["lr"] = lr
        self.adam.step()
        self.adam.zero_grad()
        self.sae.renormalise()
        self.silent = torch.where(fired > 0, 0, self.silent + len(x))
        self.step += 1
        self.tokens += len(x)
        losses = {name: loss.detach() for name, loss in losses.items()}
        return Step(self.step, self.tokens, losses, lr, gradient)

    def _check(self, x: Tensor, losses: dict[str, Tensor], gradient: float) -> None:
        if all(loss.isfinite() for loss in losses.values()) and torch.tensor(gradient).isfinite():
            return
        said = ", ".join(f"{name} {loss.item():.3g}" for name, loss in losses.items())
        where = f"step {self.step + 1} of {self.recipe.steps}, after {self.tokens:,} tokens"
        if not x.isfinite().all():
            raise UserError(
                f"the activations of {where} hold NaN or infinity.\n"
                "Extract them again: job=extract force=true"
            )
        raise UserError(
            f"training diverged at {where}: {said}, gradient norm {gradient:.3g}.\n"
            f"Set sae.lr below {self.recipe.lr:.3g}, or sae.clip below {self.recipe.clip:g}."
        )

    def save(self, path: Path) -> None:
        """All of it, at once or not at all."""
        moments = {
            f"adam.{name}.{key}": value
            for name, weight in self.sae.named_parameters()
            for key, value in self.adam.state[weight].items()
        }
        state = {
            **{f"sae.{name}": tensor for name, tensor in self.sae.state_dict().items()},
            **moments,
            "silent": self.silent,
            "position": torch.tensor([self.step, self.tokens]),
            "scale": torch.tensor(self.scale, dtype=torch.float64),
        }
        save_tensors(state, path)

    def load(self, path: Path) -> None:
        """Go on from what `save` wrote. Raises UserError for the checkpoint of another SAE."""
        state = load_tensors(path, device=self.silent.device)
        try:
            weights = {name: state.pop(f"sae.{name}") for name in self.sae.state_dict()}
            self.sae.load_state_dict(weights)
            self.silent = state.pop("silent")
            self.step, self.tokens = (int(number) for number in state.pop("position"))
            self.scale = state.pop("scale").item()
            for name, weight in self.sae.named_parameters():
                kept = ("step", "exp_avg", "exp_avg_sq")
                self.adam.state[weight] = {key: state.pop(f"adam.{name}.{key}") for key in kept}
        except (KeyError, RuntimeError) as error:
            raise UserError(
                f"{path} is not a checkpoint of this SAE: {error}.\nDelete it to start afresh."
            ) from None


def saved_scale(path: Path) -> float:
    """The scale of the training that `save` wrote: the SAE that it is loaded into is built with it."""
    return load_tensors(path, device="cpu")["scale"].item()


def norm_scale(sample: Float[Tensor, "row d"]) -> float:
    """The factor that brings the mean length of the rows to sqrt(d).

    Raises UserError for rows that nothing can be learned from: not finite, or all the same.
    """
    if not sample.isfinite().all():
        raise UserError("the activations hold NaN or infinity.\nExtract them again: job=extract force=true")
    if not (sample - sample.mean(0)).any():
        raise UserError(
            f"all {len(sample):,} activations looked at are the same: there is nothing to learn here."
        )
    return sample.shape[1] ** 0.5 / sample.double().norm(dim=1).mean().item()


def geometric_median(rows: Float[Tensor, "row d"], *, iterations: int = 100) -> Float[Tensor, " d"]:
    """The point whose distances to the rows have the least sum, which a few huge rows do not drag along as a
    mean.

    m <- sum x / |x - m| / sum 1 / |x - m|  until it moves by less than 1e-6 of its distance to the rows.
    Source: Weiszfeld 1937.
    """
    wide = rows.double()
    median = wide.mean(0)
    for _ in range(iterations):
        distances = (wide - median).norm(dim=1).clamp(min=1e-12)
        before, median = median, (wide / distances[:, None]).sum(0) / (1 / distances).sum()
        if (median - before).norm() < 1e-6 * distances.mean():
            break
    return median.to(rows.dtype)


class Held(NamedTuple):
    """An SAE on rows that it did not learn from."""

    explained_variance: float
    l0: float
    fired: Tensor
    """Rows in which each latent fired."""
    rows: int


@torch.no_grad()
def held_out(sae: SAE, batches: Iterable[Float[Tensor, "_ d"]], *, scale: float = 1.0) -> Held:
    """Sums over all the batches, divided once. `scale` is the training's, or 1 for an SAE that was folded."""
    variance, entries = Variance(), 0
    fired = torch.zeros(sae.latents, dtype=torch.long, device=sae.b_enc.device)
    for raw in batches:
        x = raw.to(fired.device) * scale
        code = sae.encode_sparse(x)
        variance.add(x, sae.decode_sparse(code))
        fired += code.fired(sae.latents)
    entries = int(fired.sum())
    return Held(variance.explained, entries / variance.rows, fired, variance.rows)
