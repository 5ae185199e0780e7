"""The job that judges an SAE: what it writes, and that a kill costs at most the question it was at."""

import json

import pytest
import torch
from worlds import random_lm_folder, sentences
from worlds_store import harvested

from hsae import build, evaluations
from hsae.artifact import Artifact
from hsae.corpora import Document
from hsae.errors import UserError
from hsae.execute import Job
from hsae.jobs import evaluate
from hsae.lm import load
from hsae.loggers import Fan
from hsae.sae import files

SITE = "resid_post.1"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A random LM, its activations, and an SAE that was never trained."""
    folder = tmp_path_factory.mktemp("world")
    lm_folder = random_lm_folder(folder)
    (folder / "store").mkdir()
    documents = [Document(f"document {number}", text) for number, text in enumerate(sentences(300))]
    harvested(load(str(lm_folder)), documents, folder / "store", sites=[SITE], context=64)
    config = composed(lm_folder)
    variant, settings = build.plugin("sae", config.sae)
    sae = variant.build(settings, d=32, teacher=None, seed=7)
    (folder / "sae").mkdir()
    files.save(sae, settings, folder / "sae", site=SITE)
    return folder, lm_folder


SMALL = ("evaluations.recovery.permutations=2", "evaluations.recovery.fewest=2")


def composed(lm_folder, *more):
    asked = () if any(word.startswith("evaluations=") for word in more) else SMALL
    return build.compose(
        [
            "job=evaluate",
            f"model.path={lm_folder}",
            f"layers.sites=[{SITE}]",
            "concepts=builtin",
            "concepts.n=100",
            "sae.latents=64",
            "sae.k=8",
            "contexts.templates.families=[scene]",
            "hardware=cpu",
            *asked,
            *more,
        ]
    )


def run(world, out, *more):
    folder, lm_folder = world
    inputs = {role: Artifact(folder / role, {}) for role in ("sae", "store")}
    out.mkdir(exist_ok=True)
    return evaluate.run(Job(composed(lm_folder, *more), out, inputs, Fan(())))


@pytest.fixture(scope="module")
def judged(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("judged")
    return out, run(world, out)


def test_every_dictionary_is_in_one_table_at_the_same_l0(judged):
    scores = evaluations.load(judged[0]).scores
    l0 = {score.dictionary: score.value for score in scores if score.metric == "l0"}
    assert list(l0) == ["sae", "pca", "random", "untrained"]
    assert max(l0.values()) - min(l0.values()) < 0.5
    metrics = {score.metric for score in scores if score.dictionary == "sae"}
    assert metrics >= {
        "explained_variance",
        "l0",
        "dead",
        "dead_bound",
        "ce",
        "ce_recovered",
        "recovery_word",
    }


def test_every_margin_of_the_configuration_becomes_a_verdict(judged):
    verdicts = evaluations.load(judged[0]).verdicts
    thresholds = sorted(verdict.threshold for verdict in verdicts)
    assert thresholds == [0.01, 0.02, 0.02, 0.02, 0.05, 0.1, 0.1, 0.1]
    assert judged[1]["passed"].endswith("of 8 claims")


def test_an_untrained_sae_passes_no_claim_that_its_twin_does_not(judged):
    """The studied SAE is as blank as the null: whatever it passes, the null passes, and that is said."""
    for verdict in evaluations.load(judged[0]).verdicts:
        assert verdict.outcome != "PASS" or verdict.trivial


def test_latents_have_names_shares_and_scores(judged):
    rows = [json.loads(line) for line in (judged[0] / "latents.jsonl").read_text().splitlines()]
    assert [row["latent"] for row in rows] == list(range(64))
    named = [row for row in rows if "name" in row]
    assert named
    assert all({"concept", "gloss", "auroc", "low", "high", "n", "fired"} <= set(row) for row in named)


def test_the_same_choices_give_the_same_bytes_with_or_without_a_kill(world, judged, tmp_path, monkeypatch):
    from hsae.evaluations import splice

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(splice, "evaluate", killed)
        run(world, tmp_path)
    with monkeypatch.context() as patched:
        again = lambda *_: pytest.fail("a question was asked again that was answered before the kill")
        patched.setattr("hsae.evaluations.reconstruction.evaluate", again)
        run(world, tmp_path)
    files = {path.name: path.read_bytes() for path in judged[0].iterdir()}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_more_claims_make_wider_intervals(world, judged, tmp_path):
    """The chance of one false claim is shared among all of them."""
    run(world, tmp_path, "evaluations=[reconstruction]")
    few, many = ({v.claim: v for v in evaluations.load(out).verdicts} for out in (tmp_path, judged[0]))
    for claim, verdict in few.items():
        assert many[claim].value == verdict.value
        assert many[claim].high - many[claim].low > verdict.high - verdict.low


def test_asking_nothing_is_refused(world, tmp_path):
    with pytest.raises(UserError, match=r"evaluations=\[reconstruction"):
        run(world, tmp_path, "evaluations=[]")


def test_what_is_asked_enters_the_choices_and_where_it_runs_does_not(world):
    choices = lambda *more: evaluate.choices(composed(world[1], *more))
    assert choices("hardware.batch_tokens=77", "logger=tensorboard") == choices()
    for changed in ("seed=1", "evaluations.splice.tokens=9", "job.alpha=0.01", "concepts.n=99"):
        assert choices(changed) != choices(), changed


def test_the_untrained_sae_is_brought_to_the_scale_of_the_rows(world):
    from hsae.evaluations.baselines import untrained

    variant, settings = build.plugin("sae", composed(world[1]).sae)
    rows = 100 + 50 * torch.randn(500, 32, generator=torch.Generator().manual_seed(0))
    blank = lambda: variant.build(settings, d=32, teacher=None, seed=0)
    scaled = untrained(blank(), rows)
    small = untrained(blank(), rows / 1000)
    torch.testing.assert_close(scaled.encode(rows), small.encode(rows / 1000), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(scaled(rows), 1000 * small(rows / 1000), rtol=1e-3, atol=1e-2)
