"""A world whose concepts are known Gaussians on a small tree, met in templates that push every activation."""

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import torch
import yaml
from torch import Tensor

from hsae.concepts import Concept, Taxonomy
from hsae.interpreters import Interpreter, Rows
from hsae.seeding import stream

D, SITES, ROOTS, CHILDREN = 8, 2, 3, 3
C = ROOTS * (1 + CHILDREN)
CONF = Path(__file__).parents[2] / "conf" / "interpreter"
VARIANTS = sorted(path.stem for path in CONF.glob("*.yaml") if path.stem != "none")
LEARNERS = ("hierarchical", "historical", "linear", "mlp", "multitask", "tokens")

SMALL = {
    "hidden": 32,
    "d_model": 16,
    "heads": 2,
    "feedforward": 32,
    "contrast": 8,
    "gloss_width": 64,
    "lr": 0.02,
    "batch": 64,
    "epochs": 15,
    "depth": 1,
}


def taxonomy() -> Taxonomy:
    """Three roots, then three children of each; a gloss names what the concept adds to an activation."""
    roots = [Concept(f"toy:{row}", f"root {row}", f"colour{row}") for row in range(ROOTS)]
    children = [
        Concept(
            f"toy:{row}",
            f"child {row}",
            f"colour{(row - ROOTS) // CHILDREN} shape{row}",
            parents=(f"toy:{(row - ROOTS) // CHILDREN}",),
        )
        for row in range(ROOTS, C)
    ]
    return Taxonomy([*roots, *children])


class World(NamedTuple):
    means: Tensor  # [concept width]
    spread: Tensor  # [width width]: noise of a row is normal @ spread
    push: Tensor  # [2 width]: a template adds normal @ push, the same for all its rows

    def rows(self, role: str, templates: int, each: int) -> Rows:
        """`each` rows of every concept in every template, the templates' offsets being the role's own."""
        g = stream(0, f"toy rows {role}")
        first = {"fit": 0, "tune": 1000, "test": 2000}[role]
        concept = torch.arange(C).repeat_interleave(templates * each)
        template = torch.arange(templates).repeat_interleave(each).repeat(C)
        offsets = torch.randn(templates, 2, generator=g) @ self.push
        noise = torch.randn(len(concept), SITES * D, generator=g) @ self.spread
        x = self.means[concept] + offsets[template] + noise
        return Rows(x.reshape(-1, SITES, D), concept, template + first)

    def optimum(self, rows: Rows) -> float:
        """Accuracy of the true Gaussians, means and covariance being known."""
        covariance = self.spread.T @ self.spread + self.push.T @ self.push
        precision = torch.linalg.inv(covariance)
        away = rows.x.flatten(1)[:, None] - self.means
        distance = torch.einsum("rcd,de,rce->rc", away, precision, away)
        return (distance.argmin(1) == rows.concept).float().mean().item()


@cache
def world() -> World:
    g = stream(0, "toy concepts")
    increments = torch.randn(C, SITES * D, generator=g)
    means = increments.clone()
    for row, parent in enumerate(taxonomy().parents):
        if parent >= 0:
            means[row] = means[parent] + increments[row]
    spread = torch.diag(torch.linspace(0.4, 1.2, SITES * D))
    return World(means + 3, spread, 0.7 * torch.randn(2, SITES * D, generator=g))


@cache
def roles() -> tuple[Rows, Rows, Rows]:
    toy = world()
    return toy.rows("fit", 10, 5), toy.rows("tune", 4, 4), toy.rows("test", 8, 5)


def make(variant: str, *overrides: str, seed: int = 0, d: int = D, sites: int = SITES) -> Interpreter:
    """An interpreter by the name of its YAML, but small."""
    module, settings = plugin(variant, *overrides)
    return module.build(settings, d=d, sites=sites, taxonomy=taxonomy(), seed=seed)


@cache
def plugin(variant: str, *overrides: str):
    """Module and settings: its YAML, made small, with overrides as they are typed (`interpreter.lr=1`)."""
    module = import_module(f"hsae.interpreters.{variant}")
    said = yaml.safe_load((CONF / f"{variant}.yaml").read_text())
    said |= {key: value for key, value in SMALL.items() if key in said}
    for override in overrides:
        key, _, value = override.removeprefix("interpreter.").partition("=")
        assert key in said, override
        said[key] = yaml.safe_load(value)
    return module, module.Settings.model_validate(said)


def fitted(
    variant: str,
    *overrides: str,
    fit: Rows | None = None,
    seed: int = 0,
    checkpoint: Path | None = None,
) -> Interpreter:
    """Fitted on the toy world to its end."""
    interpreter = make(variant, *overrides, seed=seed)
    for _ in interpreter.fit(fit or roles()[0], roles()[1], device="cpu", checkpoint=checkpoint):
        pass
    return interpreter


@cache
def ready(variant: str) -> Interpreter:
    """The same, for tests that only read it."""
    return fitted(variant)


def accuracy(interpreter: Interpreter, rows: Rows) -> float:
    return (interpreter.log_posterior(rows.x).argmax(1) == rows.concept).float().mean().item()
