"""Which concepts lie nearest to a text: to all of it, to its last token, and to any part in [[brackets]].

A text is read once; its pooled activation is compared by cosine, in whitened coordinates, with the vectors of
all concepts, of the same pooling where the encyclopedia has it:

    mean   over all tokens of the text, none that the tokenizer puts around it
    last   its last token, which in a causal model has seen all of it
    span   mean over the tokens of a part in brackets
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, final

from jaxtyping import Float
from torch import Tensor

from hsae import json_file
from hsae.concepts import Taxonomy
from hsae.encyclopedia.encyclopedia import Encyclopedia
from hsae.encyclopedia.queries.neighbours import nearest
from hsae.encyclopedia.queries.prototypes import Prototypes
from hsae.errors import UserError
from hsae.lm import LM

NEAREST = "nearest.json"

_MARK = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)


@final
class Marked(NamedTuple):
    """A text without its brackets, and the parts that stood in them."""

    text: str
    spans: list[tuple[int, int]]


def load(folder: Path) -> dict[str, Any]:
    """What a result folder of `job=nearest` holds: see `nearest_to_text`."""
    return json_file.read(Path(folder) / NEAREST)


def marked(said: str) -> Marked:
    """`a [[furry pet]]` -> the text `a furry pet` and the span (2, 11).

    Raises `UserError` for a bracket without its partner, or with nothing inside.
    """
    pieces, spans, done, length = [], [], 0, 0
    for match in _MARK.finditer(said):
        pieces += [said[done : match.start()], match[1]]
        length += match.start() - done
        spans.append((length, length + len(match[1])))
        length += len(match[1])
        done = match.end()
    text = "".join([*pieces, said[done:]])
    if "[[" in text or "]]" in text or not all(text[start:end].strip() for start, end in spans):
        raise UserError(f"the brackets of {said!r} cannot be read.\nMark a part like this: a [[furry pet]]")
    return Marked(text, spans)


def pooled(lm: LM, said: Marked, site: str) -> list[tuple[dict[str, Any], Float[Tensor, " d"]]]:
    """What each vector is of (`pooling`, `text`, `start`, `end`), and the vector.

    Raises `UserError` for a text without a token of its own, or too long for the model.
    """
    tokens = lm.tokenize([said.text])
    own = ~tokens.special
    if not own.any():
        raise UserError(f"the text {said.text!r} has no token that could be read.")
    rows = lm.capture(tokens.ids, tokens.mask, [site], keep=own)[site].float()
    whole = {"text": said.text, "start": 0, "end": len(said.text)}
    found = [({"pooling": "mean", **whole}, rows.mean(0)), ({"pooling": "last", **whole}, rows[-1])]
    for start, end in said.spans:
        inside = tokens.within([(start, end)])[own].to(rows.device)
        part = {"pooling": "span", "text": said.text[start:end], "start": start, "end": end}
        if not inside.any():
            raise UserError(f"no token of the model stands in the part {part['text']!r} of the text.")
        found.append((part, rows[inside].mean(0)))
    return found


def nearest_to_text(
    lm: LM, book: Encyclopedia, said: str, *, site: str, k: int = 8, shrinkage: float = 0.1
) -> dict[str, Any]:
    """The k concepts nearest to a text, ready for JSON.

    `pooled` holds one dict for each pooled vector: what it is of, `vectors` (the pooling of the concepts'
    vectors that it is compared with: its own, or the encyclopedia's first), `nearest` (id, name, path,
    cosine), and `typical`: the cosine that 95 % of all concepts stay below.

        hsae.encyclopedia.queries.text.nearest_to_text(hsae.language_model("tiny"), hsae.load(folder),
                                                       "a small [[furry pet]]", site="resid_post.2")
    """
    if book.model != lm.fingerprint:
        raise UserError(
            f"the encyclopedia is of the model {book.model}, and the text would be read by {lm.fingerprint}."
        )
    prototypes: dict[str, Prototypes] = {}
    told = []
    for of, x in pooled(lm, marked(said), site):
        pooling = of["pooling"] if of["pooling"] in book.poolings else book.poolings[0]
        if pooling not in prototypes:
            prototypes[pooling] = _prototypes(book, site, pooling, shrinkage).to(lm.device)
        told.append({**of, "vectors": pooling, **_near(prototypes[pooling], x, book.taxonomy, k=k)})
    return {"text": said, "site": site, "model": book.model, "concepts": len(book.taxonomy), "pooled": told}


def _prototypes(book: Encyclopedia, site: str, pooling: str, shrinkage: float) -> Prototypes:
    """Whitened where any concept has two contexts to fit by."""
    several = bool((book.count() > 1).any())
    return Prototypes.of(
        book.mean(site, pooling=pooling),
        book.covariance(site, pooling=pooling) if several else None,
        ids=[concept.id for concept in book.taxonomy],
        shrinkage=shrinkage,
        dtype="float32",
        model=book.model,
        site=site,
    )


def _near(prototypes: Prototypes, x: Float[Tensor, " d"], tree: Taxonomy, *, k: int) -> Mapping[str, Any]:
    every = prototypes.score(x[None])[0].float()
    ordered = every.sort().values
    path = lambda id: [tree.concepts[row].name for row in tree.ancestors(tree.index[id])[::-1]]
    return {
        "nearest": [
            {"id": one["id"], "name": tree[one["id"]].name, "path": path(one["id"]), "cosine": one["score"]}
            for one in nearest(prototypes, x, k=k)
        ],
        "typical": float(ordered[int(0.95 * (len(ordered) - 1))]),
    }
