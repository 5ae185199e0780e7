"""A model from the package, a directory or the Hugging Face hub, all through one real loader."""

from pathlib import Path
from typing import Any

import torch
from huggingface_hub.utils import logging as hub_logging
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForTextEncoding,
    AutoTokenizer,
)
from transformers.models.auto import modeling_auto as known
from transformers.utils import logging

from hsae.config import Config
from hsae.errors import UserError
from hsae.hardware import device as device_of
from hsae.hardware import dtype as dtype_of
from hsae.lm import files
from hsae.lm.memory import hold_memory
from hsae.lm.model import LM
from hsae.lm.network import Network
from hsae.seeding import stream


def load(
    path: str | Path,
    *,
    revision: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    untrained: int | None = None,
) -> LM:
    """The model and tokenizer at `path`: `tiny` (inside the package), a directory, or the name of one on the
    hub.

    `device` and `dtype` may be `auto`, as in the config group `hardware`. `untrained` is the seed of random
    weights in the place of the model's own, as its architecture initialises them: a control, which needs no
    weights on this machine.

    Raises `UserError` for a missing or broken directory, a model that the hub does not have or will not give,
    one that is not on this machine while the hub cannot be reached, weights that do not fill the model, an
    unknown architecture, a device that is not there.
    """
    path = str(path)
    model, tokenizer = _read(path, revision, device_of(device), dtype, text=True, untrained=untrained)
    return LM(model, tokenizer, fingerprint=files.fingerprint(path, revision, untrained=untrained))


def chosen_lm(config: Config) -> LM:
    """The model that a configuration chooses, on its hardware; as `load` otherwise."""
    model, hardware = config.model, config.hardware
    return load(
        model.path,
        revision=model.revision,
        device=hardware.device,
        dtype=hardware.dtype,
        untrained=config.seed if model.untrained else None,
    )


def load_network(
    path: str | Path, *, revision: str | None = None, device: str = "cpu", dtype: str = "float32"
) -> Network:
    """A model that reads no text, such as a ViT, without a tokenizer; as `load` otherwise."""
    model, _ = _read(str(path), revision, device_of(device), dtype, text=False)
    return Network(model.requires_grad_(False))


def _read(
    path: str, revision: str | None, device: str, dtype: str, *, text: bool, untrained: int | None = None
) -> tuple[Any, Any]:
    """The model on its device, and its tokenizer where it reads text."""
    place = files.folder(path)
    source, at = str(place or path), revision or "main"
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what goes wrong is told below, once and with its cure
    hub_logging.set_verbosity_error()
    if device == "cpu":
        hold_memory()
    try:
        config = AutoConfig.from_pretrained(source, revision=at)
        kind = _kind(config, path) if text else AutoModel
        tokenizer = AutoTokenizer.from_pretrained(source, revision=at) if text else None
        if untrained is not None:
            return _random(kind, config, untrained).to(device, dtype_of(dtype, device)), tokenizer
        loaded: Any = kind.from_pretrained(
            source, config=config, revision=at, dtype=dtype_of(dtype, device), output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as problem:
        raise _explained(path, revision, place, problem) from problem
    model, report = loaded
    # a pooler lies above every site, and many checkpoints leave it out
    if missing := sorted(key for key in report["missing_keys"] if not key.startswith("pooler.")):
        raise UserError(
            f"the weights in {source} do not fill the model: {missing[:3]} are not there.\n"
            "The model would run on random numbers in their place. Save or download it again, whole."
        )
    return model.to(device), tokenizer


def _random(kind: Any, config: Any, seed: int) -> Any:
    """The architecture with weights of its own initialisation: drawn on the CPU in float32, so that they are
    the same whatever the model computes on and in, and nobody else's random numbers are touched."""
    with torch.random.fork_rng([]):
        torch.manual_seed(stream(seed, "untrained model").initial_seed())
        return kind.from_config(config, dtype=torch.float32)


def _kind(config: Any, path: str) -> Any:
    """Which of the field's classes reads this model: masked where it was made so, else causal, else an
    encoder alone. Raises `UserError` for a model that reads no text."""
    name, made = config.model_type, (config.architectures or [""])[0]
    causal = made in known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
    if name in known.MODEL_FOR_MASKED_LM_MAPPING_NAMES and not causal:
        return AutoModelForMaskedLM
    if name in known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return AutoModelForCausalLM
    if name in known.MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES:
        return AutoModelForTextEncoding
    raise UserError(
        f"model.path={path} is {made or name}, which is no language model: jobs read text.\n"
        "In Python: hsae.lm.load_network(path) captures and edits any other network."
    )


def _explained(path: str, revision: str | None, place: Path | None, problem: BaseException) -> UserError:
    """What went wrong, and what to type, for a person who only gave `model.path`."""
    asked = f"model.path={path}" + (f" model.revision={revision}" if revision else "")
    if place is not None:
        why = _first_line(problem)
        if "ignore_mismatched_sizes" in why:  # it points to a report that is not printed
            why = "its weights have other shapes than its config.json says."
        return UserError(
            f"{asked} cannot be loaded: {why}\n"
            f"Save or download {place} again: it holds config.json, model.safetensors and tokenizer.json, "
            "as save_pretrained() writes them."
        )
    causes = set(_chain(problem))
    if "GatedRepoError" in causes:
        cure = f"Ask for access at https://huggingface.co/{path}, then: hf auth login"
        return UserError(f"{asked} is gated: its makers give it to people they know.\n{cure}")
    if "RevisionNotFoundError" in causes:
        return UserError(
            f"{asked}: the hub has the model, but no such revision.\nLeave it out, or name a commit."
        )
    if causes & {"RepositoryNotFoundError", "HFValidationError"}:
        return UserError(
            f"{asked}: neither a directory here nor a model on the hub.\nCheck the name, or: hf auth login"
        )
    if "LocalEntryNotFoundError" in causes:
        return UserError(
            f"{asked} is not on this machine, and the Hugging Face hub cannot be reached "
            "(or HF_HUB_OFFLINE is set).\n"
            f"With a network: hf download {path}" + (f" --revision {revision}" if revision else "") + "\n"
            "Without one: copy a folder with config.json, weights and tokenizer here and give "
            "model.path=FOLDER, or use model=tiny."
        )
    return UserError(f"{asked} cannot be loaded: {_first_line(problem)}")


def _chain(problem: BaseException | None) -> list[str]:
    names: list[str] = []
    while problem is not None:
        names += [kind.__name__ for kind in type(problem).__mro__]
        problem = problem.__cause__ or problem.__context__
    return names


def _first_line(problem: Any) -> str:
    lines = [line.strip() for line in str(problem).strip().splitlines() if line.strip()]
    if not lines:
        return type(problem).__name__
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
