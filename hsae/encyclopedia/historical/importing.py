"""A file of HatCat -> an encyclopedia, in which everything that the file does not say is unknown.

A row of the file is a context without a text. Roles are ours: sample k of the stage 1 script is of the k-th
of HatCat's twenty templates, and gets that template's role; rows that can only be of one template are all of
the role `fit`, for a template is never split. A mean that HatCat put in a row's place counts as one context:
over how many it is, the file does not say row by row, and so there is no variance either.
"""

import json
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Int64

from hsae.concepts import Concept, Taxonomy
from hsae.contexts.context import role_of
from hsae.contexts.historical import TEMPLATES
from hsae.encyclopedia.block import Block, Place, Sample
from hsae.encyclopedia.contexts_table import ContextTable
from hsae.encyclopedia.historical.layout import HistoricalFile, Rows
from hsae.encyclopedia.statistics import ROLES
from hsae.encyclopedia.writer import block_size, write_index
from hsae.journal import checksum, whole

UNKNOWN = "texts, spans, numbers of tokens, revision of the model, seeds, parents and senses of the concepts"


def site_of(layer: int, depth: int | None) -> str:
    """Our name of an index into the hidden states of a model of `depth` layers: the embedding, what each
    layer leaves behind, but the last only after the final norm.

    `layer_<index>`, as the file has it, where the depth is not known and would decide.
    """
    if layer == -1:
        return "final_norm"
    if depth is None or not -depth - 1 <= layer <= depth:
        return f"layer_{layer}"
    number = layer % (depth + 1)
    return "embed" if number == 0 else "final_norm" if number == depth else f"resid_post.{number - 1}"


def sites_of(layers: list[int], depth: int | None) -> dict[int, str]:
    """The site of each layer; two indices of one place (-1 and the depth) keep the names that they have."""
    named = {layer: site_of(layer, depth) for layer in layers}
    count = Counter(named.values())
    return {layer: site if count[site] == 1 else f"layer_{layer}" for layer, site in named.items()}


def taxonomy_of(names: tuple[str, ...]) -> Taxonomy:
    """Concepts in the file's order; of those with one name, all but the first are numbered."""
    taken: set[str] = set()
    concepts = []
    for name in names:
        id, number = f"hatcat:{name}", 2
        while id in taken:
            id, number = f"hatcat:{name}#{number}", number + 1
        taken.add(id)
        concepts.append(Concept(id=id, name=name, pos="", lemmas=(name,)))
    return Taxonomy(concepts)


def import_file(
    file: HistoricalFile, folder: Path, *, depth: int | None, block: int | None = None
) -> Iterator[int]:
    """Write the encyclopedia of the file to `folder`; yields the number of concepts that are done.

    `depth` is the number of layers of the file's model, None where it is not known.
    """
    taxonomy = taxonomy_of(file.names)
    pooling = "mean_generated" if file.layout == "sequences" else "mean_with_bos"
    sites = sites_of(file.layers, depth)
    block = block or block_size(file.d)
    left_out, contexts, most, shards = Counter(file.left_out), 0, 0, []
    for start in range(0, len(taxonomy), block):
        stop = min(start + block, len(taxonomy))
        rows = file.rows(start, stop)
        shards.append(folder / f"shard-{start // block:05d}.h5")
        with whole(shards[-1]) as draft, h5py.File(draft, "w") as shard:
            _block(file, rows, taxonomy, np.arange(start, stop), sites, pooling).write(shard)
        left_out.update(rows.left_out)
        contexts += len(rows.concept)
        most = max(most, int(np.bincount(rows.concept, minlength=1).max()))
        yield stop
    index = {
        "model": f"{file.model}, revision unknown",
        "sites": dict.fromkeys(sites.values(), file.d),
        "poolings": [pooling],
        "roles": list(ROLES),
        "sample": most,
        "block": block,
        "shards": [path.name for path in shards],
        "checksums": {path.name: checksum(path) for path in shards},
        "stages": [_stage(file, contexts, {why: n for why, n in left_out.items() if n})],
    }
    write_index(folder, taxonomy, index)


def _stage(file: HistoricalFile, contexts: int, left_out: dict[str, int]) -> dict[str, Any]:
    """What the index says of the only stage."""
    return {
        "stage": "imported",
        "number": file.stage,
        "contexts": contexts,
        "tokens": 0,
        "repeated": 0,
        "too_long": [],
        "file": file.path.name,
        "layout": file.layout,
        "said": json.loads(json.dumps(file.said, default=str)),
        "unknown": UNKNOWN,
        "faults": file.faults,
        "left_out": left_out,
    }


def _block(
    file: HistoricalFile,
    rows: Rows,
    taxonomy: Taxonomy,
    concepts: Int64[np.ndarray, " concept"],
    sites: dict[int, str],
    pooling: str,
) -> Block:
    table = _table(file, rows, [taxonomy.concepts[row].id for row in concepts])
    vectors = {(sites[layer], pooling): x for layer, x in rows.x.items()}
    made = Block.of(concepts, table, vectors, sample=len(rows.concept))
    if file.layout == "sequences":
        return made
    # what was half precision stays as it is, to the last bit: divided by its norm it would be rounded anew
    every = np.arange(len(rows.concept), dtype=np.int32)
    one = np.ones(len(every), np.float32)
    kept = {key: Sample(x.astype(np.float16), one, every) for key, x in vectors.items()}
    places = {key: Place(place.statistics, place.effects, kept[key]) for key, place in made.places.items()}
    return Block(made.rows, table, places)


def _table(file: HistoricalFile, rows: Rows, ids: list[str]) -> ContextTable:
    """A context for every row, of which nothing is known but where the row stood."""
    by_place = file.layout == "samples" and not file.polarised
    template = rows.place if by_place else np.zeros_like(rows.place)
    most = int(template.max()) + 1 if len(template) else 1
    names = [f"sample-{number + 1:04d}" for number in range(most)] if by_place else ["unknown"]
    roles = [_role(number) if by_place else "fit" for number in range(most)]
    nothing = np.zeros(len(template), np.int32)
    columns = {
        **dict.fromkeys(("source", "tokens", "start", "end"), nothing),
        "concept": rows.concept,
        "template": template,
        "role": np.array([ROLES.index(role) for role in roles])[template],
        "stage": np.full(len(template), file.stage),
        "uid": np.array(
            [
                _uid(ids[c], place)
                for c, place in zip(rows.concept.tolist(), rows.place.tolist(), strict=True)
            ],
            np.uint64,
        ),
    }
    return ContextTable(columns, {"template": names, "source": ["hatcat"]}, [""] * len(template))


def _role(place: int) -> str:
    """The role of the template that the stage 1 script read in this place."""
    return role_of(TEMPLATES[place] if place < len(TEMPLATES) else f"sample {place}")


def _uid(id: str, place: int) -> int:
    """64 bits that name a row: it has no text to be named by."""
    said = f"{id}\0imported\0{place}"
    return int.from_bytes(blake2b(said.encode(), digest_size=8).digest(), "little")
