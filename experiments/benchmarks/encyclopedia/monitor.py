"""Monitoring 50,000 concepts beside the bare product with their prototypes, and beside the model's pass."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from experiments.benchmarks.harvest.capture import settle
from experiments.benchmarks.harvest.worlds import World
from experiments.benchmarks.rounds import Contender, median, rates, ratio
from experiments.benchmarks.rows import Row, speed
from hsae.encyclopedia.queries import nulls
from hsae.encyclopedia.queries.largest import ROWS
from hsae.encyclopedia.queries.monitoring import Monitor
from hsae.encyclopedia.queries.nulls import Background
from hsae.encyclopedia.queries.prototypes import Prototypes
from hsae.seeding import stream

CONCEPTS, TOP, FDR = 50_000, 10, 0.05


def of_width(d: int, rounds: int, *, concepts: int = CONCEPTS, rows: int = 1000) -> Iterator[Row]:
    """Monitoring of random rows [row d] beside one product of the same blocks (0.7 at least)."""
    x = _random(rows, d, "rows")
    monitor = watch(x, concepts)
    found = rates(
        {"product": product(monitor, x), "monitor": monitored(monitor, x)}, rounds=rounds, settle=settle
    )
    yield _beside_product(f"d={d}", concepts, found["monitor"], found["product"])


def measure(world: World, rounds: int, *, concepts: int = CONCEPTS, device: str = "cpu") -> Iterator[Row]:
    """The activations of a model: beside the product, and the share that monitoring adds to the pass."""
    batches = world.batches(world.rows)
    capture = lambda: [
        world.lm.capture(batch.ids, batch.mask, [world.middle], keep=batch.keep)[world.middle]
        for batch in batches
    ]
    x = torch.cat(capture()).float().to(device)
    monitor = watch(x, concepts)

    @torch.no_grad()
    def forward() -> int:
        for batch in batches:
            world.lm.model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False)
        return len(x)

    found = rates(
        {"pass": forward, "product": product(monitor, x), "monitor": monitored(monitor, x)},
        rounds=rounds,
        settle=settle,
    )
    yield _beside_product(world.name, concepts, found["monitor"], found["product"])
    said = [f"{name}: {1e6 / median(found[name]):.3g} us/token" for name in ("monitor", "pass")]
    yield Row("monitor", world.name, said[0], said[1], ratio(found["pass"], found["monitor"]))


def watch(x: Tensor, concepts: int) -> Monitor:
    """A monitor of random prototypes at the rows' width and place, with nulls from some of the rows."""
    d, few = x.shape[1], x[:256]
    spread = few.double().T.cov().cpu()
    made = Prototypes.of(
        _random(concepts, d, "means"), spread, ids=[str(number) for number in range(concepts)], shrinkage=0.1
    ).to(x.device)
    return Monitor(made, nulls.fit(made, lambda: [Background(few, torch.full((len(few),), -1))]))


def product(monitor: Monitor, x: Tensor) -> Contender:
    """Rows times prototypes in blocks, and nothing else."""
    matrix = monitor.prototypes.weights
    features = monitor.prototypes.features(x).to(matrix)

    def run() -> int:
        for some in features.split(ROWS):
            functional.linear(some, matrix)
        return len(x)

    return run


def monitored(monitor: Monitor, x: Tensor) -> Contender:
    """The whole of it: centred, whitened, scored, standardised, the largest found, p, false discoveries."""

    def run() -> int:
        monitor.active(x, fdr=FDR, top=TOP)
        return len(x)

    return run


def _beside_product(model: str, concepts: int, ours: Sequence[float], theirs: Sequence[float]) -> Row:
    return speed("monitor", model, (f"top {TOP} of {concepts:,}", ours), ("bare product", theirs), 0.7)


def _random(rows: int, d: int, purpose: str) -> Tensor:
    return torch.randn(rows, d, generator=stream(0, f"{purpose} of the monitoring benchmark"))
