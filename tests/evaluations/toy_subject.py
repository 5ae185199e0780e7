"""A taxonomy with contexts, and dictionaries whose scores are known beforehand."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hsae.concepts import Concept, Taxonomy
from hsae.contexts import Context
from hsae.seeding import stream

KINDS = {
    "tree": ("oak", "elm", "ash", "fir", "yew", "pine", "palm", "larch", "maple", "birch", "beech", "alder"),
    "tool": (
        "saw",
        "axe",
        "hoe",
        "awl",
        "file",
        "rasp",
        "drill",
        "spade",
        "plane",
        "lathe",
        "wedge",
        "hammer",
    ),
    "fish": (
        "eel",
        "cod",
        "ray",
        "carp",
        "bass",
        "tuna",
        "trout",
        "perch",
        "shark",
        "skate",
        "bream",
        "salmon",
    ),
}
FRAMES = {
    "fit": ("people like the {}", "they drew a {}", "near the house stands the {}"),
    "test": ("the old {}", "she dreams of the {}"),
}


def _taxonomy() -> Taxonomy:
    rows = [Concept("toy:thing", "thing")]
    for kind, words in KINDS.items():
        rows.append(Concept(f"toy:{kind}", kind, parents=("toy:thing",)))
        rows += [Concept(f"toy:{word}", word, gloss=f"a {kind}", parents=(f"toy:{kind}",)) for word in words]
    return Taxonomy(rows)


def _contexts(taxonomy: Taxonomy) -> tuple[Context, ...]:
    return tuple(
        Context(
            concept.id,
            frame.format(concept.name),
            at := frame.index("{"),
            at + len(concept.name),
            frame,
            role,
            "toy",
        )
        for concept in taxonomy
        for role, frames in FRAMES.items()
        for frame in frames
    )


TAXONOMY = _taxonomy()
CONTEXTS = _contexts(TAXONOMY)


class Toy(nn.Module):
    """A dictionary made of two functions; `vectors` are given, or the first unit vectors."""

    def __init__(
        self, encode: Callable[[Tensor], Tensor], decode: Callable[[Tensor], Tensor], vectors: Tensor
    ):
        super().__init__()
        self._encode, self._decode, self.vectors = encode, decode, vectors

    @property
    def d(self) -> int:
        return self.vectors.shape[1]

    @property
    def latents(self) -> int:
        return len(self.vectors)

    def encode(self, x: Tensor) -> Tensor:
        return self._encode(x)

    def decode(self, code: Tensor) -> Tensor:
        return self._decode(code)


def mirror(d: int) -> Toy:
    """Gives back every activation: one latent for each end of each axis."""
    vectors = torch.cat([torch.eye(d), -torch.eye(d)])
    return Toy(lambda x: torch.cat([x.relu(), (-x).relu()], dim=1), lambda code: code @ vectors, vectors)


def constant(value: Tensor) -> Toy:
    """Gives back one vector whatever it is shown, with a latent that never fires."""
    vectors = torch.stack([value, value])
    code = torch.tensor([1.0, 0.0])
    return Toy(lambda x: code.expand(len(x), 2), lambda code: code @ vectors, vectors)


def noise(d: int, *, latents: int = 64, k: int = 8) -> Toy:
    """Codes that have nothing to do with x: drawn anew at every call."""
    generator = stream(0, "noise dictionary")
    vectors = torch.randn(latents, d, generator=generator)

    def encode(x: Tensor) -> Tensor:
        drawn = torch.rand(len(x), latents, generator=generator)
        return drawn * (drawn >= drawn.topk(k, dim=1).values[:, -1:])

    return Toy(encode, lambda code: code @ vectors / 100, vectors)


def nearest(centres: Tensor) -> Toy:
    """The answer: one latent a concept, firing where x is nearest to the concept's own place."""

    def encode(x: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(torch.cdist(x, centres).argmin(1), len(centres)).float()

    return Toy(encode, lambda code: code @ centres, centres)
