"""A plugin is a file; its keys are the class `Settings` in it, which is read here without importing the file.

So a wrong key is refused in milliseconds, although the plugin may need torch, transformers or a data set.
"""

import ast
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pydantic import create_model

from hsae.config import Part
from hsae.errors import ConfigError

GROUPS = {
    "job": "jobs",
    "concepts": "concepts",
    "contexts": "contexts",
    "corpus": "corpora",
    "teacher": "geometry",
    "sae": "sae",
    "policy": "policies",
    "interpreter": "interpreters",
    "evaluations": "evaluations",
    "dimension": "dimension",
    "logger": "loggers",
}
"""Group of the configuration -> the package whose files are its options."""

MANY = ("contexts", "evaluations")
"""Groups of which several options are chosen at once: `evaluations=[splice,recovery]`."""

LIGHT = {
    "annotated_types",
    "enum",
    "math",
    "pathlib",
    "pydantic",
    "re",
    "typing",
    "hsae.config",
    "hsae.errors",
}
"""What a `Settings` may be written with: nothing that costs time to import."""


def plugin(group: str, part: Part, *, name: str | None = None) -> tuple[ModuleType, Part]:
    """The module behind a part of the config, now imported, and the part as that module's own `Settings`.

    `name` is for the groups of many, whose parts are filed under their names and carry none.
    """
    chosen = name if name is not None else getattr(part, "name")  # noqa: B009  a Part of its own kind has a name
    module = import_module(f"hsae.{GROUPS[group]}.{chosen}")
    return module, module.Settings.model_validate(part.model_dump())


def settings(group: str, name: str) -> type[Part]:
    """The class `Settings` of a plugin, read from its source. Raises ConfigError where there is no file."""
    if name == "none":
        return create_model("Settings", __base__=Part, name=(Literal["none"], ...))
    module = f"hsae.{GROUPS[group]}.{name}"
    if _file(module) is None:
        raise ConfigError(f"{group}={name}: no file hsae/{GROUPS[group]}/{name}.py stands behind it")
    return read_class(module, "Settings")


def _file(module: str) -> Path | None:
    """The source of a module; only the package that it is in may have been imported for this."""
    package, _, name = module.rpartition(".")
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (file := Path(folder) / f"{name}.py").is_file():
            return file
    return None


@cache
def read_class(module: str, name: str) -> Any:
    """A class, or a type that one is written with, out of a module's source, executed with the few light
    names that it uses and nothing else.

    Base classes imported from another file of this package are read from that file in the same way.
    """
    file = _file(module)
    if file is None:
        raise TypeError(f"Settings may be built on a class in a file of hsae, and {module} is none")
    stands = _top_level(ast.parse(file.read_text()))
    namespace: dict[str, Any] = {"__name__": module}
    for needed in _needed(stands, name):
        node = stands[needed]
        if isinstance(node, ast.ImportFrom) and _heavy(node):
            alias = next(alias for alias in node.names if (alias.asname or alias.name) == needed)
            namespace[needed] = read_class(node.module or "", alias.name)
        else:
            code = compile(ast.Module([_light(node, file)], []), str(file), "exec")
            exec(code, namespace)  # a class of our own source, picked out of it
    return namespace[name]


def _top_level(tree: ast.Module) -> dict[str, ast.stmt]:
    """Name -> the statement at the top of the file that gives it its meaning."""
    names: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.split(".")[0]: node for alias in node.names}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            names[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    return names


def _needed(stands: dict[str, ast.stmt], name: str) -> Iterator[str]:
    """The names that `name` is made of, each after those that it needs itself."""
    seen: set[str] = set()

    def visit(wanted: str) -> Iterator[str]:
        if wanted in seen or wanted not in stands:
            return
        seen.add(wanted)
        node = stands[wanted]
        if not isinstance(node, ast.Import | ast.ImportFrom):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Name):
                    yield from visit(inner.id)
        yield wanted

    yield from visit(name)


def _heavy(node: ast.ImportFrom) -> bool:
    return (node.module or "").startswith("hsae.") and node.module not in LIGHT


def _light(node: ast.stmt, file: Path) -> ast.stmt:
    modules = []
    if isinstance(node, ast.ImportFrom):
        modules = [node.module or ""]
    elif isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    if heavy := [module for module in modules if module not in LIGHT]:
        raise TypeError(
            f"{file}: Settings must be readable without importing {heavy[0]}; it may use {sorted(LIGHT)}"
        )
    return node
