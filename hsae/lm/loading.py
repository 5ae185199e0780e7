"""A language model from the package, a directory or the Hugging Face hub, all through one real loader."""

from pathlib import Path
from typing import Any

import torch
from huggingface_hub.utils import logging as hub_logging
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from hsae.errors import UserError
from hsae.hardware import device as device_of
from hsae.lm import files
from hsae.lm.model import LM


def load(path: str | Path, *, revision: str | None = None, device: str = "cpu", dtype: str = "float32") -> LM:
    """The model and tokenizer at `path`: `tiny` (inside the package), a directory, or the name of one on the
    hub.

    `device` and `dtype` may be `auto`, as in the config group `hardware`.

    Raises `UserError` for a missing or broken directory, a model that the hub does not have or will not give,
    one that is not on this machine while the hub cannot be reached, weights that do not fill the model, an
    unknown architecture, a device that is not there.
    """
    path, device = str(path), device_of(device)
    place = files.folder(path)
    source = str(place or path)
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what goes wrong is told below, once and with its cure
    hub_logging.set_verbosity_error()
    try:
        config = AutoConfig.from_pretrained(source, revision=revision or "main")
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision or "main")
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source,
            config=config,
            revision=revision or "main",
            dtype=_dtype(dtype, device),
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as problem:
        raise _explained(path, revision, place, problem) from problem
    model, report = loaded
    if report["missing_keys"]:
        raise UserError(
            f"the weights in {source} do not fill the model: "
            f"{sorted(report['missing_keys'])[:3]} are not there.\n"
            "The model would run on random numbers in their place. Save or download it again, whole."
        )
    return LM(model.to(device), tokenizer, fingerprint=files.fingerprint(path, revision))


def _dtype(asked: str, device: str) -> torch.dtype:
    """`auto` is bfloat16 on a GPU that computes in it, float32 elsewhere: on a CPU, half precision is
    slower."""
    if asked != "auto":
        return getattr(torch, asked)
    return torch.bfloat16 if device.startswith("cuda") and torch.cuda.is_bf16_supported() else torch.float32


def _explained(path: str, revision: str | None, place: Path | None, problem: BaseException) -> UserError:
    """What went wrong, and what to type, for a person who only gave `model.path`."""
    asked = f"model.path={path}" + (f" model.revision={revision}" if revision else "")
    if place is not None:
        return UserError(
            f"{asked} cannot be loaded: {_first_line(problem)}\n"
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
