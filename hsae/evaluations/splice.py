"""Does the LM still work when it computes with the reconstruction in the activation's place?

CE recovered = (CE_zero - CE_spliced) / (CE_zero - CE_clean): 1 where nothing is lost, 0 where the
reconstruction is worth no more than zeros. Putting the mean in the activation's place is worth something too:
that is the chance level. Every token of a document is replaced; the prefix token, which no store holds, keeps
its activation.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import PositiveInt
from torch import Tensor

from hsae.config import Part
from hsae.errors import UserError
from hsae.evaluations.findings import Findings, Score
from hsae.evaluations.subject import Subject
from hsae.lm.batching import by_length
from hsae.stats import cluster_bootstrap, ratio


class Settings(Part):
    """How much text is read, and what is claimed."""

    tokens: PositiveInt
    """Held-out tokens at most; whole documents, in the store's order, but at least two."""
    margins: dict[str, float]
    """By how much the SAE's share of CE recovered must exceed that of each of these baselines."""


Edit = Callable[[Tensor], Tensor]


def evaluate(subject: Subject, settings: Settings) -> Findings:
    """ce [nats per token] and ce_recovered of all dictionaries, no edit (clean), zeros, the mean; claims."""
    if subject.site.startswith("resid_mid"):
        raise UserError(
            f"{subject.site} can be captured but not replaced: no module of the LM returns it.\n"
            "Judge its dictionaries without splicing: evaluations=[reconstruction,recovery]"
        )
    losses = _losses(subject, settings.tokens)
    nats = {name: columns[:, 0] for name, columns in losses.items()}
    shares = {
        name: np.stack([nats["zero"] - nats[name], nats["zero"] - nats["clean"]], axis=1)
        for name in (*subject.dictionaries, "mean")
    }
    verdicts = [
        subject.claim(
            f"keeps more of what the LM needs than {baseline} at the same L0",
            "CE recovered",
            subject.paired(shares, ratio, over=baseline),
            over=baseline,
            margin=margin,
            unit="documents",
        )
        for baseline, margin in settings.margins.items()
    ]
    return Findings(
        [*_scores(subject, "ce", losses), *_scores(subject, "ce_recovered", shares)], verdicts, {}
    )


def _scores(
    subject: Subject, metric: str, sums: dict[str, Float[np.ndarray, "document 2"]]
) -> Iterator[Score]:
    chance = float(ratio(sums["mean"].sum(0)))
    for name, columns in sums.items():
        yield Score.of(name, metric, cluster_bootstrap(columns, seed=subject.seed), "documents", chance)


@torch.no_grad()
def _losses(subject: Subject, most: int) -> dict[str, Float[np.ndarray, "document 2"]]:
    """Nats and predictions of each document under every edit."""
    windows = list(_windows(subject, most))
    prefix = len(subject.lm.reader.prefix)
    edits = _edits(subject)
    sums = {name: torch.zeros(1 + windows[-1][0], 2).double() for name in edits}
    lengths = [prefix + len(ids) for _, ids in windows]
    # few documents would fit into one rectangle, most of which would be padding
    for batch in by_length(lengths, tokens=min(subject.tokens, max(512, sum(lengths) // 8))):
        ids, mask = subject.lm.reader.pad([windows[at][1] for at in batch])
        document = torch.tensor([windows[at][0] for at in batch])
        edited = mask.clone()
        edited[:, :prefix] = False
        counts = edited[:, :-1] & mask[:, 1:]  # predictions that an edited token makes
        for name, edit in edits.items():
            with _replaced(subject, edit, edited):
                nll = subject.lm.loss(ids, mask).cpu().double()
            rows = torch.stack([nll.masked_fill(~counts, 0).sum(1), counts.sum(1)], dim=1)
            sums[name].index_add_(0, document, rows)
    return {name: table.numpy() for name, table in sums.items()}


def _windows(subject: Subject, most: int) -> Iterator[tuple[int, list[int]]]:
    """Held-out documents as (number, ids), cut where the model's context ends."""
    documents, lengths = subject.store.documents("test").unique_consecutive(return_counts=True)
    if len(documents) < 2:
        raise UserError(
            f"the test split has {len(documents)} documents, and an interval needs two.\n"
            "Extract more (corpus.tokens=...), or a corpus of more documents."
        )
    read = 0
    for number, ids in enumerate(subject.store.tokens("test").split(lengths.tolist())):
        read += len(ids)
        if read > most and number >= 2:
            return
        for window in ids.split(subject.lm.room):
            yield number, window.tolist()


def _edits(subject: Subject) -> dict[str, Edit | None]:
    """What each name puts in the place of activations [row d]."""
    mean = subject.mean.to(subject.device)
    through = {
        name: lambda x, one=one: one.decode(one.encode(x)) for name, one in subject.dictionaries.items()
    }
    return {"clean": None, "zero": torch.zeros_like, "mean": mean.expand_as, **through}


def _replaced(
    subject: Subject, edit: Edit | None, edited: Bool[Tensor, "batch token"]
) -> AbstractContextManager[None]:
    """Inside, the LM computes with `edit(activations)` wherever `edited` is true."""
    if edit is None:
        return nullcontext()
    where = edited.to(subject.device)

    def change(activation: Float[Tensor, "batch token d"]) -> Float[Tensor, "batch token d"]:
        out = activation.clone()
        out[where] = edit(activation[where].float()).to(activation.dtype)
        return out

    return subject.lm.edited(subject.site, change)
