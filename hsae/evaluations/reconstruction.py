"""How much of an activation does a dictionary keep, at what L0? On documents that nothing was fitted on.

EV = 1 - sum |x - x_hat|^2 / sum |x - mean|^2, pooled over the test split; intervals resample whole documents.
"""

from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hsae.config import Part
from hsae.dictionary import Dictionary
from hsae.evaluations.findings import Findings, Score
from hsae.evaluations.subject import Subject, flops, parameters
from hsae.metrics import cosine, dead
from hsae.stats import Interval, cluster_bootstrap, ratio, wilson


class Settings(Part):
    """What is claimed of the reconstructions."""

    margins: dict[str, float]
    """By how much the SAE's explained variance must exceed that of each of these baselines."""


def evaluate(subject: Subject, settings: Settings) -> Findings:
    """explained_variance, l0, dead, cosine, norm_ratio, parameters, flops of every dictionary; the claims."""
    measured = _measure(subject)
    scores = [score for name in measured for score in _scores(subject, name, measured[name])]
    fits = {name: found.fit for name, found in measured.items()}
    verdicts = [
        subject.claim(
            f"explains more variance than {baseline} at the same L0",
            "explained variance",
            subject.paired(fits, explained, over=baseline),
            over=baseline,
            margin=margin,
            unit="documents",
        )
        for baseline, margin in settings.margins.items()
    ]
    studied = measured[subject.studied]
    shares = (studied.fired / studied.active[:, 1].sum()).tolist()
    return Findings(
        scores, verdicts, {"latents": [{"latent": v, "fired": share} for v, share in enumerate(shares)]}
    )


def explained(totals: Float[np.ndarray, "*draw 2"]) -> Float[np.ndarray, "*draw"] | np.float64:
    """1 - error / total."""
    return 1 - totals[..., 0] / totals[..., 1]


@final
class _Measured(NamedTuple):
    """Sums per document, and the rows in which each latent fired."""

    fit: Float[np.ndarray, "document 2"]  # |x - x_hat|^2, |x - mean|^2
    active: Float[np.ndarray, "document 2"]  # latents, rows
    cosine: Float[np.ndarray, "document 2"]  # cos(x, x_hat), rows
    norms: Float[np.ndarray, "document 2"]  # |x_hat|, |x|
    fired: Int[np.ndarray, " latent"]


@torch.no_grad()
def _measure(subject: Subject) -> dict[str, _Measured]:
    """One pass over the test split, all dictionaries side by side."""
    document = subject.store.documents("test").unique(return_inverse=True)[1]
    count = int(document.max()) + 1
    seen = _Moments(count, subject.store.d(subject.site))
    sums = {name: torch.zeros(count, 4).double() for name in subject.dictionaries}
    fired = {name: torch.zeros(one.latents).long() for name, one in subject.dictionaries.items()}
    for start in range(0, len(document), subject.rows):
        rows = slice(start, start + subject.rows)
        x = subject.store.rows(subject.site, "test", rows.start, rows.stop)
        seen.add(x, document[rows])
        for name, dictionary in subject.dictionaries.items():
            columns, fires = _columns(dictionary, x.to(subject.device))
            sums[name].index_add_(0, document[rows], columns.cpu().double())
            fired[name] += fires.cpu()
    total, norm, n = seen.total(), seen.norm, seen.rows
    pair = lambda above, below: torch.stack([above, below], dim=1).numpy()
    return {
        name: _Measured(
            pair(error, total), pair(active, n), pair(cosines, n), pair(norm_hat, norm), fired[name].numpy()
        )
        for name, (error, active, cosines, norm_hat) in (
            (name, table.unbind(1)) for name, table in sums.items()
        )
    }


@final
class _Moments:
    """Sums per document from which the squares about the mean of all of them follow in one pass."""

    def __init__(self, documents: int, d: int):
        self.rows, self.norm, self._squares = (torch.zeros(documents).double() for _ in range(3))
        self._sum = torch.zeros(documents, d).double()
        self._origin: Tensor | None = None

    def add(self, x: Float[Tensor, "batch d"], document: Int[Tensor, " batch"]) -> None:
        wide = x.cpu().double()
        if self._origin is None:
            # near the mean, so that squares about it do not drown the variance
            self._origin = wide.mean(0)
        away = wide - self._origin
        self.rows.index_add_(0, document, torch.ones(len(wide)).double())
        self.norm.index_add_(0, document, wide.norm(dim=1))
        self._squares.index_add_(0, document, away.square().sum(1))
        self._sum.index_add_(0, document, away)

    def total(self) -> Float[Tensor, " document"]:
        """sum |x - mean|^2 of each document's rows, about the mean of all rows."""
        mean = self._sum.sum(0) / self.rows.sum()
        return self._squares - 2 * self._sum @ mean + self.rows * mean.square().sum()


def _columns(
    dictionary: Dictionary, x: Float[Tensor, "batch d"]
) -> tuple[Float[Tensor, "batch 4"], Int[Tensor, " latent"]]:
    """Error, active latents, cosine, norm of the reconstruction per row; rows in which each latent fired."""
    code = dictionary.encode(x)
    x_hat = dictionary.decode(code)
    error = (x - x_hat).square().sum(1)
    return torch.stack(
        [error, code.count_nonzero(1), cosine(x, x_hat), x_hat.norm(dim=1)], dim=1
    ), code.count_nonzero(0)


def _scores(subject: Subject, name: str, measured: _Measured) -> list[Score]:
    def over_documents(
        metric: str, sums: Float[np.ndarray, "document 2"], statistic=ratio, chance=None
    ) -> Score:
        return Score.of(
            name, metric, cluster_bootstrap(sums, statistic, seed=subject.seed), "documents", chance
        )

    silent = dead(torch.from_numpy(measured.fired), tokens=int(measured.active[:, 1].sum()))
    l0 = over_documents("l0", measured.active)
    dictionary = subject.dictionaries[name]
    exact = {
        "dead_bound": silent.bound,
        "parameters": parameters(dictionary),
        "flops_per_token": flops(dictionary, l0.value),
    }
    return [
        # predicting the mean, which needs no dictionary, explains 0
        over_documents("explained_variance", measured.fit, explained, chance=0.0),
        l0,
        over_documents("cosine", measured.cosine),
        over_documents("norm_ratio", measured.norms),
        Score.of(name, "dead", _rate(silent.count, dictionary.latents), "latents"),
        *(
            Score.of(name, metric, Interval(value, value, value, silent.tokens), "tokens")
            for metric, value in exact.items()
        ),
    ]


def _rate(successes: int, n: int) -> Interval:
    return Interval(successes / n, *wilson(successes, n), n)
