"""Bytes of an encyclopedia by component, of its compact form, and what the compact form's rounding costs."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import torch

from experiments.benchmarks.encyclopedia.subject import Subject, read_templates
from experiments.benchmarks.rounds import Ratio
from experiments.benchmarks.rows import Row
from hsae.concepts import Taxonomy
from hsae.encyclopedia.encyclopedia import Encyclopedia
from hsae.encyclopedia.queries.prototypes import Dtype, Prototypes
from hsae.seeding import stream

LIMITS: dict[Dtype, float] = {"float16": 1.35, "int8": 1.35 / 2}
"""Kilobytes of a concept and site at d = 640."""


def measure(subject: Subject, taxonomy: Taxonomy, *, scratch: Path, most: int = 50_000) -> Iterator[Row]:
    """The whole form of a stage with its contexts, the compact form of many concepts, and its accuracy."""
    with TemporaryDirectory(dir=scratch) as folder:
        book = read_templates(subject, taxonomy, Path(folder))
        yield from by_component(subject.name, book)
        yield from accuracy(subject.name, book)
    yield from compact(most, scratch=scratch)


def by_component(model: str, book: Encyclopedia) -> Iterator[Row]:
    """Bytes of each concept and site: what is kept by site, and a site's part of what is kept once."""
    found = components(book)
    total, each = sum(found.values()), len(book.taxonomy) * len(book.sites)
    for name, size in found.most_common():
        said = f"{name}: {size / each:,.0f} bytes a concept and site"
        yield Row(
            "bytes",
            f"{model}, d={book.d(book.sites[0])}",
            said,
            f"all: {total / each:,.0f}",
            _one(size / total),
        )


def components(book: Encyclopedia) -> Counter[str]:
    """Bytes on the disk by what they hold. What HDF5 itself takes is `format`."""
    found: Counter[str] = Counter()
    for path in book.shards:
        before = sum(found.values())
        with h5py.File(path) as file:
            file.visititems(partial(_count, found))
        found["format"] += path.stat().st_size - (sum(found.values()) - before)
    beside = (path for path in book.folder.iterdir() if path.is_file() and path not in book.shards)
    found["taxonomy, index, journal"] = sum(path.stat().st_size for path in beside)
    return found


def _count(found: Counter[str], name: str, node: h5py.Group | h5py.Dataset) -> None:
    if isinstance(node, h5py.Dataset):
        found[_kind(name.split("/"))] += node.id.get_storage_size()


def _kind(parts: list[str]) -> str:
    """What a dataset holds, by its path; see `hsae.encyclopedia.block`."""
    if parts[0] == "contexts":
        return {"text": "texts", "names": "names"}.get(parts[1], "contexts")
    if parts[0] != "sites":
        return "counts"
    whole = parts[3] in ("scatter", "effects", "sample")  # else of a role: its means or their m2
    return parts[3] if whole else parts[4]


def compact(concepts: int, *, scratch: Path, d: int = 640) -> Iterator[Row]:
    """One prototype of each concept at one site, as it lies on the disk with its ids and its whitener."""
    mean = torch.randn(concepts, d, generator=stream(0, "means of the compact form"))
    spread = torch.randn(4 * d, d, generator=stream(0, "spread of the compact form"))
    ids = [f"wn30:concept_{number}.n.01" for number in range(concepts)]
    for dtype, limit in LIMITS.items():
        with TemporaryDirectory(dir=scratch) as folder:
            made = Prototypes.of(mean, spread.T.cov(), ids=ids, shrinkage=0.1, dtype=dtype)
            made.save(Path(folder))
            size = sum(path.stat().st_size for path in Path(folder).iterdir()) / concepts / 1000
        said = f"{dtype}: {size:.3f} KB a concept, {concepts:,} of them"
        yield Row("bytes", f"compact, d={d}", said, "1 KB", _one(size), limit, most=True)


def accuracy(model: str, book: Encyclopedia) -> Iterator[Row]:
    """Contexts of the role test of which the nearest prototype is their own concept's, at the last site."""
    site = book.sites[-1]
    rows = book.rows(site, role="test")
    x, concept = torch.from_numpy(rows.x), torch.from_numpy(rows.concept)
    ids = [concept.id for concept in book.taxonomy]
    right = {}
    for dtype in ("float32", "float16", "int8"):
        made = Prototypes.of(book.mean(site), book.covariance(site), ids=ids, shrinkage=0.1, dtype=dtype)
        row_of = torch.tensor([book.taxonomy.index[id] for id in made.ids])
        guesses = torch.cat([made.score(some).argmax(1) for some in x.split(1024)])
        right[dtype] = (row_of[guesses] == concept).double().mean().item()
    beside = f"float32: {right['float32']:.4f}"
    for dtype in LIMITS:
        said = f"{dtype}: {right[dtype]:.4f} of {len(x):,} contexts found among {len(ids):,} concepts"
        yield Row("bytes", f"{model}, accuracy", said, beside, _one(right[dtype] / right["float32"]))


def _one(value: float) -> Ratio:
    return Ratio(value, value, value, 1)
