"""Overrides as text: `sae.k=8`, `sae=topk,flat`, and lines of several."""

import itertools
import re
import shlex
from collections.abc import Iterable, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from hsae.artifact import Need
from hsae.errors import ConfigError


def key(override: str) -> str:
    """`++sae.k=8` -> `sae.k`."""
    return override.lstrip("+~").partition("=")[0].partition("@")[0].strip()


def without(overrides: Iterable[str], keys: Iterable[str]) -> tuple[str, ...]:
    """The overrides that touch none of these keys, nor anything below them."""
    banned = tuple(keys)
    return tuple(
        line
        for line in overrides
        if not any(key(line) == ban or key(line).startswith(f"{ban}.") for ban in banned)
    )


PROSE = ("job.text", "notes")
"""Keys whose value is a text for people: commas, brackets and apostrophes in it are no grammar."""


def literal(override: str) -> str:
    """`job.text=Is it, then?` as `job.text="Is it, then?"`, for the shell took the quotes.

    A value that stands in quotes of its own (or is nothing at all) is left to Hydra: so texts are swept.
    """
    name, sign, value = override.partition("=")
    if name.lstrip("+") not in PROSE or not sign or value in ("", "null") or _in_quotes(override):
        return override
    # a backslash means itself, but before what ends a text or begins an interpolation
    said = re.sub(r'(\\+)(?="|\$\{|\Z)', r"\1\1", value).replace('"', '\\"').replace("${", "\\${")
    return f'{name}="{said}"'


def _in_quotes(override: str) -> bool:
    value = override.partition("=")[2].strip()
    try:
        return value[:1] in "'\"" and value[-1:] in "'\"" and parse(override) is not None
    except ConfigError:
        return False


def parse(override: str) -> Override:
    """Hydra's reading of one override. Raises ConfigError for one that cannot be read."""
    try:
        return OverridesParser.create().parse_override(override)
    except HydraException as error:
        raise ConfigError(f"{override}: cannot be read; {_first_line(error)}") from None


def expand(line: str | Sequence[str]) -> list[tuple[str, ...]]:
    """A line of overrides as a sweep.

    >>> expand("job=train_sae sae=topk,flat")
    [('job=train_sae', 'sae=topk'), ('job=train_sae', 'sae=flat')]
    """
    axes: dict[str, list[str]] = {}
    for word in shlex.split(line) if isinstance(line, str) else line:
        override = parse(said := literal(word))
        name = override.get_key_element()
        if override.is_discrete_sweep():
            axes[name] = [f"{name}={value}" for value in override.sweep_string_iterator()]
        else:
            axes[name] = [said]
    return list(itertools.product(*axes.values()))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__


def keys(overrides: Iterable[str]) -> tuple[str, ...]:
    """The keys that these overrides speak of."""
    return tuple(key(override) for override in overrides)


def quoted(name: str, items: Sequence[str]) -> str:
    """An override that sets a list of texts: `job.of=['sae=topk seed=0']`."""
    texts = ("'" + item.replace("\\", "\\\\").replace("'", "\\'") + "'" for item in items)
    return f"{name}=[{','.join(texts)}]"


def needs_of(lines: Iterable[str]) -> dict[str, Need]:
    """The artifacts that lines of overrides speak of, for a job that looks back: the line itself -> Need."""
    needs: dict[str, Need] = {}
    for line in lines:
        for words in expand(line):
            job = next((word.partition("=")[2] for word in words if key(word) == "job"), None)
            if job is None:
                raise ConfigError(f"{line!r}: says no job=..., so it names no artifact")
            needs[" ".join(words)] = Need(job, tuple(word for word in words if key(word) != "job"))
    return needs
