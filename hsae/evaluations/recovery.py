"""Has a dictionary a latent for each concept? Chosen on some contexts, scored on others, as is the null.

For every concept the latent of highest AUROC on the fit side is scored by its AUROC on the test side; chance
is 0.5. The best of thousands of latents looks good on the side it was chosen on even where labels mean
nothing (`noise_fit` says how good); hence the second side, and the null in which the labels of both sides are
permuted and every latent is chosen again. A latent should also write what it reads: its vector is compared
with the concept's mean difference.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import PositiveInt
from torch import Tensor

from hsae.config import Part
from hsae.evaluations.findings import Findings, Score
from hsae.evaluations.labels import Question, Side, drawn, kinds, words
from hsae.evaluations.naming import names
from hsae.evaluations.spans import capture_words
from hsae.evaluations.subject import Subject, encode
from hsae.metrics import cosine
from hsae.seeding import numpy_stream
from hsae.stats import Csr, Interval, Ranks, auroc, auroc_of, cluster_mean, permutation_p, rank, separation


class Settings(Part):
    """How the null is drawn, which concepts are asked for, and what is claimed."""

    contexts: PositiveInt
    """Contexts of a concept, at most, that latents are chosen on, and as many that they are scored on."""
    permutations: PositiveInt
    """Times that labels are permuted and every latent is chosen again, for every dictionary."""
    fewest: PositiveInt
    """Words under a concept, and words that are not, on either side, to ask for it as a kind."""
    margins: dict[Literal["word", "kind"], dict[str, float]]
    """By how much the mean AUROC must exceed a baseline's, or the SAE's own under `permuted` labels."""


PERMUTED = "permuted"
MEAN_DIFFERENCE = "mean_difference"
TOGETHER = 1 << 22  # AUROCs in memory at once: 32 MB


@final
@dataclass(frozen=True)
class Found:
    """What one dictionary has for each concept of a question."""

    latent: Int[np.ndarray, " concept"]
    fit: Float[np.ndarray, " concept"]
    """AUROC of that latent where it was chosen."""
    test: Float[np.ndarray, " concept"]
    cosine: Float[np.ndarray, " concept"]
    permuted: Float[np.ndarray, "draw concept"]
    """`test` when labels are permuted."""
    permuted_fit: float
    permuted_cosine: float


def evaluate(subject: Subject, settings: Settings) -> Findings:
    """recovery_word and recovery_kind (mean test AUROC) of every dictionary, cosines and nulls; claims."""
    contexts = drawn(subject.contexts, most=settings.contexts)
    x = capture_words(subject.lm, subject.site, contexts, tokens=subject.tokens)
    codes = {name: encode(one, x, batch=subject.rows) for name, one in subject.dictionaries.items()}
    asked = [
        words(subject.taxonomy, contexts),
        kinds(subject.taxonomy, contexts, fewest=settings.fewest),
    ]
    findings = Findings(tables={"concepts": []})
    for question in asked:
        if not len(question.concepts):
            findings.notes.append(f"no concept can be asked for as a {question.name}: too few contexts")
            continue
        found = {name: _recover(subject, question, name, code, x, settings) for name, code in codes.items()}
        difference = mean_difference(question, x)
        findings.scores.extend(_scores(subject, question, found, difference))
        findings.verdicts.extend(_claims(subject, question, found, settings.margins.get(question.name, {})))
        findings.tables["concepts"].extend(_table(subject, question, found, difference))
    possible = [question for question in asked if len(question.concepts)]
    findings.tables["latents"] = names(subject.taxonomy, possible, codes[subject.studied], seed=subject.seed)
    return findings


def choose(ranks: Ranks, truth: Csr) -> tuple[Int[np.ndarray, " concept"], Float[np.ndarray, " concept"]]:
    """For each concept the latent of highest AUROC, and that AUROC."""
    step = max(1, TOGETHER // len(ranks.zero))
    tables = (auroc(ranks, truth[:, start : start + step]) for start in range(0, truth.shape[1], step))
    best = [(table.argmax(1), table.max(1)) for table in tables]
    latent, value = (np.concatenate(parts) for parts in zip(*best, strict=True))
    return latent, value


def recover(
    question: Question,
    code: Csr,
    alignment: Callable[[Int[np.ndarray, " concept"]], Float[np.ndarray, " concept"]],
    *,
    permutations: int,
    seed: int,
) -> Found:
    """The latents of a code [row latent] for a question's concepts, and the same under permuted labels.

    `alignment` gives the cosine of each concept's mean difference with the vector of the latent named for it.
    """
    fit, test = rank(code[question.fit.rows]), rank(code[question.test.rows])
    concepts = np.arange(len(question.concepts))

    def score(on: Csr, off: Csr) -> tuple[Any, Any, Any]:
        latent, chosen = choose(fit, on)
        return latent, chosen, auroc_of(test, off, concepts=concepts, latents=latent)

    latent, chosen, tested = score(question.fit.truth(), question.test.truth())
    rng = numpy_stream(seed, f"permuted labels, {question.name}")
    draws = [score(question.fit.permuted(rng), question.test.permuted(rng)) for _ in range(permutations)]
    return Found(
        latent=latent,
        fit=chosen,
        test=tested,
        cosine=alignment(latent),
        permuted=np.stack([tested for _, _, tested in draws]),
        permuted_fit=float(np.mean([chosen for _, chosen, _ in draws])),
        permuted_cosine=float(np.mean([alignment(latent) for latent, _, _ in draws])),
    )


def directions(side: Side, x: Float[Tensor, "context d"]) -> Float[Tensor, "concept d"]:
    """Mean activation of a concept's contexts minus that of all contexts, both of one side."""
    rows = x[torch.from_numpy(side.rows).to(x.device)].cpu().double().numpy()
    truth = side.truth()
    means = (truth.T @ rows) / np.asarray(truth.sum(0)).reshape(-1, 1)
    return torch.from_numpy(means - rows.mean(0)).float()


def mean_difference(question: Question, x: Float[Tensor, "context d"]) -> Float[np.ndarray, " concept"]:
    """Test AUROC of x . (mean difference on the fit side): what a supervised direction per concept can do."""
    rows = x[torch.from_numpy(question.test.rows).to(x.device)].cpu()
    truth = question.test.truth().tocsc()
    positive = (truth[:, concept].toarray().ravel() > 0 for concept in range(truth.shape[1]))
    toward = directions(question.fit, x)
    return np.array(
        [separation((rows @ one).numpy(), own) for one, own in zip(toward, positive, strict=True)]
    )


def _recover(
    subject: Subject,
    question: Question,
    name: str,
    code: Csr,
    x: Float[Tensor, "context d"],
    settings: Settings,
) -> Found:
    vectors = subject.dictionaries[name].vectors.detach().cpu().float()
    written = directions(question.test, x)
    alignment = lambda latent: cosine(vectors[torch.from_numpy(latent)], written).double().numpy()
    return recover(question, code, alignment, permutations=settings.permutations, seed=subject.seed)


def _scores(
    subject: Subject,
    question: Question,
    found: Mapping[str, Found],
    difference: Float[np.ndarray, " concept"],
) -> Iterator[Score]:
    over = lambda values: cluster_mean(values, question.clusters, seed=subject.seed)
    metric, unit = f"recovery_{question.name}", "sibling groups"
    for name, one in found.items():
        yield Score.of(name, metric, over(one.test), unit, chance=float(one.permuted.mean()))
        yield Score.of(name, f"{metric}_cosine", over(one.cosine), unit, chance=one.permuted_cosine)
        draws = len(one.permuted)
        p = permutation_p(float(one.test.mean()), one.permuted.mean(1))
        yield Score.of(name, f"{metric}_p", Interval(p, p, p, draws), "permutations")
        noise = one.permuted_fit
        yield Score.of(name, f"{metric}_noise_fit", Interval(noise, noise, noise, draws), "permutations")
    yield Score.of(MEAN_DIFFERENCE, metric, over(difference), unit, chance=0.5)


def _claims(subject: Subject, question: Question, found: Mapping[str, Found], margins: Mapping[str, float]):
    said = {"word": "tells each concept's word", "kind": "tells each concept from words it was not chosen on"}
    for baseline, margin in margins.items():

        def advantage(name: str, baseline: str = baseline) -> Interval:
            less = found[name].permuted.mean(0) if baseline == PERMUTED else found[baseline].test
            return cluster_mean(
                found[name].test - less, question.clusters, seed=subject.seed, level=subject.level
            )

        yield subject.claim(
            f"{said[question.name]} better than " + ("chance" if baseline == PERMUTED else baseline),
            f"mean AUROC ({question.name})",
            advantage,
            over=baseline,
            margin=margin,
            unit="sibling groups",
        )


def _table(
    subject: Subject,
    question: Question,
    found: Mapping[str, Found],
    difference: Float[np.ndarray, " concept"],
) -> Iterator[dict[str, Any]]:
    """A row for each concept: the studied dictionary's latent, and everyone's test AUROC."""
    studied = found[subject.studied]
    n_fit, n_test = (np.asarray(side.truth().sum(0)).ravel() for side in (question.fit, question.test))
    for at, row in enumerate(question.concepts):
        concept = subject.taxonomy.concepts[row]
        yield {
            "question": question.name,
            "concept": concept.id,
            "name": concept.name,
            "latent": int(studied.latent[at]),
            "auroc_fit": float(studied.fit[at]),
            "auroc": float(studied.test[at]),
            "permuted": float(studied.permuted[:, at].mean()),
            "cosine": float(studied.cosine[at]),
            "n_fit": int(n_fit[at]),
            "n": int(n_test[at]),
            **{
                f"auroc_{name}": float(one.test[at]) for name, one in found.items() if name != subject.studied
            },
            f"auroc_{MEAN_DIFFERENCE}": float(difference[at]),
        }
