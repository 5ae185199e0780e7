"""How fast this machine reads with a language model, found out by reading."""

import time
from collections.abc import Sequence

import torch

from hsae.lm.model import LM
from hsae.model_facts import ModelFacts

FEW = 1024
"""Tokens of the first pass: on a slow machine one large pass could take longer than all of the time given."""


def flops_per_second(
    lm: LM, sites: Sequence[str], *, context: int, batch_tokens: int, seconds: float
) -> float:
    """FLOPs per second in the matrices that tokens pass on their way to the sites, in real forward passes.

    Passes grow up to `batch_tokens` as long as one takes less than an eighth of `seconds`; those of the
    largest size count.
    """
    facts = ModelFacts.of(lm.model.config.get_text_config().to_dict())
    assert facts is not None, "an LM has layers and a width"
    a_token = 2 * max(facts.passed(site) for site in sites)
    context = max(1, min(context, lm.room))
    rows, most = max(1, min(FEW, batch_tokens) // context), max(1, batch_tokens // context)
    left, rates = seconds, list[float]()
    took = _pass(lm, sites, rows, context)  # the first one fills caches
    while left > 0:
        if took < seconds / 8 and rows < most:
            rows, rates = min(2 * rows, most), []
        took = _pass(lm, sites, rows, context)
        left -= took
        rates.append(rows * context * a_token / took)
    return sorted(rates)[len(rates) // 2]


def _pass(lm: LM, sites: Sequence[str], rows: int, context: int) -> float:
    """Seconds of one pass over random tokens."""
    ids = torch.randint(lm.vocabulary, (rows, context))
    mask = torch.ones_like(ids, dtype=torch.bool)
    start = time.perf_counter()
    lm.capture(ids, mask, sites, keep=mask)
    if lm.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
