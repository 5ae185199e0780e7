"""Experiments on what language models represent: concepts, activations, dictionaries, and how to judge them.

One word per thing, in code, configuration and tables alike:
concept (a meaning, keyed by sense) · context (a text in which a concept occurs, with its span) · corpus ·
site (a place in the LM: `resid_post.3`) · activation · store (activations on disk) ·
encyclopedia (concept -> statistics and vector) · vector · dictionary (anything that encodes and decodes) ·
latent · code · reconstruction · teacher (read and write vectors, parents) · stage (of refinement) ·
artifact (a result folder with a manifest).
"""

from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["language_model", "load"]

_HOLDS = {
    "cards": "hsae.encyclopedia.queries.cards",
    "convergence": "hsae.encyclopedia.convergence.table",
    "crossvalidation": "hsae.interpreters.judging.folds",
    "detection": "hsae.encyclopedia.queries.detection",
    "difference": "hsae.encyclopedia.queries.compare",
    "encyclopedia": "hsae.encyclopedia",
    "evaluation": "hsae.evaluations",
    "interpreter": "hsae.interpreters",
    "lm": "hsae.lm",
    "monitoring": "hsae.encyclopedia.queries.monitoring",
    "nearest": "hsae.encyclopedia.queries.text",
    "prototypes": "hsae.encyclopedia.queries.prototypes",
    "rereading": "hsae.encyclopedia.rereading",
    "retrieval": "hsae.interpreters.unseen.retrieval",
    "sae": "hsae.sae",
    "store": "hsae.activations.store",
    "teacher": "hsae.geometry",
}
"""Kind of artifact -> the module whose `load(folder)` opens it."""


def load(folder: str | Path) -> Any:
    """What a result folder holds: an SAE, an encyclopedia, a store, a teacher, scores, a language model.

    Raises `hsae.errors.UserError` for a folder that is missing, damaged, or not a result of hsae.
    """
    from hsae.artifact import read
    from hsae.errors import UserError

    artifact = read(Path(folder)).verify()
    if artifact.kind not in _HOLDS:
        raise UserError(
            f"{folder} holds {artifact.kind}, which is read as files, not loaded; see its manifest.json."
        )
    return import_module(_HOLDS[artifact.kind]).load(artifact.folder)


def language_model(path: str = "tiny", *, revision: str | None = None, device: str = "cpu") -> Any:
    """A language model by directory, hub id, or `tiny`; see `hsae.lm.LM` for `.capture` and `.edited`."""
    return import_module("hsae.lm").load(path, revision=revision, device=device)
