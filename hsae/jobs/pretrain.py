"""Trains a small language model from nothing on a corpus; the one inside the package was made by this job.

    hsae job=pretrain corpus=wordnet

The result is an ordinary model folder (`model.path=<it>`) with a card that says what it was made from and
what it knows.
"""

import math
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from hsae import build
from hsae.artifact import Need
from hsae.config import Config, Part
from hsae.errors import UserError

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    from hsae.execute import Job
    from hsae.lm.pretraining import Step, Tokenised

WRITES = "lm"
FORMAT = 1
HELD_OUT_TOKENS = 60_000
LOG_EVERY = 50  # steps
CLOZE_NOTE = """\
Cloze: after "a beagle is a kind of", is one of the single words that name the noun's hypernym among the ten
likeliest next words? Asked only of nouns of which no sentence of the corpus states it, though a gloss may.
Neighbours: cosine of mean activations over eight sentences, after half of the layers.
"""


class Settings(Part):
    """Sizes of the tokenizer and the model, and how long it is trained."""

    name: Literal["pretrain"]
    vocabulary: Annotated[int, Field(ge=300, le=65_536)]
    d: PositiveInt
    layers: PositiveInt
    heads: PositiveInt
    mlp: PositiveInt
    context: Annotated[int, Field(ge=8)]
    tokens: PositiveInt
    batch: PositiveInt
    lr: PositiveFloat
    weight_decay: NonNegativeFloat
    clip: PositiveFloat
    save_every: PositiveInt
    questions: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _fits(self) -> "Settings":
        if self.d % (2 * self.heads):
            raise ValueError(
                f"d={self.d} must be a multiple of twice heads={self.heads}: rotary positions come in pairs"
            )
        if self.tokens < self.context * self.batch:
            raise ValueError(
                f"tokens={self.tokens} is less than one step of context*batch={self.context * self.batch}"
            )
        return self


def needs(config: Config) -> dict[str, Need]:  # noqa: ARG001
    return {}


def choices(config: Config) -> dict[str, object]:
    settings = config.job.model_dump(exclude={"save_every"})
    return {"settings": settings, "corpus": config.corpus.model_dump(exclude={"tokens"}), "seed": config.seed}


def slug(config: Config) -> str:
    return f"{config.corpus.name}-d{config.job.d}-l{config.job.layers}-seed{config.seed}"


def estimate(config: Config) -> dict[str, int]:
    settings = config.job
    block = 4 * settings.d**2 + 3 * settings.d * settings.mlp + 2 * settings.d
    parameters = settings.vocabulary * settings.d + settings.layers * block + settings.d
    step = settings.batch * settings.context
    return {
        "parameters": parameters,
        "tokens": settings.tokens,
        "bytes": 2 * parameters,
        "scratch": 2 * 12 * parameters,  # checkpoints with two moments, one written beside the other
        "lm_flops": 6 * parameters * settings.tokens,
        # weights, gradients and moments; of a step, the logits with their gradient and each block's insides
        "memory": 16 * parameters
        + 4 * step * (3 * settings.vocabulary + settings.layers * (12 * settings.d + 4 * settings.mlp)),
    }


def run(job: "Job") -> dict[str, int | float | str]:
    from hsae.lm.pretraining import CHECKPOINT, new_model, tokenise, train_tokenizer

    settings = job.config.job
    device, dtype = _hardware(job.config)
    texts = _texts(job)
    job.say(f"{len(texts['train'])} documents to train on, {len(texts['valid'])} held out")
    tokenizer = train_tokenizer(texts["train"], vocabulary=settings.vocabulary, context=settings.context)
    if len(tokenizer) < settings.vocabulary:
        job.say(f"the corpus has only {len(tokenizer)} of the {settings.vocabulary} tokens asked for")
    train, valid = (tokenise(tokenizer, texts[split]) for split in ("train", "valid"))
    shape = settings.model_dump(include={"d", "layers", "heads", "mlp", "context"})
    model = new_model(vocabulary=len(tokenizer), **shape, seed=job.config.seed, device=device)
    untrained = _held_out(model, valid, settings) | _ask(job, model, tokenizer)
    _train(job, model, train, valid, dtype)
    found = _held_out(model, valid, settings) | _ask(job, model, tokenizer)
    compared = ("perplexity", "cloze", "neighbours")
    found |= {f"untrained_{key}": value for key, value in untrained.items() if key in compared}
    if "cloze" in found:
        found |= _guesses(job.config)
    model.cpu().half().save_pretrained(job.out)
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(job.out)
    card = _card(job.config, found, train_tokens=len(train.ids), computed=_computed(device, dtype))
    (job.out / "README.md").write_text(card)
    (job.out / CHECKPOINT).unlink(missing_ok=True)
    return found


def _hardware(config: Config) -> tuple[str, "torch.dtype"]:
    """Where to compute, and in what the forward passes of training are.

    Raises UserError for float16: small gradients vanish in it.
    """
    from hsae.hardware import device, dtype

    found = device(config.hardware.device)
    if config.hardware.dtype == "float16":
        raise UserError(
            "hardware.dtype=float16 was asked for, in which the small gradients of a training vanish.\n"
            "Type: hardware.dtype=bfloat16, or hardware.dtype=float32"
        )
    return found, dtype(config.hardware.dtype, found)


def _computed(device: str, dtype: "torch.dtype") -> str:
    import torch

    where = torch.cuda.get_device_name(device) if device.startswith("cuda") else device.upper()
    return f"{where}, in {str(dtype).removeprefix('torch.')}"


def _texts(job: "Job") -> dict[str, list[str]]:
    """The corpus by split; the test split stays unread."""
    from hsae.corpora import SHARES, Skipped, split

    corpus, settings = build.plugin("corpus", job.config.corpus)
    texts: dict[str, list[str]] = {name: [] for name in SHARES}
    skipped: list[Skipped] = []
    for document in corpus.documents(settings, seed=job.config.seed):
        if isinstance(document, Skipped):
            skipped.append(document)
        else:
            texts[split(document.id)].append(document.text)
    if skipped:
        job.say(f"{len(skipped):,} documents were passed over, such as {skipped[0].id}: {skipped[0].why}")
    if not (texts["train"] and texts["valid"]):
        total = sum(map(len, texts.values()))
        raise UserError(
            f"of the corpus's {total} documents, {len(texts['train'])} are to train on and "
            f"{len(texts['valid'])} held out: neither may be none.\nTake a corpus of more documents."
        )
    return texts


def _train(
    job: "Job", model: "LlamaForCausalLM", train: "Tokenised", valid: "Tokenised", dtype: "torch.dtype"
) -> None:
    from hsae.lm.pretraining import Optimiser, fit, held_out_loss, load_checkpoint, save_checkpoint, windows

    settings = job.config.job
    steps = settings.tokens // (settings.context * settings.batch)
    if len(train.ids) <= settings.context * settings.batch:
        raise UserError(
            f"the corpus has {len(train.ids)} tokens to train on, less than one step of "
            f"job.context*job.batch={settings.context * settings.batch}.\n"
            "Take a larger corpus or a smaller job.batch."
        )
    optimiser = Optimiser(model, lr=settings.lr, weight_decay=settings.weight_decay, steps=steps)
    start = load_checkpoint(job.out, model, optimiser)
    job.log.rewind(start * settings.context * settings.batch)
    batches = windows(train, context=settings.context, batch=settings.batch, seed=job.config.seed, skip=start)
    stepping = fit(model, batches, optimiser, start=start, clip=settings.clip, dtype=dtype)
    for step in job.progress(stepping, total=steps - start, desc="pretrain"):
        saves = step.number % settings.save_every == 0 or step.number == steps
        if step.number % LOG_EVERY == 0:
            job.log.scalars({"lm/loss": _finite(step, settings.lr)}, tokens=step.tokens)
        if saves:
            _finite(step, settings.lr)
            loss = held_out_loss(
                model, valid, context=settings.context, batch=settings.batch, limit=HELD_OUT_TOKENS
            )
            job.log.scalars({"lm/held_out_loss": loss, "lm/perplexity": math.exp(loss)}, tokens=step.tokens)
            save_checkpoint(job.out, model, optimiser, step=step.number)


def _finite(step: "Step", lr: float) -> float:
    """The loss of a step. Not asked at every step: it waits for the GPU, and a loss that is not finite
    makes the weights so too, hence all losses after it.

    Raises UserError for one that is not finite.
    """
    loss = float(step.loss)
    if not math.isfinite(loss):
        raise UserError(f"the loss is {loss} by step {step.number}.\nTry a smaller job.lr than {lr}.")
    return loss


def _held_out(model: "LlamaForCausalLM", valid: "Tokenised", settings: Any) -> dict[str, int | float | str]:
    from hsae.lm.pretraining import held_out_loss

    loss = held_out_loss(
        model,
        valid,
        context=settings.context,
        batch=settings.batch,
        limit=min(HELD_OUT_TOKENS, len(valid.ids) - 1),
    )
    return {"held_out_loss": loss, "perplexity": math.exp(loss), "parameters": model.num_parameters()}


def _ask(
    job: "Job", model: "LlamaForCausalLM", tokenizer: "PreTrainedTokenizerFast"
) -> dict[str, int | float | str]:
    """Cloze and neighbours; only the WordNet corpus has questions whose answers it never states."""
    from hsae.lm.cloze import Question, cloze, mean_vectors, neighbours_share
    from hsae.stats import wilson

    if job.config.corpus.name != "wordnet" or not job.config.job.questions:
        return {}
    from hsae.concepts.wordnet import families
    from hsae.corpora.wordnet import questions

    asked = [Question(*question) for question in questions(seed=job.config.seed)[: job.config.job.questions]]
    right = cloze(model, tokenizer, asked)
    low, high = wilson(sum(right), len(right))
    words = families()
    vectors = mean_vectors(model, tokenizer, [word for word, _ in words], layer=job.config.job.layers // 2)
    share, chance = neighbours_share(vectors, [parent for _, parent in words])
    return {
        "cloze": sum(right) / len(right),
        "cloze_low": low,
        "cloze_high": high,
        "cloze_questions": len(right),
        "neighbours": sum(share) / len(share),
        "neighbours_chance": chance,
        "neighbours_words": len(words),
    }


def _guesses(config: Config) -> dict[str, int | float | str]:
    """What answering every question with the ten commonest hypernyms would score."""
    from hsae.corpora.wordnet import questions, stated_answers
    from hsae.lm.cloze import Question, constant_guess

    asked = [Question(*question) for question in questions(seed=config.seed)[: config.job.questions]]
    right = constant_guess(stated_answers(), asked)
    return {"constant_guess_cloze": sum(right) / len(right)}


def _command(config: Config) -> str:
    """What a person types to make the same model: what was said of the corpus and of the job's settings."""
    typed = zip(build.keys(config.overrides), config.overrides, strict=True)
    said = [override for key, override in typed if key.startswith(("corpus.", "job."))]
    return shlex.join(["hsae", "job=pretrain", f"corpus={config.corpus.name}", f"seed={config.seed}", *said])


def _card(config: Config, found: Mapping[str, Any], *, train_tokens: int, computed: str) -> str:
    """The model card."""
    settings, of = config.job, {"seed": config.seed, **found}
    passes = settings.tokens / train_tokens
    shape = (
        f"{settings.layers} layers of width {settings.d}, {settings.heads} heads, context {settings.context}"
    )
    lines = [
        f"# A small language model trained on the corpus `{config.corpus.name}`",
        "",
        f"Made by `{_command(config)}`",
        f"on {computed}; peak learning rate {settings.lr}, weight decay {settings.weight_decay}, "
        f"batches of {settings.batch} windows.",
        f"A Llama-shaped causal LM of {of['parameters']:,} parameters ({shape}),",
        f"with a byte-level BPE tokenizer of {settings.vocabulary:,} tokens; weights in float16.",
        f"Trained on {settings.tokens:,} tokens, {passes:.1f} times the {train_tokens:,} of the split train.",
        "What stands here was measured on documents of the split valid, which were never trained on.",
        "",
        "| measure | this model | untrained | without a model |",
        "|---|---|---|---|",
        f"| perplexity per token | {of['perplexity']:.1f} | {of['untrained_perplexity']:,.0f} | |",
    ]
    if "cloze" in of:
        lines += [_cloze_row(of), _neighbours_row(of), "", CLOZE_NOTE]
    return "\n".join(lines) + "\n"


def _cloze_row(of: Mapping[str, Any]) -> str:
    interval = f"[{of['cloze_low']:.1%}, {of['cloze_high']:.1%}]"
    guess = f"{of['constant_guess_cloze']:.1%}, always the ten commonest hypernyms"
    asked = f"cloze, {of['cloze_questions']:,} nouns"
    return f"| {asked} | {of['cloze']:.1%} {interval} | {of['untrained_cloze']:.1%} | {guess} |"


def _neighbours_row(of: Mapping[str, Any]) -> str:
    words = f"nearest five of {of['neighbours_words']:,} common nouns under the same parent"
    chance = f"{of['neighbours_chance']:.1%}, chance"
    return f"| {words} | {of['neighbours']:.1%} | {of['untrained_neighbours']:.1%} | {chance} |"
