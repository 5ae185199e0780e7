"""Numbers about tensors. No model, no disk, no config.

Anything that is a ratio is accumulated as float64 sums over the whole split and divided once: the mean of the
ratios of batches is another number, and depends on the batch size.
"""

from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@final
class Variance:
    """Streams activations and their reconstructions into one explained variance.

    EV = 1 - sum |x - x_hat|^2 / sum |x - mean(x)|^2,  both sums over all rows seen, the mean being theirs.
    1 is perfect, 0 is predicting the mean; a constant offset of x_hat counts as error.
    """

    def __init__(self):
        self.rows = 0
        self.error = 0.0
        self._origin: Tensor | None = None
        self._sum: Tensor | None = None
        self._squares = 0.0

    def add(self, x: Float[Tensor, "batch d"], x_hat: Float[Tensor, "batch d"]) -> "Variance":
        """Another batch."""
        wide = x.detach().double()
        if self._origin is None or self._sum is None:
            # squares about a point near the mean: about 0, a large mean would swallow a small variance
            self._origin = wide.mean(0)
            self._sum = torch.zeros_like(self._origin)
        self.error += (wide - x_hat.detach().double()).square().sum().item()
        centred = wide - self._origin
        self._sum += centred.sum(0)
        self._squares += centred.square().sum().item()
        self.rows += len(x)
        return self

    @property
    def total(self) -> float:
        """sum |x - mean(x)|^2 over all rows seen."""
        if self._sum is None:
            raise ValueError("no variance without rows")
        return self._squares - self._sum.square().sum().item() / self.rows

    @property
    def explained(self) -> float:
        """1 - error / total; raises `ValueError` where x never varies, since nothing is there to explain."""
        if not (total := self.total) > 0:
            raise ValueError(f"{self.rows} rows without variance: nothing to explain")
        return 1 - self.error / total


def explained_variance(x: Float[Tensor, "batch d"], x_hat: Float[Tensor, "batch d"]) -> float:
    """1 - sum |x - x_hat|^2 / sum |x - mean(x)|^2: 1 is perfect, 0 is predicting the mean."""
    return Variance().add(x, x_hat).explained


def fvu(x: Float[Tensor, "batch d"], x_hat: Float[Tensor, "batch d"]) -> float:
    """Fraction of variance unexplained, 1 - EV."""
    return 1 - explained_variance(x, x_hat)


def l0(code: Float[Tensor, "batch latent"]) -> float:
    """Latents that are not zero, on average per row: a count, not a fraction."""
    return code.count_nonzero().item() / len(code)


def density(code: Float[Tensor, "batch latent"]) -> Float[Tensor, " latent"]:
    """Share of the rows in which each latent is not zero."""
    return (code != 0).double().mean(0)


@final
class Dead(NamedTuple):
    """Latents that never fired in `tokens` tokens.

    A latent that never fired in n tokens may still fire at a rate of up to `bound` = 3 / n (95 %, the rule of
    three: (1 - 3/n)^n = e^-3). Source: Hanley & Lippman-Hand 1983.
    """

    latents: Bool[Tensor, " latent"]
    tokens: int

    @property
    def count(self) -> int:
        """How many."""
        return int(self.latents.sum())

    @property
    def share(self) -> float:
        """How many of all."""
        return self.count / len(self.latents)

    @property
    def bound(self) -> float:
        """The firing rate that silence over so many tokens still allows."""
        return 3 / self.tokens


def dead(fired: Int[Tensor, " latent"], *, tokens: int) -> Dead:
    """From the number of tokens in which each latent fired, out of `tokens`."""
    if tokens < 1:
        raise ValueError("no latent can be called dead before a token was seen")
    return Dead(fired == 0, tokens)


def cosine(x: Float[Tensor, "batch d"], y: Float[Tensor, "batch d"]) -> Float[Tensor, " batch"]:
    """x . y / (|x| |y|) per row; 0 where either is the zero vector."""
    norms = x.norm(dim=-1) * y.norm(dim=-1)
    return (x * y).sum(-1) / norms.clamp(min=torch.finfo(x.dtype).tiny)


def norm_ratio(x: Float[Tensor, "batch d"], x_hat: Float[Tensor, "batch d"]) -> float:
    """sum |x_hat| / sum |x|: below 1 a reconstruction shrinks, whatever its direction."""
    return (x_hat.double().norm(dim=-1).sum() / x.double().norm(dim=-1).sum()).item()
