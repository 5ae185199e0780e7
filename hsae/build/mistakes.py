"""From a composed dictionary to a `Config`, or to every mistake in it, each with its key and its cure."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hsae.build.plugins import GROUPS, MANY, settings
from hsae.config import Config, Part, misfits
from hsae.errors import ConfigError


class Mistaken(ConfigError):
    """All that is wrong with one configuration, a line each."""

    def __init__(self, mistakes: Iterable[str]):
        self.mistakes = tuple(dict.fromkeys(mistakes))
        super().__init__(
            "this configuration cannot run:\n" + "\n".join(f"  {line}" for line in self.mistakes)
        )


def check(raw: Mapping[str, Any], *, before: Iterable[str] = ()) -> Config:
    """The typed configuration. Raises Mistaken with all that is wrong, and with `before`, found earlier."""
    mistakes, filled = list(before), {**{group: {} for group in MANY}, **raw}
    for group in GROUPS:
        if group in MANY:
            filled[group] = {name: _part(group, name, filled, mistakes) for name in filled[group]}
        elif group in filled:
            filled[group] = _part(group, None, filled, mistakes)
    try:
        config = Config.model_validate(filled)
    except ValidationError as error:
        mistakes += [describe(detail, raw, raw) for detail in error.errors()]
    else:
        mistakes += misfits(config) if not mistakes else []
        if not mistakes:
            return config
    raise Mistaken(mistakes)


def _part(group: str, name: str | None, raw: Mapping[str, Any], mistakes: list[str]) -> Part:
    """One plugin's settings; where they are wrong, the mistakes are kept and an empty part stands in."""
    given = raw[group] if name is None else raw[group][name]
    place = (group,) if name is None else (group, name)
    try:
        if not isinstance(given, Mapping) or (name is None and "name" not in given):
            raise ConfigError(f"{'.'.join(place)}: should be one of the options of its group, got {given!r}")
        return settings(group, name or str(given["name"])).model_validate(dict(given))
    except ValidationError as error:
        mistakes += [describe(detail, given, raw, place) for detail in error.errors()]
    except ConfigError as error:
        mistakes.append(str(error))
    return Part()


def describe(detail: ErrorDetails, given: Any, whole: Mapping[str, Any], place: tuple[str, ...] = ()) -> str:
    """One line: dotted key, what is wrong, what was given, what comes nearest."""
    path = list(_real(detail["loc"], given))
    key, value, kind = ".".join((*place, *map(str, path))), detail["input"], detail["type"]
    text = detail["msg"].removeprefix("Value error, ").replace("Input should", "should", 1)
    if kind == "extra_forbidden":
        return f"{key}: no such key{nearest_key(key, whole)}"
    if kind == "missing":
        return f"{'.'.join((*place, *map(str, detail['loc'])))}: is missing"
    if kind not in ("value_error", "assertion_error"):
        text += f", got {value!r}"
    if kind == "literal_error":
        text += nearest(str(value), _choices(detail))
    return f"{key}: {text}" if key else text


def nearest(word: str, choices: Iterable[str]) -> str:
    """`; did you mean topk?` or nothing."""
    found = get_close_matches(word, list(choices), 1, 0.6)
    return f"; did you mean {found[0]}?" if found else ""


def nearest_key(key: str, whole: Mapping[str, Any]) -> str:
    """The key of the configuration that looks most like this one, preferring its own neighbourhood."""
    keys = [known for known in _keys(whole) if known != key and not key.startswith(f"{known}.")]
    stem, _, leaf = key.rpartition(".")
    siblings = [known for known in keys if known.rpartition(".")[0] == stem]
    for known in get_close_matches(leaf, [sibling.rpartition(".")[2] for sibling in siblings], 1, 0.5):
        return f"; did you mean {stem}.{known}?" if stem else f"; did you mean {known}?"
    return nearest(key, keys) or nearest_leaf(leaf, keys)


def nearest_leaf(leaf: str, keys: list[str]) -> str:
    same = [known for known in keys if known.rpartition(".")[2] == leaf]
    return f"; did you mean {same[0]}?" if same else ""


def _keys(node: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in node.items():
        yield f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _keys(value, f"{prefix}{name}.")


def _real(loc: tuple[Any, ...], node: Any) -> Iterator[Any]:
    """The steps of pydantic's location that are in the data; it names branches of unions too."""
    for step in loc:
        within = isinstance(step, int) and isinstance(node, list | tuple) and step < len(node)
        if within or (isinstance(node, Mapping) and step in node):
            node = node[step]
            yield step


def _choices(detail: ErrorDetails) -> list[str]:
    expected = str(detail.get("ctx", {}).get("expected", ""))
    return [choice.strip().strip("'") for choice in expected.replace(" or ", ", ").split(",")]
