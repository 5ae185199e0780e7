"""An encyclopedia -> a file that HatCat's own scripts read: float16 rows under layer_<index>.

Of the layouts in `hsae.encyclopedia.historical.layout` two are written: `vectors`, the mean of each concept,
and `samples`, its raw rows with labels. What that form has no room for is lost: roles, texts, senses, more
than one pooling. `count`, the contexts behind each row, is added; HatCat reads past it.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import h5py
import numpy as np
from jaxtyping import Float32

from hsae.encyclopedia.encyclopedia import Encyclopedia
from hsae.encyclopedia.historical.importing import site_of
from hsae.errors import UserError
from hsae.journal import whole

Form = Literal["vectors", "samples"]

MOST = float(np.finfo(np.float16).max)


def layer_of(site: str, depth: int | None) -> str | None:
    """The name of HatCat's group for a site, counted from the end where the depth of the model is known; None
    for a place that is not among the hidden states which HatCat reads."""
    if site.startswith("layer_"):  # of an import: as its file had it
        return site
    if site == "final_norm":
        return "layer_-1"
    if site == "embed":
        return "layer_0"
    role, _, number = site.partition(".")
    if role != "resid_post" or (depth is not None and int(number) >= depth - 1):
        return None
    index = int(number) + 1
    layer = index if depth is None else index - depth - 1
    assert depth is None or site_of(layer, depth) == site
    return f"layer_{layer}"


def export(
    book: Encyclopedia, path: Path, *, form: Form, pooling: str | None, depth: int | None
) -> Iterator[str]:
    """Write the file; yields each site that is in it. Contexts of all roles count.

    Raises `UserError` where no site has a place in it, or a row is beyond float16.
    """
    layers = {site: layer for site in book.sites if (layer := layer_of(site, depth)) is not None}
    widths = {book.d(site) for site in layers}
    if len(widths) != 1:
        raise UserError(
            f"HatCat reads hidden states of one width: layers as the model passes them on (resid_post, "
            f"final_norm), and this encyclopedia has {', '.join(book.sites)}."
        )
    assert form in get_args(Form)
    count = book.count(role="all").numpy()
    with whole(path) as draft, h5py.File(draft, "w") as file:
        said = _head(file, book, widths.pop(), count)
        for site, layer in layers.items():
            group = file.create_group(layer)
            if form == "vectors":
                rows = book.mean(site, role="all", pooling=pooling).numpy()
            else:
                sample = book.rows(site, role="all", pooling=pooling)
                rows = sample.x
                group.create_dataset("labels", data=sample.concept.astype(np.int32), **_PACKED)
            group.create_dataset("activations", data=_halved(rows, site), **_PACKED)
            group.create_dataset("variance", data=_variance(book, site, pooling, count))
            group.create_dataset("count", data=count.astype(np.int32))
            for name, value in said.items():
                group.attrs[name] = value
            if form == "samples":
                group.attrs["total_samples"] = len(rows)
            yield site


_PACKED: dict[str, Any] = {"compression": "gzip", "compression_opts": 4}


def _head(file: Any, book: Encyclopedia, d: int, count: np.ndarray) -> dict[str, int | str]:
    """What the file says of itself; returns what each layer says too."""
    names = np.array([concept.name for concept in book.taxonomy], dtype=object)
    file.create_dataset("concepts", data=names, dtype=h5py.string_dtype(encoding="utf-8"))
    stage = int((count > 1).any())
    # one number for all; where they differ, the dataset `count` says it
    both = {"stage": stage, "samples_per_concept": int(np.median(count))}
    said = {"n_concepts": len(names), "activation_dim": d, "timestamp": time.time()}
    said |= {"model": book.model.removesuffix(", revision unknown"), **both}
    for name, value in said.items():
        file.attrs[name] = value
    return {**both, "confidence": "medium" if stage else "low"}


def _halved(rows: Float32[np.ndarray, "row d"], site: str) -> np.ndarray:
    """In float16, NaN where there is nothing."""
    if (beyond := np.nanmax(np.abs(rows), initial=0)) > MOST:
        raise UserError(
            f"{site} has values up to {beyond:.3g}, and HatCat's float16 ends at {MOST:,.0f}.\n"
            "Take another site (layers.sites=...), or job=pack, whose vectors are of unit length."
        )
    return rows.astype(np.float16)


def _variance(book: Encyclopedia, site: str, pooling: str | None, count: np.ndarray) -> np.ndarray:
    """As HatCat has it: the population's variance, averaged over units; NaN below two contexts."""
    variance = book.variance(site, role="all", pooling=pooling).double().mean(1).numpy()
    scaled = variance * (count - 1) / np.maximum(count, 1)
    return np.minimum(scaled, MOST).astype(np.float16)
