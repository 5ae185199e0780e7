"""The whole configuration of one job, typed: every key is read by something, and checked before that."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

ROLES = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out")
"""Places in each layer of an LM; `embed` and `final_norm` stand before and after them all."""

TINY = Path(__file__).resolve().parent / "lm" / "tiny"
"""The language model inside the package, `model.path=tiny`."""


class Part(BaseModel):
    """A part of the configuration: frozen, and a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelFacts(NamedTuple):
    """What a model's own config.json says of it, under whichever of the field's names."""

    layers: int
    d: int
    context: int | None
    vocabulary: int | None
    parallel: bool
    """Attention and MLP read the same stream, so that there is no `resid_mid` between them."""


class Model(Part):
    """The language model under study; its widths and depths come from its own files, never from YAML."""

    name: str
    path: str
    """`tiny` (the model inside the package), a directory, or a hub id."""
    revision: str | None

    def folder(self) -> Path | None:
        """Where the model's files lie on this machine, as far as that is known without a network."""
        if self.path == "tiny":
            return TINY
        if (local := Path(self.path).expanduser()).is_dir():
            return local
        home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
        cached = (
            Path(os.environ.get("HF_HUB_CACHE", home / "hub")) / f"models--{self.path.replace('/', '--')}"
        )
        branch = cached / "refs" / (self.revision or "main")
        snapshot = branch.read_text().strip() if branch.is_file() else self.revision or ""
        return cached / "snapshots" / snapshot if snapshot else None

    def facts(self) -> ModelFacts | None:
        """The model's size where its config.json is at hand, else None; nothing heavy is imported."""
        folder = self.folder()
        if folder is None or not (folder / "config.json").is_file():
            return None
        try:
            said = json.loads((folder / "config.json").read_text())
            said |= said.get("text_config") or {}  # a model of text and images keeps its text half there
        except (ValueError, TypeError, AttributeError, OSError):
            return None
        layers, d = (
            _first(said, "num_hidden_layers", "n_layer"),
            _first(said, "hidden_size", "n_embd", "d_model"),
        )
        if layers is None or d is None:
            return None
        return ModelFacts(
            layers=layers,
            d=d,
            context=_first(said, "max_position_embeddings", "n_positions", "n_ctx"),
            vocabulary=_first(said, "vocab_size"),
            parallel=bool(said.get("use_parallel_residual", said.get("model_type") in PARALLEL)),
        )


PARALLEL = {"gpt_neox", "gptj", "phi", "cohere", "falcon"}
"""Architectures whose blocks add attention and MLP to the same stream."""


def _first(said: dict[str, Any], *names: str) -> int | None:
    return next((int(said[name]) for name in names if isinstance(said.get(name), int)), None)


def _site(name: str) -> str:
    role, _, number = name.partition(".")
    if name not in ("embed", "final_norm") and not (role in ROLES and number.isdecimal()):
        raise ValueError(f"there is no site {name!r}; sites are embed, final_norm and {'.N, '.join(ROLES)}.N")
    return name


def _some(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise ValueError("is empty; null leaves the choice to layers.which")
    return values


class Layers(Part):
    """Where in the LM: named sites, else layers by index, else a rule. The first that is given decides."""

    name: str
    which: Literal["first", "middle", "last", "quartiles", "all"]
    role: Literal["resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out"]
    indices: Annotated[tuple[int, ...], AfterValidator(_some)] | None
    """Layers from 0; negative ones count from the end."""
    sites: Annotated[tuple[Annotated[str, AfterValidator(_site)], ...], AfterValidator(_some)] | None

    def numbers(self, layers: int) -> list[int]:
        """The layers that the rule or the indices pick in a model of `layers` layers."""
        if self.indices is not None:
            return [index + layers if index < 0 else index for index in self.indices]
        last = layers - 1
        rules = {"first": [0], "middle": [last // 2], "last": [last], "all": range(layers)}
        quartiles = sorted({round(last * quarter / 4) for quarter in (1, 2, 3)})
        return list(rules.get(self.which, quartiles))

    def resolve(self, layers: int) -> list[str]:
        """Names of sites (`resid_post.3`) in a model of `layers` layers."""
        if self.sites is not None:
            return list(self.sites)
        return [f"{self.role}.{number}" for number in self.numbers(layers)]


class Stage(Part):
    """One round of the encyclopedia: which contexts it adds, and after which stage."""

    name: str
    number: NonNegativeInt
    after: str | None
    contexts: str
    """The context maker whose texts this stage reads."""


class Train(Part):
    """How much a dictionary is trained, whatever its kind; its learning rate is its own (`sae.lr`)."""

    name: str
    tokens: PositiveInt
    """Rows of activations seen, counting repetitions."""
    batch: PositiveInt
    warmup: Annotated[float, Field(ge=0, le=1)]
    """Share of the steps in which the learning rate rises from 0."""
    decay: Annotated[float, Field(ge=0, le=1)]
    """Share of the steps, at the end, in which it falls to 0."""
    log_every: PositiveInt
    """Tokens between two lines of the log."""
    save_every: PositiveInt
    """Tokens between two checkpoints that a killed job resumes from."""


def _device(name: str) -> str:
    kind, _, number = name.partition(":")
    if kind not in ("auto", "cpu", "mps", "cuda") or (
        ":" in name and not (kind == "cuda" and number.isdecimal())
    ):
        raise ValueError(f"there is no device {name!r}; devices are auto, cpu, mps, cuda and cuda:N")
    return name


class Hardware(Part):
    """Where and how fast: none of it enters an artifact's fingerprint."""

    name: str
    device: Annotated[str, AfterValidator(_device)]
    """`auto`, `cpu`, `mps`, `cuda` or `cuda:1`."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"]
    threads: PositiveInt | None
    """CPU threads of torch; null leaves torch's own choice."""
    batch_tokens: PositiveInt
    """Tokens in one forward pass of the LM."""


class Fallback(Part):
    """What an experiment does where WordNet's data cannot be found."""

    without: Literal["wordnet"]
    use: tuple[str, ...]
    """Overrides that replace the choices which need it; the command line still beats them."""


def _part(value: Any) -> Any:
    if not isinstance(value, Part):
        raise ValueError("Input should be the settings of a plugin, as hsae.build.compose makes them")
    return value


Plugin = Annotated[Any, AfterValidator(_part)]
"""Settings of the file that the option is named after (`sae=topk`: `Settings` in hsae/sae/topk.py)."""


class Config(Part):
    """One job and everything it may read. Made by `hsae.build.compose(["job=extract", "sae.k=8", ...])`."""

    seed: Annotated[int, Field(ge=0, lt=2**63)]
    name: str | None
    """A label for people: groups the runs in W&B and heads the report."""
    force: bool
    dry_run: bool
    tags: tuple[str, ...]
    notes: str | None
    outputs: Annotated[str, Field(min_length=1)]
    steps: tuple[str, ...]
    """Lines of overrides that job=pipeline runs in order, each as a sweep: `job=train_sae sae=topk,flat`."""
    fallback: Fallback | None
    overrides: tuple[str, ...] = ()
    """What this was composed from; part of no fingerprint."""

    model: Model
    layers: Layers
    stage: Stage
    train: Train
    hardware: Hardware
    job: Plugin
    concepts: Plugin
    contexts: dict[str, Plugin]
    corpus: Plugin
    teacher: Plugin
    sae: Plugin
    interpreter: Plugin
    evaluations: dict[str, Plugin]
    dimension: Plugin
    logger: Plugin


def misfits(config: Config) -> Iterator[str]:
    """What is wrong between the parts of a configuration whose parts are each right."""
    facts = config.model.facts()
    if config.stage.contexts not in config.contexts:
        wanted, known = config.stage.contexts, ", ".join(config.contexts)
        yield f"stage.contexts: the contexts {wanted!r} are not among those chosen: contexts=[{known}]"
    if facts is not None:
        yield from _misplaced(config, facts)
    yield from _too_many_active(config.sae, facts)
    yield from _untrainable(config.train)


def _untrainable(train: Train) -> Iterator[str]:
    """Budgets that hold no step, and schedules that fall before they have risen."""
    if train.tokens < train.batch:
        yield f"train.tokens: {train.tokens} is less than one train.batch={train.batch}"
    if train.warmup + train.decay > 1:
        yield f"train.warmup: {train.warmup} and train.decay={train.decay} are more than the whole training"


def _misplaced(config: Config, facts: ModelFacts) -> Iterator[str]:
    """Layers and sites that the model does not have."""
    model, layers = config.model.path, config.layers
    inside = f"{model} has layers 0..{facts.layers - 1}"
    for index in layers.indices or () if layers.sites is None else ():
        if not -facts.layers <= index < facts.layers:
            yield f"layers.indices: there is no layer {index}; {inside}"
    for site in layers.resolve(facts.layers):
        role, _, number = site.partition(".")
        if layers.sites is not None and number and int(number) >= facts.layers:
            yield f"layers.sites: there is no {site}; {inside}"
        if role == "resid_mid" and facts.parallel:
            key = "sites" if layers.sites else "role"
            yield f"layers.{key}: {model} has no {site}: its blocks add attention and MLP at once"


def _too_many_active(sae: Any, facts: ModelFacts | None) -> Iterator[str]:
    """More latents active at a time than there are latents; the width of the model may have to be known."""
    k, latents, expansion = (getattr(sae, key, None) for key in ("k", "latents", "expansion"))
    if latents is None and expansion is not None and facts is not None:
        latents = round(expansion * facts.d)
    if isinstance(k, int) and isinstance(latents, int) and k > latents:
        counted = "" if getattr(sae, "latents", None) else " (sae.expansion x the width of the model)"
        yield f"sae.k: {k} latents cannot be active: the SAE has {latents}{counted}"
