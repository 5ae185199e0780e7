"""What the LM asks of the machine, told before anything runs, from the model's config.json alone."""

from collections.abc import Sequence

from hsae.config import Config

CONTEXT = 20
"""Tokens of a text that a concept stands in, about."""


def number_bytes(config: Config) -> int:
    """Bytes of a weight or an activation in the LM; `auto` is taken for bfloat16 on a GPU alone."""
    hardware = config.hardware
    halved = hardware.dtype in ("float16", "bfloat16")
    return 2 if halved or (hardware.dtype == "auto" and hardware.device.startswith("cuda")) else 4


def passes(config: Config, tokens: int, *, sites: Sequence[str] | None = None) -> dict[str, int]:
    """`lm_flops` of reading so many tokens up to the highest of the sites (of those that are chosen, if none
    are named), and `memory` of the weights with one batch under way. Nothing where the model's files are not
    here.

    FLOPs are twice the weights of all matrices that a token passes; scores of attention are not counted.
    """
    facts = config.model.facts()
    if facts is None:
        return {}
    sites = config.layers.resolve(facts.layers) if sites is None else sites
    mlp = (2 + facts.gated) * (facts.mlp or 4 * facts.d)
    kept = sum(facts.width(site) or facts.d for site in sites)
    scores = 2 * (facts.vocabulary or 0) if "logits" in sites else 0  # once more in float32
    a_token = kept + scores + 8 * facts.d + mlp  # 8: what a block holds of the stream, queries, keys, values
    weights = facts.parameters + config.hardware.batch_tokens * a_token
    return {
        "lm_flops": 2 * max(facts.passed(site) for site in sites) * tokens,
        "memory": number_bytes(config) * weights,
    }


def both(first: dict[str, int], then: dict[str, int]) -> dict[str, int]:
    """What two readings take, one after the other."""
    if not (first and then):
        return first or then
    return {
        "lm_flops": first["lm_flops"] + then["lm_flops"],
        "memory": max(first["memory"], then["memory"]),
    }
