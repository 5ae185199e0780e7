"""What capturing costs beside the bare forward pass, and many sites beside one."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

import torch

from experiments.benchmarks.harvest.worlds import Batch, World
from experiments.benchmarks.rounds import Contender, Ratio, median, rates, ratio
from experiments.benchmarks.rows import Row, speed
from hsae.lm import LM
from hsae.lm.families import FAMILIES


class _Enough(Exception):
    """The last layer that is wanted has run."""


def settle() -> None:
    """Wait for the GPU."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def bare(world: World, layer: int) -> Contender:
    """The pass through the model up to and with a layer, in which nothing is looked at."""
    return lambda: passes(world.lm, world.batches(world.rows), layer)


@torch.no_grad()
def passes(lm: LM, batches: Sequence[Batch], layer: int) -> int:
    """All batches up to and with a layer; says how many rows they are."""
    base = lm.network.base

    def stop(*_: object) -> None:
        raise _Enough

    handle = base.get_submodule(f"{FAMILIES[lm.family].blocks}.{layer}").register_forward_hook(stop)
    try:
        for batch in batches:
            with suppress(_Enough):
                base(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False)
    finally:
        handle.remove()
    return sum(batch.rows for batch in batches)


def captured(world: World, sites: Sequence[str]) -> Contender:
    """The same passes with the kept rows of all sites handed over."""

    def run() -> int:
        done = 0
        for batch in world.batches(world.rows):
            found = world.lm.capture(batch.ids, batch.mask, sites, keep=batch.keep)
            done += len(found[sites[-1]])
        return done

    return run


def measure(world: World, rounds: int) -> Iterator[Row]:
    """All layers captured beside the bare pass (0.95 at least), every place of the model too; twelve sites
    beside one (1.3 times the time at most)."""
    last = world.lm.layers - 1
    layers = [f"resid_post.{layer}" for layer in range(last + 1)]
    inside = [site for site in world.lm.site_names() if "." in site]
    twelve = world.several(12)
    found = rates(
        {
            "bare": bare(world, last),
            "layers": captured(world, layers),
            "inside": captured(world, inside),
            "twelve": captured(world, twelve),
            "one": captured(world, twelve[-1:]),
        },
        rounds=rounds,
        settle=settle,
    )
    nothing = (f"bare pass through {last + 1} layers", found["bare"])
    yield speed("capture", world.name, (f"all {len(layers)} layers", found["layers"]), nothing, 0.95)
    yield speed("capture", world.name, (f"all {len(inside)} places in them", found["inside"]), nothing)
    yield _cost(world, found["twelve"], found["one"])


def _cost(world: World, twelve: Sequence[float], one: Sequence[float]) -> Row:
    """Time of twelve sites over time of one."""
    found: Ratio = ratio(one, twelve)  # of the speeds the other way round
    said = [
        f"{name}: {1e6 / median(speeds):.3g} us/token"
        for name, speeds in (("12 sites", twelve), ("1 site", one))
    ]
    return Row("capture", world.name, said[0], said[1], found, 1.3, most=True)
