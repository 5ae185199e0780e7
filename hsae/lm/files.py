"""The files of a language model, found and fingerprinted without torch."""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

from hsae.build.contents import contents
from hsae.config import TINY, Config, Layers, Model
from hsae.errors import ConfigError, UserError

_MODEL_FILES = (
    "config.json",
    "tokenizer*",
    "*token*.json",
    "vocab*",
    "merges.txt",
    "*.safetensors*",
    "*.bin*",
)
_READ_WHOLE = 16 << 20
_EDGE = 1 << 20


def folder(path: str) -> Path | None:
    """The directory of a model, or None where `path` can only be the name of one on the Hugging Face hub.

    Raises `UserError` where `path` can only be a directory and is none, or has no config.json.
    """
    place = TINY if path == "tiny" else Path(path).expanduser()
    if not place.is_dir():
        if path != "tiny" and path.count("/") <= 1 and not path.startswith((".", "/", "~")):
            return None
        if path == "tiny":
            raise UserError("model=tiny has no files in this installation.\nTrain it with: hsae job=pretrain")
        raise UserError(
            f"model.path={path} is not a directory.\n"
            "Give one that holds config.json, weights and tokenizer, or a name on the hub (model.path=gpt2)."
        )
    if not (place / "config.json").is_file():
        found = ", ".join(sorted(file.name for file in place.iterdir())[:6]) or "nothing"
        raise UserError(
            f"model.path={path} holds no config.json (found: {found}).\n"
            "A model folder holds config.json, model.safetensors and tokenizer.json, "
            "as save_pretrained() writes them."
        )
    return place


def fingerprint(path: str, revision: str | None, *, untrained: int | None = None) -> str:
    """A short name for the content of a model, the same wherever its files lie; `untrained` is the seed of
    random weights in the place of its own.

    A directory: a hash of its configuration, tokenizer and weights. Small files are read whole; of files
    above 16 MB the length and the first and last MB, so that a 5 GB model costs milliseconds and two
    trainings still differ. A model on the hub: `id@revision`; name a commit for one that cannot change.
    """
    if untrained is not None:
        return f"{fingerprint(path, revision)}-untrained-{untrained}"
    if (place := folder(path)) is None:
        return f"{path}@{revision or 'main'}"
    found = sorted({file for pattern in _MODEL_FILES for file in place.glob(pattern)})
    return _hash(tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in found))


@cache  # an experiment asks once for every step, and the files do not change meanwhile
def _hash(found: tuple[tuple[Path, int, int], ...]) -> str:
    digest = sha256()
    for file, size, _ in found:
        digest.update(f"{file.name} {size}\n".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(_EDGE if size > _READ_WHOLE else size))
            if size > _READ_WHOLE:
                stream.seek(size - _EDGE)
                digest.update(stream.read())
    return digest.hexdigest()[:16]


def short_name(path: str) -> str:
    """What a result folder calls the model: the last part of its path or hub id."""
    return Path(path).name or path


def chosen_fingerprint(config: Config) -> str:
    """That of the model which a configuration chooses, with the weights that it gives it."""
    model = config.model
    return fingerprint(model.path, model.revision, untrained=config.seed if model.untrained else None)


def model_name(model: Model) -> str:
    """What a result folder calls the model that is chosen: its last part, and whether it is untrained."""
    return short_name(model.path) + ("-untrained" if model.untrained else "")


def site_choice(model: Model, layers: Layers) -> list[str] | dict[str, object]:
    """The sites as a choice that a result is filed under: their names, so that two ways to say the same
    agree.

    Of a model on the hub, the rule: its address may not depend on whether its files are here already.
    """
    facts = model.facts()
    if facts is None or folder(model.path) is None:
        return layers.model_dump(exclude={"name"})
    return layers.resolve(facts.layers)


def site_label(model: Model, layers: Layers) -> str:
    """The sites in a word: the name of the only one, else of the choice, which `layers.sites` and
    `layers.indices` overrule."""
    sites = site_choice(model, layers)
    if isinstance(sites, list) and len(sites) == 1:
        return sites[0].replace(":", "-")  # a colon is in no folder's name on some systems
    return layers.name if layers.sites is None and layers.indices is None else "chosen"


def studied_site(config: Config, sites: Sequence[str]) -> str:
    """The one of these sites, which `layers` chooses, that is studied. Raises `ConfigError` where several
    could be, or where `site` names another."""
    facts = config.model.facts()
    wanted = config.studied
    found = list(sites)
    if config.site is not None:
        found = wanted.layers.resolve(facts.layers) if facts is not None else [config.site]
    if len(found) != 1:
        listed = ",".join(sites)
        raise ConfigError(
            f"one site is studied at a time, and {len(found)} are chosen: {', '.join(sites)}.\n"
            f"Type site={sites[-1]}, or sweep over them: site={listed} -m"
        )
    if found[0] not in sites:
        raise ConfigError(f"there is no site {found[0]} among {', '.join(sites)}.\nType site={sites[-1]}")
    return found[0]


def studied_sites(config: Config, sites: Sequence[str]) -> list[str]:
    """The one that `site` names, else all."""
    return [studied_site(config, sites)] if config.site is not None else list(sites)


def studied_or_last(config: Config, sites: Sequence[str]) -> str:
    """The one that `site` names, else the last, where a refinement looks too."""
    return studied_sites(config, sites)[-1]


def reading_choices(config: Config) -> dict[str, object]:
    """All that decides which rows a corpus gives and what is in them, whether they are stored or streamed.

    Raises `ConfigError` for a context longer than the model's, where its config.json is at hand.
    """
    facts, asked = config.model.facts(), config.capture.context
    if facts is not None and facts.context is not None and asked > facts.context:
        raise ConfigError(
            f"capture.context={asked} was asked for, and {config.model.path} reads at most {facts.context} "
            f"tokens at once.\nType capture.context={facts.context} or less."
        )
    return {
        "model": chosen_fingerprint(config),
        "sites": site_choice(config.model, config.layers),
        "corpus": contents("corpus", config.corpus),
        "capture": config.capture.model_dump(exclude={"name"}),
    }
