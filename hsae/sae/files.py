"""An SAE in a folder: its weights as safetensors, and what they are as JSON."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from hsae.config import Part
from hsae.errors import UserError
from hsae.journal import whole
from hsae.sae.base import SAE
from hsae.sae.teacher import Placement

WEIGHTS, CARD = "sae.safetensors", "sae.json"


def save_tensors(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """A safetensors file without metadata, whose order is not fixed: equal tensors give equal bytes."""
    with whole(path) as draft:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, draft)


def load_tensors(path: Path, *, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
    """Raises UserError for a file that is cut short or no safetensors at all."""
    try:
        return load_file(path, device=str(device))
    except SafetensorError as error:
        raise UserError(f"{path} is damaged: {error}.\nDelete it, and make it again.") from None


def save(sae: SAE, settings: Part, folder: Path, **facts: Any) -> None:
    """Weights, then the card with `facts` beside its own; where the card is, both are."""
    save_tensors(sae.state_dict(), folder / WEIGHTS)
    placement = sae.placement
    said = {
        "variant": settings.model_dump()["name"],
        "settings": settings.model_dump(mode="json"),
        "d": sae.d,
        "latents": sae.latents,
        "k": sae.k,
        "weights": sae.weights,
        "flops_per_token": sae.flops_per_token(),
        "parents": sae.parents.tolist(),
        "taught": dict(zip(map(str, placement.latents.tolist()), placement.names, strict=True)),
        "kept": placement.kept,
        "left_out": dict(placement.left_out),
        **facts,
    }
    with whole(folder / CARD) as draft:
        draft.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n")


def card(folder: Path) -> dict[str, Any]:
    """What an SAE's folder says of it. Raises UserError where there is none."""
    path = folder / CARD
    if not path.is_file():
        raise UserError(f"there is no SAE in {folder}: it has no {CARD}.\nMake one with hsae job=train_sae")
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}.\nDelete its folder, and make it again.") from None


def load(folder: Path | str, *, device: torch.device | str = "cpu") -> SAE:
    """The SAE that `save` wrote. Raises UserError where it is missing, damaged or of another shape."""
    said = card(Path(folder))
    variant = import_module(f"hsae.sae.{said['variant']}")
    settings = variant.Settings.model_validate(said["settings"])
    sae: SAE = variant.build(settings, d=said["d"], teacher=None, seed=0)
    weights = load_tensors(Path(folder) / WEIGHTS)
    try:
        sae.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{Path(folder) / WEIGHTS} does not fit its {CARD}: {error}") from None
    latents = torch.tensor([int(latent) for latent in said["taught"]], dtype=torch.long)
    sae.placement = Placement(latents, tuple(said["taught"].values()), said["kept"], said["left_out"])
    return sae.to(device).eval().requires_grad_(requires_grad=False)
