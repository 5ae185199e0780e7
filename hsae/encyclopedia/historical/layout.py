"""The HDF5 files that HatCat wrote, in their three layouts.

    attributes       n_concepts, activation_dim, model, stage, samples_per_concept, timestamp
    concepts         names, UTF-8 [concept]
    layer_<index>/   one group for each index into the hidden states, mostly negative
      vectors        activations float16 [concept d], variance float16 [concept] (stage 0; stage 1 of the
                     class, which puts a mean of templates in the row's place)
      samples        activations float16 [concept * sample, d], labels int32 (stage 1 of the script); with
                     polarity int8, rows of what the concept is not stand among them (stage 1.5)
      sequences      concept_<i>/positive_sequences float16 [sequence step d], zero behind its own length in
                     positive_lengths int32, and the same of negative_ (stage 1.5, temporal)

All pool over the whole text with BOS. The files say neither texts nor templates nor seeds nor the model's
revision; what they say of themselves is often not so, and is compared here with what they hold.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, final

import h5py
import numpy as np
from jaxtyping import Bool, Float32, Int, Int64

from hsae.errors import UserError

Layout = Literal["vectors", "samples", "sequences"]

GROUP = re.compile(r"layer_(-?\d+)")
PLACEHOLDER = re.compile(r"concept_\d{6}")
"""Names that filled a list up to the wanted length where words ran out."""


@final
class Rows(NamedTuple):
    """Rows of some concepts at every layer, concept after concept, and why others were left out."""

    x: dict[int, Float32[np.ndarray, "row d"]]
    concept: Int64[np.ndarray, " row"]
    """From 0 for the first of these concepts."""
    place: Int64[np.ndarray, " row"]
    """From 0 for the first row of its concept in the file."""
    left_out: Counter[str]


@final
class HistoricalFile:
    """Reads such a file. `faults` says, in words, what is wrong with it as a whole, with counts.

    Raises `UserError` for a file that is none of HatCat's, or whose layers cannot be told apart by concept.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        with self._open() as file:
            groups = {int(m[1]): group for name, group in file.items() if (m := GROUP.fullmatch(name))}
            if "concepts" not in file or not groups:
                raise UserError(
                    f"{path} is no encyclopedia of HatCat: it has to hold concepts and layer_<index>, and "
                    f"holds {', '.join(file) or 'nothing'}.\nName a file that stage_0_bootstrap.py or a "
                    "later stage wrote."
                )
            self.names = tuple(_text(name) for name in file["concepts"][()])
            self.layers = sorted(groups)
            self.said = {name: _plain(value) for name, value in file.attrs.items()}
            self.layout: Layout = self._layout(groups)
            self.polarised = any("polarity" in group for group in groups.values())
            self.d = self._width(groups)
            self.order, self.left_out = self._order(groups)
            self.faults = [*_named_twice(self.names), *self._metadata(groups)]

    @property
    def model(self) -> str:
        """What the file calls its model."""
        return str(self.said.get("model", "not said"))

    @property
    def stage(self) -> int:
        """The number of the stage, as the file has it."""
        return int(self.said.get("stage", 0))

    def rows(self, start: int, stop: int) -> Rows:
        """The rows of concepts `start` to `stop - 1` that are good at every layer: finite, and not all
        zero."""
        with self._open() as file:
            groups = {layer: file[f"layer_{layer}"] for layer in self.layers}
            if self.layout == "sequences":
                x, concept, left_out = self._means(groups, start, stop)
            else:
                mine = (self.order[1] >= start) & (self.order[1] < stop)
                row, concept, left_out = self.order[0][mine], self.order[1][mine] - start, Counter()
                x = {layer: _read(group["activations"], row) for layer, group in groups.items()}
        first = np.searchsorted(concept, concept)
        place = np.arange(len(concept)) - first
        good = _good(x, left_out)
        return Rows({layer: rows[good] for layer, rows in x.items()}, concept[good], place[good], left_out)

    def _open(self) -> Any:
        try:
            return h5py.File(self.path, "r")
        except OSError as problem:
            raise UserError(
                f"{self.path} cannot be read as HDF5: {problem}\nName a file that HatCat wrote."
            ) from None

    def _layout(self, groups: dict[int, Any]) -> Layout:
        found: set[Layout | None] = {_layout(group) for group in groups.values()}
        only = next(iter(found))
        if len(found) > 1 or only is None:
            said = {f"layer_{layer}": ", ".join(list(group)[:4]) for layer, group in groups.items()}
            raise UserError(
                f"{self.path}: its layers are not all of one of the three layouts: {said}.\n"
                "Name a file that HatCat wrote, or split it by layers."
            )
        return only

    def _width(self, groups: dict[int, Any]) -> int:
        widths = {data.shape[-1] for group in groups.values() for data in _activations(group)}
        if len(widths) != 1:
            raise UserError(f"{self.path}: its rows are of {sorted(widths)} units, and one width is needed.")
        return widths.pop()

    def _order(
        self, groups: dict[int, Any]
    ) -> tuple[tuple[Int64[np.ndarray, " row"], Int64[np.ndarray, " row"]], Counter[str]]:
        """Rows of the file, sorted by concept, and the concept of each; and what is left out."""
        concepts, left_out = len(self.names), Counter[str]()
        if self.layout == "sequences":
            return (np.zeros(0, np.int64), np.zeros(0, np.int64)), left_out
        labels = _labels(groups, self.layout)
        lengths = {group["activations"].shape[0] for group in groups.values()}
        expected = concepts if self.layout == "vectors" else len(labels)
        if lengths != {expected}:
            raise UserError(
                f"{self.path}: {sorted(lengths)} rows of activations and {expected} "
                f"{'concepts' if self.layout == 'vectors' else 'labels'}: whose row is whose cannot be told."
            )
        known = (labels >= 0) & (labels < concepts)
        left_out["of a label that is no concept"] = int((~known).sum())
        positive = _positive(groups)
        left_out["of what the concept is not (polarity)"] = int((known & ~positive).sum())
        kept = np.flatnonzero(known & positive)
        kept = kept[np.argsort(labels[kept], kind="stable")]
        return (kept, labels[kept].astype(np.int64)), left_out

    def _means(
        self, groups: dict[int, Any], start: int, stop: int
    ) -> tuple[dict[int, Float32[np.ndarray, "row d"]], Int64[np.ndarray, " row"], Counter[str]]:
        """The mean over each positive sequence's own steps."""
        left_out, concept = Counter[str](), []
        x: dict[int, list[np.ndarray]] = {layer: [] for layer in groups}
        for number in range(start, stop):
            of = {layer: group.get(f"concept_{number}") for layer, group in groups.items()}
            if any(node is None for node in of.values()):
                left_out["of concepts without a group of their own"] += 1
                continue
            lengths = next(iter(of.values()))["positive_lengths"][()]
            steps = {layer: node["positive_sequences"][()] for layer, node in of.items()}
            room = next(iter(steps.values())).shape[1]
            fine = (lengths >= 1) & (lengths <= room)
            left_out["of sequences whose length is impossible"] += int((~fine).sum())
            negative = next(iter(of.values())).get("negative_lengths", ())
            left_out["of what the concept is not (negative sequences)"] += len(negative)
            for layer, sequences in steps.items():
                x[layer] += [
                    rows[:length].astype(np.float64).mean(0)
                    for rows, length in zip(sequences[fine], lengths[fine], strict=True)
                ]
            concept += [number - start] * int(fine.sum())
        stacked = {layer: np.array(rows, np.float32).reshape(-1, self.d) for layer, rows in x.items()}
        return stacked, np.array(concept, np.int64), left_out

    def _metadata(self, groups: dict[int, Any]) -> Iterator[str]:
        """Where what the file says of itself is not what it holds."""
        for name in ("n_concepts", "activation_dim", "model", "stage", "samples_per_concept", "timestamp"):
            if name not in self.said:
                yield f"the file does not say {name}"
        for name, true in (("n_concepts", len(self.names)), ("activation_dim", self.d)):
            if self.said.get(name, true) != true:
                yield f"{name} says {self.said[name]}, the file holds {true}"
        for layer, group in groups.items():
            attributes = {name: _plain(value) for name, value in group.attrs.items()}
            stage, samples = attributes.get("stage"), attributes.get("samples_per_concept")
            if stage is not None and stage != self.said.get("stage", stage):
                yield f"layer_{layer} says stage {stage}, the file says {self.said['stage']}"
            total = attributes.get("total_samples")
            if self.layout == "samples":
                held = group["activations"].shape[0]
                if total is not None and total != held:
                    yield f"layer_{layer} says {total} samples, and holds {held}"
                if samples is not None and samples * len(self.names) != held and "polarity" not in group:
                    yield f"layer_{layer} says {samples} samples a concept, and holds {held} of them all"
            if self.layout == "vectors" and "variance" in group:
                refined = int(np.isfinite(group["variance"][()].astype(np.float64)).sum())
                if (samples or 1) > 1 and refined < len(self.names):
                    yield (
                        f"layer_{layer} says {samples} samples a concept; {refined} of {len(self.names)} "
                        "have a variance, the other rows are of one"
                    )


def _layout(group: Any) -> Layout | None:
    if "activations" in group:
        return "samples" if "labels" in group else "vectors"
    return "sequences" if any(name.startswith("concept_") for name in group) else None


def _activations(group: Any) -> list[Any]:
    if "activations" in group:
        return [group["activations"]]
    return [node["positive_sequences"] for node in group.values() if "positive_sequences" in node]


def _labels(groups: dict[int, Any], layout: Layout) -> Int[np.ndarray, " row"]:
    first, *others = groups.values()
    if layout == "vectors":
        return np.arange(len(first["activations"]))
    labels = first["labels"][()]
    if any(not np.array_equal(labels, other["labels"][()]) for other in others):
        raise UserError("the layers of the file label their rows differently: they are not of one text each.")
    return labels


def _positive(groups: dict[int, Any]) -> Bool[np.ndarray, " row"]:
    first = next(iter(groups.values()))
    if "polarity" in first:
        return first["polarity"][()] > 0
    return np.ones(len(first["activations"]), bool)


def _read(data: Any, row: Int[np.ndarray, " row"]) -> Float32[np.ndarray, "row d"]:
    """Rows in any order; HDF5 reads a run of them many times faster than a list."""
    if not len(row):
        return np.zeros((0, data.shape[1]), np.float32)
    low, high = int(row.min()), int(row.max()) + 1
    if high - low <= 2 * len(row):
        return data[low:high][row - low].astype(np.float32)
    order = np.argsort(row)
    found = np.empty((len(row), data.shape[1]), np.float32)
    found[order] = data[row[order]]
    return found


def _good(x: dict[int, Float32[np.ndarray, "row d"]], left_out: Counter[str]) -> Bool[np.ndarray, " row"]:
    """Rows that are numbers, and not nothing, at every layer; the others are counted."""
    every = list(x.values())
    finite = np.all([np.isfinite(rows).all(1) for rows in every], axis=0)
    empty = finite & np.any([~rows.any(1) for rows in every], axis=0)
    left_out["beyond float16, which ends at 65,504 (infinite or no number)"] += int((~finite).sum())
    left_out["of zeros"] += int(empty.sum())
    return finite & ~empty


def _named_twice(names: tuple[str, ...]) -> Iterator[str]:
    count = Counter(names)
    twice = [name for name, n in count.items() if n > 1]
    if twice:
        more = sum(count[name] - 1 for name in twice)
        yield f"{more} concepts have the name of another, such as {twice[0]!r}: which sense is meant is lost"
    if placeholders := [name for name in names if PLACEHOLDER.fullmatch(name)]:
        yield f"{len(placeholders)} names are placeholders, such as {placeholders[0]}, and no words"
    if nameless := sum(not name.strip() for name in names):
        yield f"{nameless} concepts have no name"


def _text(name: bytes | str) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name


def _plain(value: Any) -> Any:
    """An attribute in Python's own types."""
    value = value.item() if hasattr(value, "item") and getattr(value, "size", 1) == 1 else value
    return _text(value) if isinstance(value, bytes) else value
