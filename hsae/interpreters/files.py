"""An interpreter in a folder: its weights as safetensors, and what it is as JSON."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from hsae.concepts import Concept, Taxonomy
from hsae.errors import UserError
from hsae.interpreters.base import Interpreter
from hsae.journal import whole
from hsae.sae.files import load_tensors, save_tensors

WEIGHTS, CARD = "interpreter.safetensors", "interpreter.json"


def save(interpreter: Interpreter, folder: Path | str, **facts: Any) -> None:
    """Weights, then the card with `facts` beside its own; where the card is, both are.

    The card holds the concepts' ids, names and parents, so that the folder can be read without their source.
    """
    save_tensors(interpreter.state_dict(), Path(folder) / WEIGHTS)
    settings = interpreter.settings.model_dump(mode="json")
    said = {
        "variant": settings["name"],
        "settings": settings,
        "d": interpreter.d,
        "sites": interpreter.sites,
        "seed": interpreter.seed,
        "weights": interpreter.weights,
        **facts,
        "concepts": [[concept.id, concept.name, *concept.parents] for concept in interpreter.taxonomy],
    }
    with whole(Path(folder) / CARD) as draft:
        draft.write_text(json.dumps(said, ensure_ascii=False) + "\n")


def card(folder: Path | str) -> dict[str, Any]:
    """What an interpreter's folder says of it. Raises UserError where there is none."""
    path = Path(folder) / CARD
    if not path.is_file():
        raise UserError(
            f"there is no interpreter in {folder}: it has no {CARD}.\nMake one with hsae job=interpret"
        )
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}.\nDelete its folder, and make it again.") from None


def load(folder: Path | str, *, device: torch.device | str = "cpu") -> Interpreter:
    """The interpreter that `save` wrote. Raises UserError where it is missing, damaged or of another
    shape."""
    said = card(folder)
    variant = import_module(f"hsae.interpreters.{said['variant']}")
    interpreter: Interpreter = variant.build(
        variant.Settings.model_validate(said["settings"]),
        d=said["d"],
        sites=said["sites"],
        taxonomy=Taxonomy(
            Concept(id, name, parents=tuple(parents)) for id, name, *parents in said["concepts"]
        ),
        seed=said["seed"],
    )
    weights = load_tensors(Path(folder) / WEIGHTS)
    try:
        interpreter.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{Path(folder) / WEIGHTS} does not fit its {CARD}: {error}") from None
    return interpreter.to(device).eval().requires_grad_(requires_grad=False)
