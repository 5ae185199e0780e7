"""Says how far an encyclopedia's means may still be from the truth, and what the historical test would say.

hsae job=converge stage=templates
hsae job=converge stage=adversarial site=resid_post.2

The numbers of 2025 (relative difference, cosine, sigma against the mean of ten more contexts) stand beside
the arithmetic that decides them, and beside what replaces them: error with a bound, reliability, components
of variance, samples to convergence with censoring, the null of unrelated concepts.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import PositiveInt

from hsae import json_file
from hsae.artifact import Need
from hsae.config import Config, Part
from hsae.execute import Job
from hsae.lm import files

if TYPE_CHECKING:
    import numpy as np

    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.refinement.stopping import Decisions, Rule

WRITES = "convergence"
FORMAT = 1


class Settings(Part):
    """How much is compared."""

    name: Literal["converge"]
    samples: PositiveInt
    """Raw rows of each concept for the historical curve; concepts with fewer are left out and counted."""
    pairs: PositiveInt
    """Of different concepts, whose cosines are the null."""


def needs(config: Config) -> dict[str, Need]:
    return {"encyclopedia": Need(config.encyclopedia.made_by)}


def choices(config: Config) -> dict[str, object]:
    return {
        **config.job.model_dump(exclude={"name"}),
        "stop": config.encyclopedia.stop.model_dump(),
        "sites": files.site_choice(config.model, config.studied.layers),
        "seed": config.seed,
    }


def slug(config: Config) -> str:
    place = files.site_label(config.model, config.studied.layers)
    return f"{files.model_name(config.model)}-{place}-{config.concepts.name}-{config.stage.name}"


def estimate(config: Config) -> dict[str, str | int]:
    return {"concepts": getattr(config.concepts, "n", None) or "all of the source"}


def run(job: Job) -> dict[str, int | float | str]:
    from hsae.encyclopedia import Encyclopedia
    from hsae.encyclopedia.convergence.table import TABLE
    from hsae.encyclopedia.refinement.stopping import Rule

    config = job.config
    book = Encyclopedia(job.inputs["encyclopedia"].folder)
    sites = files.studied_sites(config, book.sites)
    rule = Rule(**config.encyclopedia.stop.model_dump())
    found = {}
    for site in job.progress(sites, total=len(sites), desc="sites"):
        found[site] = json_file.finite(_of_site(job, book, site, rule))
        _tell(job, site, found[site])
    json_file.write(found, job.out / TABLE)
    last = found[sites[-1]]
    return {
        "concepts": len(book.taxonomy),
        "converged": f"{last['status'].get('converged', 0)} of {len(book.taxonomy)}",
        **_known("median_error", last["error"]["median"]),
        **_known("contexts_for_reliability_0.9", last["components"]["contexts"]),
        "test_of_2025": last["historical"]["said"],
    }


def _known(name: str, value: float | None) -> dict[str, float]:
    """A number of the headline, absent where it could not be computed."""
    return {} if value is None else {name: round(value, 4)}


def _of_site(job: Job, book: "Encyclopedia", site: str, rule: "Rule") -> dict[str, Any]:
    import numpy as np

    from hsae.encyclopedia.refinement.evidence import evidence
    from hsae.encyclopedia.refinement.rounds import earlier_decisions
    from hsae.encyclopedia.refinement.stopping import decide

    exhausted = np.zeros(len(book.taxonomy), bool)
    decisions = decide(evidence(book, site, rule, exhausted=exhausted), rule, before=earlier_decisions(book))
    return {
        "historical": _historical(job, book, site),
        "status": {status: decisions.status.count(status) for status in sorted(set(decisions.status))},
        "error": _error(book, site, rule),
        "components": _components(book, site),
        "unrelated": _unrelated(job, book, site),
        "curves": _curves(book, decisions, rule),
    }


def _historical(job: Job, book: "Encyclopedia", site: str) -> dict[str, Any]:
    """The curve of 2025 on this encyclopedia's rows, in an order drawn by the seed."""
    import numpy as np

    from hsae.encyclopedia.convergence import historical as then
    from hsae.seeding import numpy_stream

    rows, wanted = book.rows(site, role="all"), job.config.job.samples
    draw = numpy_stream(job.config.seed, "order of the historical samples")
    order = draw.permutation(len(rows.concept))
    of = [order[rows.concept[order] == concept][:wanted] for concept in range(len(book.taxonomy))]
    chosen = [places for places in of if len(places) == wanted]
    if not chosen:
        return {"said": f"no concept has {wanted} raw rows", "concepts": 0}
    samples = rows.x[np.stack(chosen)]
    curve = then.historical_curve(samples)
    verdict, half = then.historical_verdict(curve), wanted // 2
    rms = float(np.sqrt(np.square(curve.rel_difference[:, -1]).mean()))
    s2 = then.relative_variance(rms, half, half)
    return {
        "said": "supported" if verdict.supported else "not supported",
        "concepts": len(chosen),
        "left_out": len(of) - len(chosen),
        "share": verdict.share._asdict(),
        "curve": {
            name: np.asarray(getattr(curve, name)).mean(0).tolist()
            for name in ("rel_difference", "cosine", "sigma", "ci95", "norm")
        },
        "relative_variance": s2,
        "error_of_the_mean": then.expected_difference(s2, half, float("inf")),
        "difference_with_endless_contexts": then.expected_difference(s2, float("inf"), half),
        "contexts_for_5_percent": then.contexts_needed(s2, then.PASS),
        "cosine_that_equal_norms_imply": then.implied_cosine(rms),
    }


def _error(book: "Encyclopedia", site: str, rule: "Rule") -> dict[str, Any]:
    """Relative errors of the means, centred: quantiles over concepts, and the share that is small enough."""
    import numpy as np

    from hsae.encyclopedia.convergence.reliability import reliability
    from hsae.encyclopedia.refinement.evidence import error_of
    from hsae.stats import wilson

    found = error_of(book, site, level=rule.level)
    known = ~np.isnan(found.squared)
    error, upper = np.sqrt(found.squared[known]), np.sqrt(found.upper[known])
    small = int((upper <= rule.error).sum())
    low, high = wilson(small, len(upper)) if len(upper) else (0.0, 1.0)
    finite = np.isfinite(error)  # infinite where nothing rises above the noise: larger than any
    quantile = lambda q: float(np.quantile(error, q, method="lower")) if finite.mean() > q else None
    return {
        "median": quantile(0.5) if len(error) else None,
        "quartiles": [quantile(0.25), quantile(0.75)] if len(error) else None,
        "known": len(error),
        "small_enough": {"share": small / max(1, len(upper)), "low": low, "high": high, "n": len(upper)},
        "reliability": float(np.median(reliability(found.squared[known]))) if len(error) else None,
    }


def _components(book: "Encyclopedia", site: str) -> dict[str, Any]:
    """What of the variance is the concepts', what the templates', what neither's, on raw rows of templates
    that serve several concepts."""
    import numpy as np

    from hsae.encyclopedia.convergence.components import components, incidence
    from hsae.encyclopedia.convergence.reliability import population_contexts_for

    rows = book.rows(site, role="fit")
    shared = np.bincount(rows.template, minlength=len(book.templates)) > 1
    kept = shared[rows.template]
    x, concept, template = rows.x[kept].astype(np.float64), rows.concept[kept], rows.template[kept]
    cells = incidence(concept, template, concepts=len(book.taxonomy), templates=len(book.templates))
    by_concept, by_template = _means(x, concept, cells.shape[0]), _means(x, template, cells.shape[1])
    m2 = np.bincount(concept, np.square(x - by_concept[concept]).sum(1), minlength=cells.shape[0])
    try:
        found = components(by_concept, m2, by_template, cells)
    except ValueError as problem:
        return {"contexts": None, "why": str(problem)}
    contexts = population_contexts_for(found.concept, found.residual)
    return {**found._asdict(), "rows": len(x), "contexts": contexts}


def _means(x: "np.ndarray", group: "np.ndarray", groups: int) -> "np.ndarray":
    import numpy as np

    total = np.zeros((groups, x.shape[1]))
    np.add.at(total, group, x)
    return total / np.maximum(np.bincount(group, minlength=groups), 1)[:, None]


def _unrelated(job: Job, book: "Encyclopedia", site: str) -> dict[str, Any]:
    """Cosines of unrelated concepts beside those of a concept's two halves: contexts of fit and of tune."""
    import numpy as np

    from hsae.encyclopedia.convergence.unrelated import similarity_agreement, unrelated_nulls
    from hsae.encyclopedia.whitening import whitener

    first, second = (book.mean(site, role=role).numpy() for role in ("fit", "tune"))
    freedom = int((book.count() - 1).clamp(min=0).sum())
    try:
        w = whitener(book.covariance(site).numpy(), freedom=freedom)
        nulls = unrelated_nulls(first, second, w, seed=job.config.seed, pairs=job.config.job.pairs)
        centred = [half - np.nanmean(half, 0) for half in (first, second)]
        agreement = similarity_agreement(*centred, seed=job.config.seed)
    except ValueError as problem:
        return {"why": str(problem)}
    spaces = {
        name: {
            "between": float(null.between.mean()),
            "between_95": float(np.quantile(null.between, 0.95)),
            "within": float(null.within.mean()),
            "separation": null.separation,
        }
        for name, null in nulls.items()
    }
    return {"spaces": spaces, "spearman": agreement.spearman._asdict(), "ceiling": agreement.ceiling}


def _curves(book: "Encyclopedia", decisions: "Decisions", rule: "Rule") -> dict[str, Any]:
    """Contexts to convergence, by the branches of the taxonomy; what has not converged is censored at its
    count."""
    import numpy as np

    from hsae.concepts.categories import ABOVE, categories
    from hsae.encyclopedia.convergence.survival import compare_categories, curves_by_category

    converged = np.array([status == "converged" for status in decisions.status])
    count = (book.count(role="fit") + book.count(role="tune")).numpy()
    looks = np.array(rule.looks)[np.maximum(decisions.look, 0)]
    n = np.where(converged, np.minimum(looks, count), count)
    branch = categories(book.taxonomy.parents)
    names = ["above all" if row == ABOVE else book.taxonomy.concepts[row].name for row in branch]
    every = {"all": ["all"] * len(names), "by branch": names}
    found = {}
    for kind, groups in every.items():
        curves = curves_by_category(n, converged, groups)
        found[kind] = {
            name: {key: np.asarray(value).tolist() for key, value in curve._asdict().items()}
            for name, curve in curves.items()
        }
    if converged.any() and len(set(names)) > 1:
        tests = compare_categories(n, converged, names)
        found["tests"] = {name: test._asdict() for name, test in tests.items()}
    return found


def _tell(job: Job, site: str, found: Mapping[str, Any]) -> None:
    spaces = found["unrelated"].get("spaces", {})
    columns = ["space", "unrelated concepts", "their 95 %", "halves of a concept", "separation"]
    rows = [[name, *(round(value, 4) for value in null.values())] for name, null in spaces.items()]
    job.log.table(f"cosines at {site}", columns, rows)
    status = ", ".join(f"{count} {name}" for name, count in found["status"].items())
    median = found["error"]["median"]
    job.say(f"{site}: {status}; median error {'unknown' if median is None else f'{median:.3f}'}")
