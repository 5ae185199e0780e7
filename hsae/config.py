"""The whole configuration of one job, typed: every key is read by something, and checked before that."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from hsae.model_facts import ModelFacts
from hsae.site_names import ROLES, Role, check_layer, check_site, named, spread

TINY = Path(__file__).resolve().parent / "lm" / "tiny"
"""The language model inside the package, `model.path=tiny`."""


class Part(BaseModel):
    """A part of the configuration: frozen, and a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(Part):
    """The language model under study; its widths and depths come from its own files, never from YAML."""

    name: str
    path: str
    """`tiny` (the model inside the package), a directory, or a hub id."""
    revision: str | None
    untrained: bool
    """Random weights, of the run's seed, in the place of the trained ones; the tokenizer stays: a control."""

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
        return ModelFacts.of(said)


def _listed(said: Any) -> Any:
    """One of a thing that several can be named of: the only one of a list."""
    return said if said is None or isinstance(said, list | tuple) else (said,)


def _some(values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    if values is not None and not values:
        raise ValueError("is empty; null leaves the choice to layers.which")
    return values


Listed = BeforeValidator(_listed)


class Layers(Part):
    """Where in the LM: named sites, else layers by index, else a rule. The first that is given decides."""

    name: str
    which: Literal["first", "middle", "last", "thirds", "quartiles", "all"]
    role: Annotated[tuple[Role, ...], Listed, Field(min_length=1)]
    """One place in each of the layers, or several: `[attn_out,mlp_out]`."""
    indices: Annotated[
        tuple[Annotated[int | str, BeforeValidator(check_layer)], ...] | None, Listed, AfterValidator(_some)
    ]
    """Layers from 0, negative ones from the end, ranges with both ends: `3`, `[0,-1]`, `0-11:2`, `4..-1`."""
    sites: Annotated[
        tuple[Annotated[str, AfterValidator(check_site)], ...] | None, Listed, AfterValidator(_some)
    ]
    """`embed`, `resid_post.-1`, `mlp_act.0-11:2`, or a module by its path: what it returns, as in
    `out:model.layers.3.mlp`, or what it reads, `in:model.layers.3.mlp`."""

    def numbers(self, layers: int) -> list[int]:
        """The layers that the rule or the indices pick in a model of `layers` layers."""
        if self.indices is not None:
            return list(dict.fromkeys(layer for said in self.indices for layer in spread(said, layers)))
        last = layers - 1
        parts = {"thirds": 3, "quartiles": 4}
        if self.which in parts:
            shares = range(1, parts[self.which])
            return sorted({round(last * share / parts[self.which]) for share in shares})
        return list({"first": [0], "middle": [last // 2], "last": [last]}.get(self.which, range(layers)))

    def resolve(self, layers: int) -> list[str]:
        """Names of sites (`resid_post.3`) in a model of `layers` layers, each once, in the order they were
        asked for."""
        if self.sites is None:
            return [f"{role}.{number}" for number in self.numbers(layers) for role in self.role]
        return list(dict.fromkeys(name for site in self.sites for name in named(site, layers)))


class Stage(Part):
    """One round of the encyclopedia: which contexts it adds, and after which stage."""

    name: str
    number: NonNegativeInt
    after: str | None
    contexts: Annotated[tuple[str, ...], Listed, Field(min_length=1)]
    """The makers whose texts this stage reads: all of the first, then of the next."""
    rounds: NonNegativeInt
    """0 reads all their contexts of every concept; else that many times some more, of the concepts that the
    policy picks."""
    each: PositiveInt
    """Contexts more, in a round, for each concept that is picked."""
    share: Annotated[float, Field(gt=0, le=1)]
    """Of the concepts that are not done, the part that a round picks."""
    budget: PositiveInt | None
    """Tokens that the stage may read, at most; null sets no limit."""


class Stop(Part):
    """What it takes to be done with a concept; see `hsae.encyclopedia.refinement.stopping`."""

    looks: tuple[PositiveInt, ...]
    """Contexts at which a concept is judged; the last is all that is read of it."""
    alpha: Annotated[float, Field(gt=0, lt=1)]
    """Chance of a wrong bound over all looks."""
    error: PositiveFloat
    """Largest upper bound of the relative error; 1/3 is a reliability of 0.9."""
    templates: PositiveInt
    sources: PositiveInt
    """Different templates, and sources, that a concept must have been read in."""
    hopeless_after: PositiveInt
    """Contexts before a concept may be called dead."""
    hopeless_p: Annotated[float, Field(gt=0, lt=1)]
    """It is, if contexts with nothing in common would set it apart as far with a higher probability."""


class Kept(Part):
    """What an encyclopedia keeps of each concept, and when a refinement is done with it."""

    name: str
    poolings: Annotated[tuple[Literal["span", "last", "mean"], ...], Listed, Field(min_length=1)]
    """Which tokens' mean is the vector of a context; the first is what readers take if they name none."""
    sample: NonNegativeInt
    """Raw rows that are kept of each concept and role, at most."""
    controls: NonNegativeInt
    """So many pseudo-words, placeholders and concepts under another's gloss are read beside the concepts."""
    stop: Stop
    path: str | None
    """A file of HatCat that stands for the encyclopedia: it is imported instead of bootstrapped."""

    @property
    def made_by(self) -> str:
        """The job that makes the encyclopedia which others read."""
        return "import_historical" if self.path else "bootstrap"


class Capture(Part):
    """How a corpus is read by the LM and what is kept of it: the same for a store and for a stream."""

    name: str
    context: Annotated[int, Field(ge=2)]
    """Tokens that the model sees at once, those that the tokenizer puts around a text included."""
    packing: Literal["documents", "concatenated"]
    """Whether a window holds (a piece of) one document, or is filled up with the next ones, which then see
    it."""
    dtype: Literal["float16", "bfloat16", "int8"]
    """Of the activations in a store; int8 with a scale for each row."""
    outliers: Annotated[float, Field(gt=1)] | None
    """Rows whose norm is above so many times the site's median are dropped and counted; null keeps all."""


class Train(Part):
    """How much a dictionary is trained, whatever its kind; its learning rate is its own (`sae.lr`)."""

    name: str
    source: Literal["store", "stream"]
    """`store`: the rows that job=extract has written; `stream`: straight from the LM, nothing on disk."""
    pool: PositiveInt
    """Rows of a stream that lie in memory at once, for the batches to be mixed from; those of a store are
    mixed on the disk."""
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
    processes: PositiveInt
    """Processes that share one job, each with a GPU of its own where there are as many."""


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
    site: Annotated[str, AfterValidator(check_site)] | None
    """The one of `layers` that an SAE learns, or a teacher stands at; null where there is only one."""
    stage: Stage
    encyclopedia: Kept
    capture: Capture
    train: Train
    hardware: Hardware
    job: Plugin
    concepts: Plugin
    contexts: dict[str, Plugin]
    corpus: Plugin
    teacher: Plugin
    sae: Plugin
    policy: Plugin
    interpreter: Plugin
    evaluations: dict[str, Plugin]
    dimension: Plugin
    logger: Plugin

    @property
    def studied(self) -> "Config":
        """The same with `layers` narrowed to `site`, where one is named."""
        if self.site is None:
            return self
        return self.model_copy(
            update={"layers": self.layers.model_copy(update={"sites": (self.site,)}), "site": None}
        )


def misfits(config: Config) -> Iterator[str]:
    """What is wrong between the parts of a configuration whose parts are each right."""
    facts = config.model.facts()
    for wanted in config.stage.contexts:
        if wanted not in config.contexts:
            known = ", ".join(config.contexts)
            yield f"stage.contexts: the contexts {wanted!r} are not among those chosen: contexts=[{known}]"
    if config.stage.rounds and config.stage.after is None:
        yield "stage.rounds: a refinement needs an encyclopedia to refine, and stage.after names none"
    if facts is not None:
        yield from _misplaced(config, facts)
        yield from _elsewhere(config, facts)
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
    if layers.sites is None:
        asked = [("indices", "layer ", said, said) for said in layers.indices or ()]
    else:
        split = [site.partition(".") for site in layers.sites]
        asked = [
            ("sites", f"{role}.", number, f"{role}.{number}") for role, _, number in split if role in ROLES
        ]
    for key, what, said, whole in asked:
        found = spread(said, facts.layers)
        outside = [layer for layer in (*found[:1], *found[-1:]) if not 0 <= layer < facts.layers]
        if not found:
            yield f"layers.{key}: {whole} is empty; {inside}"
        for layer in outside[:1]:
            # a negative index is told as it was typed
            yield f"layers.{key}: there is no {what}{layer if layer >= 0 else layer - facts.layers}; {inside}"
    for site in layers.resolve(facts.layers):
        if (role := site.partition(".")[0]) in facts.lacks:
            key = "sites" if layers.sites else "role"
            yield f"layers.{key}: {model} has no {site}: {facts.lacks[role]}"


def _elsewhere(config: Config, facts: ModelFacts) -> Iterator[str]:
    """A `site` that is several, or none of those that `layers` chooses."""
    if config.site is None:
        return
    found, chosen = named(config.site, facts.layers), config.layers.resolve(facts.layers)
    if len(found) != 1:
        yield f"site: {config.site} is {len(found)} sites; name one, or sweep: site=a,b -m"
    elif found[0] not in chosen:
        yield f"site: {found[0]} is not one of the sites that layers chooses: {', '.join(chosen)}"


def _too_many_active(sae: Any, facts: ModelFacts | None) -> Iterator[str]:
    """More latents active at a time than there are latents; the width of the model may have to be known."""
    k, latents, expansion = (getattr(sae, key, None) for key in ("k", "latents", "expansion"))
    if latents is None and expansion is not None and facts is not None:
        latents = round(expansion * facts.d)
    if isinstance(k, int) and isinstance(latents, int) and k > latents:
        counted = "" if getattr(sae, "latents", None) else " (sae.expansion x the width of the model)"
        yield f"sae.k: {k} latents cannot be active: the SAE has {latents}{counted}"
