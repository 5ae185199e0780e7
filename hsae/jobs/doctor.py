"""Looks at a model before it is worked with: its sites, norms, sinks, what each dtype can hold, memory.

hsae job=doctor model=gpt2
hsae job=doctor model.path=FOLDER layers=all corpus=text corpus.path=FOLDER
"""

import re
from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from pydantic import PositiveInt

from hsae import console
from hsae.artifact import Need
from hsae.config import Config, Part
from hsae.errors import UserError
from hsae.execute import Job

if TYPE_CHECKING:
    from hsae.activations.diagnosis import Examination, Sink
    from hsae.activations.harvest import Reading
    from hsae.activations.windows import Window
    from hsae.lm import LM

WRITES = None
FORMAT = 1

FLOAT16 = 65504.0
"""The largest number that float16 holds."""

SHOWN = 8
"""Sinks that are shown."""


class Settings(Part):
    """Everything else is what a harvest would be asked for: model, layers, corpus, capture."""

    name: Literal["doctor"]
    tokens: PositiveInt
    """Of the corpus, that the model reads to be looked at."""


def needs(config: Config) -> dict[str, Need]:  # noqa: ARG001  the protocol of jobs
    """Nothing: the model comes from outside."""
    return {}


def steps(config: Config) -> list[Config]:  # noqa: ARG001  the protocol of jobs
    """None: nothing is made."""
    return []


def run(job: Job) -> dict[str, int | float | str]:
    """Raises UserError for a model that cannot be loaded, a site that it does not have, an empty corpus."""
    from hsae.activations.diagnosis import examine, sinks
    from hsae.activations.harvest import Reading
    from hsae.lm import chosen_lm

    config = job.config
    lm = chosen_lm(config)
    reading = Reading.of(config, lm.layers)
    first, *others = _model(lm, config)
    console.table(f"model {config.model.path}", first, others)
    lm.check_sites(reading.sites)
    windows = _windows(lm, config, reading)
    _table("around a text", ("", "ids", "tokens", "where it comes from"), _around(lm))
    _say_losses(lm, windows)
    tried = _trials(lm, windows)
    seen = examine(lm, windows, _sites(lm, reading))
    _table("sites", SITE_COLUMNS, _site_rows(lm, reading, seen))
    stream = [site for site in seen.sites if site.startswith("resid_post.")] or list(reading.sites)
    _table("norms, and what rounding takes away", NORM_COLUMNS, _norm_rows(lm, reading, seen, stream))
    found = sinks(seen, stream, prefix=len(lm.reader.prefix))
    _say_sinks(lm, found)
    _table("memory", ("", "float32", "bfloat16", "float16", "int8"), _memory(lm, reading))
    console.say("")
    for line in _findings(lm, reading, seen, found):
        console.say(line)
    return {
        "tokens": int(seen.own.sum()),
        "sites": len(seen.sites),
        "promises kept": tried,
        "sinks": len(found),
        "not finite": sum(health.broken for health in seen.sites.values()),
    }


def _windows(lm: "LM", config: Config, reading: "Reading") -> list["Window"]:
    """The first of the corpus, until they hold the tokens that are asked for."""
    from hsae.activations.windows import Window
    from hsae.corpora.chosen import chosen_corpus

    items = reading.windows(lm, chosen_corpus(config)())
    found, tokens = list[Window](), 0
    for window in (item for item in items if isinstance(item, Window)):
        found.append(window)
        tokens += window.rows
        if tokens >= config.job.tokens:
            break
    if not tokens:
        raise UserError(
            f"corpus={config.corpus.name} has no text to look at the model with.\nTry corpus=builtin"
        )
    return found


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table below what was said before."""
    console.say("")
    console.table(title, columns, rows)


def _model(lm: "LM", config: Config) -> Iterator[tuple[str, str]]:
    said = lm.model.config.get_text_config()
    heads, read = getattr(said, "num_attention_heads", None), getattr(said, "num_key_value_heads", None)
    parameters = sum(weight.numel() for weight in lm.model.parameters())  # tied weights are one
    yield "class", f"{type(lm.model).__name__} ({lm.family})"
    if config.model.revision:
        yield "revision", config.model.revision
    if config.model.untrained:
        yield "weights", f"untrained: random, of seed={config.seed}"
    yield "layers", str(lm.layers)
    yield "width", f"{lm.d:,}"
    yield "heads", f"{heads}, {read} of keys and values" if read not in (None, heads) else str(heads)
    yield "vocabulary", f"{lm.vocabulary:,}"
    yield "head", _head(lm)
    yield "parameters", f"{parameters:,}"
    yield "context", f"{lm.context:,}" if lm.context < 1 << 40 else "any: positions are relative"
    yield "read in windows of", str(config.capture.context)
    yield "computes in", f"{str(lm.model.dtype).removeprefix('torch.')} on {lm.device}"


def _head(lm: "LM") -> str:
    if "logits" not in lm.site_names():
        return "none"
    cap = getattr(lm.model.config.get_text_config(), "final_logit_softcapping", None)
    said = [f"predicts {'the next token' if lm.causal else 'masked tokens'}"]
    said += ["tied to the embedding"] if lm.unembedding.data_ptr() == lm.embedding.data_ptr() else []
    return ", ".join([*said, f"logits capped at {cap:g}"] if cap else said)


def _around(lm: "LM") -> Iterator[tuple[str, str, str, str]]:
    reader, tokenizer = lm.reader, lm.tokenizer
    by_itself = tokenizer("a")["input_ids"][: len(reader.prefix)] == reader.prefix
    whence = "the tokenizer puts it" if by_itself else "the tokenizer puts none: its BOS, else its EOS"
    none = "the tokenizer has none"
    yield "prefix", *_shown(lm, reader.prefix), whence if reader.prefix else none
    yield "suffix", *_shown(lm, reader.suffix), "the tokenizer puts it" if reader.suffix else none
    pad = tokenizer.pad_token_id
    yield (
        "padding",
        *_shown(lm, [] if pad is None else [pad]),
        "masked" if pad is not None else f"{none}; masked",
    )
    special = sorted(reader.special)
    more = f"and {len(special) - 4:,} more" if len(special) > 4 else ""
    yield "no rows", *_shown(lm, special[:4]), f"special tokens {more}".strip()


def _shown(lm: "LM", ids: Sequence[int]) -> tuple[str, str]:
    pieces = lm.tokenizer.convert_ids_to_tokens(list(ids))
    return " ".join(map(str, ids)), " ".join(str(piece) for piece in pieces)


def _say_losses(lm: "LM", windows: Sequence["Window"]) -> None:
    from hsae.activations.diagnosis import losses

    if lm.causal and lm.reader.prefix:
        with_prefix, without = losses(lm, windows)
        console.say(f"loss: {with_prefix:.3f} nats a token behind the prefix, {without:.3f} without it")


def _trials(lm: "LM", windows: Sequence["Window"]) -> str:
    """Shows what was tried, and says how much of it was kept."""
    from hsae.lm.trial import trials

    few = sorted(windows, key=lambda window: -len(window.ids))[:3]
    # of lengths that differ, so that there is padding
    done = trials(
        lm, [window.ids[: 1 + len(window.ids) // (at + 1)].tolist() for at, window in enumerate(few)]
    )
    rows = [(trial.promise, "kept" if trial.kept else "failed", trial.found) for trial in done]
    if rows:
        _table("tried on this model", ("promise", "state", "found"), rows)
    return f"{sum(trial.kept for trial in done)} of {len(done)}"


def _sites(lm: "LM", reading: "Reading") -> list[str]:
    """All that have a role, and those chosen by their modules; the logits only where they are chosen."""
    roles = [site for site in lm.site_names() if site != "logits"]
    return list(dict.fromkeys([*roles, *reading.sites]))


SITE_COLUMNS = ("site", "layers", "module", "width", "largest |x|", "at", "% of float16", "chosen")


def _site_rows(lm: "LM", reading: "Reading", seen: "Examination") -> Iterator[tuple[Any, ...]]:
    groups: dict[str, list[str]] = {}
    for site in seen.sites:
        groups.setdefault(site if ":" in site else site.partition(".")[0], []).append(site)
    for role, sites in groups.items():
        peak = max(sites, key=lambda site: seen.sites[site].peak)
        health = seen.sites[peak]
        chosen = [site for site in sites if site in reading.sites]
        layers = f"0..{len(sites) - 1}" if "." in sites[0] and ":" not in role else None
        yield (
            role,
            layers,
            re.sub(r"\.0\b", ".L", lm.network.path(sites[0]), count=1)
            if layers
            else lm.network.path(sites[0]),
            health.width,
            health.peak,
            peak.partition(".")[2] if layers else None,
            round(100 * health.peak / FLOAT16, 2),
            "all" if len(chosen) == len(sites) else ", ".join(site.partition(".")[2] for site in chosen),
        )


NORM_COLUMNS = ("site", "median", "largest", "times", "prefix", "% bfloat16", "% float16", "% int8", "chosen")


def _norm_rows(
    lm: "LM", reading: "Reading", seen: "Examination", stream: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    """The stream from end to end, and whatever else is chosen; the last three are rounding errors."""
    ends = [site for site in ("embed", "final_norm") if site in seen.sites]
    order = [site for site in seen.sites if site in {*ends, *stream, *reading.sites}]
    prefix = seen.position < len(lm.reader.prefix)
    for site in order:
        health = seen.sites[site]
        around = health.norm[prefix]
        off = {dtype: round(100 * error, 3) for dtype, error in health.rounding.items()}
        yield (
            site,
            health.median,
            health.largest,
            round(health.largest / health.median, 1) if health.median else None,
            float(around.max()) if len(around) else None,
            *(off.get(dtype, "too large") for dtype in ("bfloat16", "float16", "int8")),
            "yes" if site in reading.sites else None,
        )


def _say_sinks(lm: "LM", found: Sequence["Sink"]) -> None:
    if not found:
        console.say("\nattention sinks: no token's norm is above 10 times the median at any layer")
        return
    rows = (
        (
            repr(lm.tokenizer.decode([sink.token])),
            "later" if sink.position is None else sink.position,
            f"{sink.stood_out} of {sink.seen}",
            f"{sink.sites[0]} .. {sink.sites[-1]}" if len(sink.sites) > 1 else sink.sites[0],
            sink.times,
        )
        for sink in islice(found, SHOWN)
    )
    more = f", the strongest {SHOWN} of {len(found)}" if len(found) > SHOWN else ""
    title = f"attention sinks: norm above 10 times the median{more}"
    _table(title, ("token", "position", "times", "at", "most"), rows)


def _memory(lm: "LM", reading: "Reading") -> Iterator[tuple[Any, ...]]:
    parameters, size = sum(weight.numel() for weight in lm.model.parameters()), console.size
    chosen = lm.widths(reading.sites)
    every = lm.widths([site for site in lm.site_names() if site != "logits"])
    yield "weights", size(4 * parameters), size(2 * parameters), size(2 * parameters), None
    yield f"a token at {_plural(chosen)}", *_row(chosen.values(), 1)
    yield "a million tokens there", *_row(chosen.values(), 1_000_000)
    if every:
        yield f"a million tokens at all {len(every)} sites", *_row(every.values(), 1_000_000)
    if "logits" in lm.site_names():
        yield (
            f"logits of a pass of {reading.batch_tokens:,} tokens",
            *(size(reading.batch_tokens * lm.vocabulary * bytes) for bytes in (4, 2, 2)),
            None,
        )


def _plural(chosen: Sized) -> str:
    return "the chosen site" if len(chosen) == 1 else f"the {len(chosen)} chosen sites"


def _row(widths: Any, tokens: int) -> list[str]:
    from hsae.activations.sizes import row_bytes

    stored = [sum(row_bytes(dtype, width) for width in widths) for dtype in ("bfloat16", "float16", "int8")]
    return [console.size(tokens * bytes) for bytes in (4 * sum(widths), *stored)]


def _findings(lm: "LM", reading: "Reading", seen: "Examination", found: Sequence["Sink"]) -> Iterator[str]:
    """What follows from the numbers, with what to type."""
    sites = seen.sites
    if broken := [site for site, health in sites.items() if health.broken]:
        first, count = broken[0], sites[broken[0]].broken
        yield f"NaN or infinite at {len(broken)} sites, the first is {first} in {count:,} tokens:"
        whole = str(lm.model.dtype) == "torch.float32"
        yield f"  {'its weights are damaged: download it again' if whole else 'type hardware.dtype=float32'}"
    if hot := [site for site, health in sites.items() if health.peak > FLOAT16 / 2]:
        yield f"{hot[0]} reaches {sites[hot[0]].peak:,.0f}, and float16 ends at 65,504:"
        yield "  compute in another dtype (hardware.dtype=bfloat16)"
    if tight := [site for site in reading.sites if sites[site].own_peak > FLOAT16 / 2]:
        yield f"what would be stored of {tight[0]} reaches {sites[tight[0]].own_peak:,.0f}:"
        yield "  type capture.dtype=bfloat16"
    own = [sink for sink in found if sink.position is None or sink.position >= len(lm.reader.prefix)]
    if own:
        yield f"{len(own)} sinks are tokens of the texts:"
        yield f"  capture.outliers=10 drops the {_outlying(seen, reading.sites):.2%} of rows above 10 medians"
    if not (broken or hot or tight or own):
        yield "nothing here stands in the way of a harvest"


def _outlying(seen: "Examination", sites: Sequence[str]) -> float:
    """Share of the texts' own tokens whose norm is above 10 times the median at any of the sites."""
    import numpy as np

    out = np.stack([seen.sites[site].norm > 10 * seen.sites[site].median for site in sites])
    return float(out[:, seen.own].any(0).mean())
