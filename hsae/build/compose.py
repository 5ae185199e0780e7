"""Overrides -> Hydra -> a checked Config."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hsae.build.lines import expand, keys, literal, parse, without
from hsae.build.mistakes import Mistaken, check, nearest
from hsae.config import Config
from hsae.errors import ConfigError, UserError


def conf_dir() -> Path:
    """HSAE_CONF, else the conf/ that a wheel carries, else the checkout's."""
    package = Path(__file__).resolve().parents[1]
    asked = os.environ.get("HSAE_CONF")
    # inside the package first: beside an installed package lies site-packages, where anybody's `conf` may be
    tried = [Path(asked).expanduser().resolve()] if asked else [package / "conf", package.parent / "conf"]
    for folder in tried:
        if (folder / "config.yaml").is_file():
            return folder
    raise UserError(
        f"no config.yaml in {' or '.join(map(str, tried))}.\nPoint HSAE_CONF at a folder of configuration."
    )


def compose(overrides: Sequence[str] = ()) -> Config:
    """The checked configuration of `hsae <overrides>`.

    Raises ConfigError with every mistake that is in it.
    """
    return _compose(conf_dir(), tuple(map(spelled, overrides)))


def spelled(override: str) -> str:
    """What Hydra reads as it was meant: `stage=2` as `stage=generated`, for it takes no number for the name
    of an option, and a text as a text."""
    name, sign, values = override.partition("=")
    if name != "stage" or not sign:
        return literal(override)
    names = _stages(conf_dir())
    return f"stage={','.join(names.get(value.strip(), value) for value in values.split(','))}"


@cache
def _stages(conf: Path) -> dict[str, str]:
    """The number of each stage and its name."""
    files = sorted((conf / "stage").glob("*.yaml"))
    return {str(OmegaConf.select(OmegaConf.load(file), "number")): file.stem for file in files}


@cache
def _compose(conf: Path, overrides: tuple[str, ...]) -> Config:
    config = _in_halves(conf, overrides)
    return config if config is not None else _whole(conf, overrides)


def _whole(conf: Path, overrides: tuple[str, ...]) -> Config:
    with _hydra(conf):
        try:
            composed = hydra.compose("config", list(overrides))
        except (HydraException, OmegaConfBaseException, ValueError) as error:  # ValueError: stage=9
            raise diagnose(overrides, error) from None
        try:
            return from_hydra(composed, overrides)
        except OmegaConfBaseException as error:
            raise diagnose(overrides, error) from None


APART = ("job", "interpreter", "policy")
"""Groups that are put into what the other overrides compose."""


def _in_halves(conf: Path, overrides: tuple[str, ...]) -> Config | None:
    """A group put into what the other overrides compose, each composed once and remembered.

    A pipeline asks for many jobs over the same choices, and Hydra takes 80 ms for each. None where the halves
    depend on each other (an experiment that sets keys of its job) or where there is a mistake to be told.
    """
    halves = ((group, without(overrides, (group,))) for group in APART)
    group, rest = next(((group, rest) for group, rest in halves if rest != overrides), ("", ()))
    if not rest:
        return None
    own = tuple(override for override in overrides if override not in rest)
    try:
        base = _compose(conf, rest)
        told = getattr(base, group)
        if told != getattr(_compose(conf, (f"{group}={told.name}",)), group):
            return None
        return base.model_copy(update={group: getattr(_compose(conf, own), group), "overrides": overrides})
    except ConfigError:
        return None


def from_hydra(composed: DictConfig, overrides: Sequence[str]) -> Config:
    """What Hydra composed, checked. Raises ConfigError."""
    return check({**_raw(composed), "overrides": tuple(overrides)})


def _raw(composed: DictConfig) -> dict[str, Any]:
    """Plain dictionaries, lists and values. Raises OmegaConf's errors for what cannot be resolved."""
    raw = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    assert isinstance(raw, dict)
    return {str(name): value for name, value in raw.items()}


def settle(config: Config, found: Mapping[str, Callable[[], bool]]) -> tuple[Config, str | None]:
    """The config to run where something that it wants is not on this machine, and a line that says so.

    `found` says of each thing that a `fallback` can name whether it is here.
    """
    if config.fallback is None or found[config.fallback.without]():
        return config, None
    instead = without(config.fallback.use, keys(config.overrides))
    notice = f"{config.fallback.without} was not found, so this runs with {' '.join(instead)}"
    return compose((*config.overrides, "fallback=null", *instead)), notice


def diagnose(overrides: Sequence[str], error: Exception) -> Mistaken:
    """Hydra stops at the first mistake; this finds the others too, and the nearest valid choice for each."""
    mistakes: list[str] = []
    with _hydra(conf_dir()):
        kept = [kept for override in overrides if (kept := _forgiving(override, mistakes)) is not None]
        try:
            check({**_raw(hydra.compose("config", kept)), "overrides": ()}, before=mistakes)
        except Mistaken as found:
            return found
        except (HydraException, OmegaConfBaseException) as other:
            mistakes.append(_plain(other))
        else:
            mistakes.append(_plain(error))
    return Mistaken(mistakes)


def _forgiving(override: str, mistakes: list[str]) -> str | None:
    """An override that Hydra will not stumble over; its mistake is kept, or found by `check`."""
    try:
        parsed = parse(override)
        if len(expand([override])) > 1:
            raise ConfigError(f"{override}: several values are a sweep: add -m")
    except ConfigError as error:
        mistakes.append(str(error))
        return None
    group = parsed.key_or_group
    if parsed.is_delete() or group.startswith("hydra"):
        return override
    if group not in _loader().list_groups(""):
        # an unknown key is let in, for `check` to name it beside the nearest one that exists
        return f"++{override.lstrip('+')}"
    chosen = parsed.value()
    known = _loader().get_group_options(group)
    for option in chosen if isinstance(chosen, list) else [chosen]:
        if option is not None and str(option) not in known:
            mistakes.append(
                f"{group}={option}: no such option{nearest(str(option), known)} ({', '.join(known)})"
            )
            return None
    return override.lstrip("+")


def _plain(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else None
    lines = [line.strip() for part in (error, cause) if part for line in str(part).splitlines()]
    return "\n    ".join(line for line in lines if line and not line.startswith(("full_key", "object_type")))


def _loader() -> Any:
    return GlobalHydra.instance().config_loader()


def _hydra(conf: Path) -> Any:
    """Hydra as the command line started it, else started here, for tests and notebooks."""
    if GlobalHydra.instance().is_initialized():
        return nullcontext()
    return hydra.initialize_config_dir(str(conf), version_base="1.3", job_name="hsae")
