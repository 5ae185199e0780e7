"""What an evaluation is given: dictionaries of one site side by side, and what they are judged on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor, nn

from hsae.activations.store import Store
from hsae.concepts import Taxonomy
from hsae.contexts import Context
from hsae.dictionary import Dictionary
from hsae.lm import LM
from hsae.stats import Csr, Interval, Verdict, cluster_bootstrap, judge


@final
@dataclass(frozen=True, kw_only=True)
class Subject:
    """Dictionaries of one site, and what they are judged on.

    `studied` names the dictionary that claims are about; `nulls` those of which no claim should hold. `mean`
    is that of the training rows. `level` is that of the verdicts' intervals, corrected for the number of
    claims; scores keep 95 %.
    """

    dictionaries: Mapping[str, Dictionary]
    studied: str
    nulls: tuple[str, ...]
    store: Store
    site: str
    mean: Float[Tensor, " d"]
    lm: LM
    taxonomy: Taxonomy
    contexts: Sequence[Context]
    seed: int
    level: float = 0.95
    tokens: int = 4096
    """Tokens that go through the LM at once."""
    rows: int = 1024
    """Activations that are encoded at once: of 2048 latents, 8192 rows took twice as long on a CPU."""

    @property
    def device(self) -> torch.device:
        """Where the LM and the dictionaries lie."""
        return self.lm.device

    def claim(
        self,
        claim: str,
        statistic: str,
        advantage: Callable[[str], Interval],
        *,
        over: str,
        margin: float,
        unit: str,
    ) -> Verdict:
        """The verdict on "the advantage of the studied dictionary over `over` is more than `margin`".

        `advantage` gives that of any dictionary, paired over its units. The null's is that of the first of
        `nulls` which is not `over`: a dictionary has no advantage over itself, and would prove nothing.
        """
        null = next((name for name in self.nulls if name != over), None)
        return judge(
            f"{self.studied} {claim}",
            f"{statistic}, {self.studied} - {over}",
            advantage(self.studied),
            threshold=margin,
            null=None if null is None else advantage(null),
            unit=unit,
        )

    def paired(
        self,
        sums: Mapping[str, Float[np.ndarray, "cluster column"]],
        of_totals: Callable[[Any], Any],
        *,
        over: str,
    ) -> Callable[[str], Interval]:
        """Dictionary -> its advantage over `over` in what `of_totals` makes of sums over clusters."""

        def advantage(name: str) -> Interval:
            columns = sums[name].shape[1]
            return cluster_bootstrap(
                np.concatenate([sums[name], sums[over]], axis=1),
                lambda totals: of_totals(totals[..., :columns]) - of_totals(totals[..., columns:]),
                seed=self.seed,
                level=self.level,
            )

        return advantage


def parameters(dictionary: Dictionary) -> int:
    """Numbers that encoding and decoding read: learned in an SAE, fitted or drawn in a baseline."""
    assert isinstance(dictionary, nn.Module)
    return sum(weight.numel() for weight in dictionary.parameters())


def flops(dictionary: Dictionary, l0: float) -> float:
    """Multiplications and additions per token, as the dictionary itself counts them.

    One that does not say has a dense encoder, 2 d latents, and a sparse decoder, 2 d L0.
    """
    own = getattr(dictionary, "flops_per_token", None)
    return float(own()) if own else 2 * dictionary.d * (dictionary.latents + l0)


@torch.no_grad()
def encode(dictionary: Dictionary, x: Float[Tensor, "row d"], *, batch: int) -> Csr:
    """Codes of all rows [row latent] by their entries: at k of thousands, zeros are not worth keeping."""
    parts = []
    for rows in x.split(batch):
        code = dictionary.encode(rows)
        row, latent = code.nonzero(as_tuple=True)
        values = code[row, latent].cpu().numpy()
        parts.append(
            sparse.csr_matrix((values, (row.cpu().numpy(), latent.cpu().numpy())), shape=tuple(code.shape))
        )
    return sparse.vstack(parts, format="csr")
