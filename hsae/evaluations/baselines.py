"""Dictionaries that nobody trained: what an SAE has to beat, at the same L0 and on the same rows."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hsae.fit import geometric_median, norm_scale
from hsae.sae import SAE
from hsae.seeding import stream


def _keep_largest(x: Float[Tensor, "batch latent"], k: int) -> Float[Tensor, "batch latent"]:
    """The k entries of largest magnitude in every row, zeros elsewhere."""
    chosen = x.abs().topk(min(k, x.shape[1]), dim=-1).indices
    return torch.zeros_like(x).scatter(1, chosen, x.gather(1, chosen))


@final
class PCA(nn.Module):
    """x_hat = mean + the k components of x - mean that are largest in magnitude, chosen per row.

    A component u is two latents, u and -u, so that codes are not negative, as an SAE's are: L0 is k all the
    same, and a concept may lie at either end.
    """

    def __init__(self, rows: Float[Tensor, "batch d"], *, k: int):
        super().__init__()
        wide = rows.cpu().double()  # Apple's GPUs have no float64
        mean = wide.mean(0)
        covariance = (wide - mean).T @ (wide - mean) / len(wide)
        basis = torch.linalg.eigh(covariance).eigenvectors.flip(1).T
        self.mean = nn.Parameter(mean.to(rows), requires_grad=False)
        self.basis = nn.Parameter(basis.to(rows).contiguous(), requires_grad=False)
        self.k = k

    @property
    def d(self) -> int:
        return self.basis.shape[1]

    @property
    def latents(self) -> int:
        return 2 * len(self.basis)

    @property
    def vectors(self) -> Float[Tensor, "latent d"]:
        return torch.cat([self.basis, -self.basis])

    def encode(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch latent"]:
        kept = _keep_largest((x - self.mean) @ self.basis.T, self.k)
        return torch.cat([kept.relu(), (-kept).relu()], dim=1)

    def decode(self, code: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch d"]:
        ahead, behind = code.chunk(2, dim=1)
        return (ahead - behind) @ self.basis + self.mean


@final
class RandomDictionary(nn.Module):
    """code = the k largest of relu((x - mean) V^T), x_hat = mean + gain code V; rows of V are random units.

    Mean and gain are fitted to `rows`: random directions overlap, so without the gain the sum overshoots, and
    the baseline would lose for a reason that has nothing to do with its directions.
    """

    def __init__(self, rows: Float[Tensor, "batch d"], *, latents: int, k: int, seed: int):
        super().__init__()
        drawn = torch.randn(latents, rows.shape[1], generator=stream(seed, "random dictionary"))
        self.directions = nn.Parameter(nn.functional.normalize(drawn, dim=1).to(rows), requires_grad=False)
        self.mean = nn.Parameter(rows.mean(0), requires_grad=False)
        self.gain = nn.Parameter(torch.ones((), device=rows.device), requires_grad=False)
        self.k = k
        away = rows - self.mean
        sketch = self.decode(self.encode(rows)) - self.mean
        self.gain.copy_((away * sketch).sum() / sketch.square().sum())

    @property
    def d(self) -> int:
        return self.directions.shape[1]

    @property
    def latents(self) -> int:
        return len(self.directions)

    @property
    def vectors(self) -> Float[Tensor, "latent d"]:
        return self.directions

    def encode(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch latent"]:
        return _keep_largest(((x - self.mean) @ self.directions.T).relu(), self.k)

    def decode(self, code: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch d"]:
        return self.mean + self.gain * (code @ self.directions)


def untrained(blank: SAE, rows: Float[Tensor, "batch d"]) -> SAE:
    """An SAE as it is before its first step, brought to the scale and centre of `rows` as training does."""
    scale = norm_scale(rows)
    blank.centre(geometric_median(rows * scale))
    blank.fold(scale)
    return blank.eval().requires_grad_(requires_grad=False)
