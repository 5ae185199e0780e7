"""job=pretrain as a person meets it: an ordinary model folder with its card, whatever kills it on the way."""

import json
from itertools import islice

import pytest
from kills import killed_and_whole

from hsae import build
from hsae.concepts import wordnet
from hsae.corpora import wordnet as text
from hsae.errors import ConfigError, UserError
from hsae.execute import execute
from hsae.lm import load

SMALL = ("job=pretrain", "job.vocabulary=400", "job.d=16", "job.layers=1", "job.heads=2", "job.mlp=32")
SMALL += ("job.context=16", "job.batch=8", "job.tokens=1280", "job.save_every=3", "hardware=cpu")
BUILTIN = (*SMALL, "corpus=builtin", "concepts=builtin", "evaluations=[]")

needs_wordnet = pytest.mark.skipif(not wordnet.found(), reason="WordNet is not on this machine: make wordnet")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return execute(build.compose([*BUILTIN, f"outputs={tmp_path_factory.mktemp('outputs')}"]))


def test_the_result_is_a_model_like_any_other(made):
    lm = load(made.folder)
    assert (lm.family, lm.d, lm.layers, lm.context) == ("llama", 16, 1, 16)
    assert (
        lm.tokenizer.decode(lm.tokenizer("a dog")["input_ids"], skip_special_tokens=True).strip() == "a dog"
    )


def test_its_tokenizer_was_saved_without_the_padding_of_some_earlier_call(made):
    assert json.loads((made.folder / "tokenizer.json").read_text())["padding"] is None


def test_its_card_says_how_it_was_made_and_what_it_scores_beside_the_untrained(made):
    card = (made.folder / "README.md").read_text()
    assert "hsae job=pretrain corpus=builtin seed=0" in card and "1,280 tokens" in card
    assert f"| perplexity per token | {made.metrics['perplexity']:.1f} |" in card
    assert made.metrics["perplexity"] < made.metrics["untrained_perplexity"]


def test_its_card_names_every_setting_that_was_typed_and_what_it_was_computed_on(made):
    card = (made.folder / "README.md").read_text()
    typed = [word for word in SMALL if word.startswith("job.")]
    assert all(word in card for word in typed)
    assert "on CPU, in float32; peak learning rate 0.008, weight decay 0.01, batches of 8 windows" in card
    assert str(made.folder.parent) not in card


def test_it_is_computed_in_the_dtype_that_was_asked_for(made, tmp_path):
    other = execute(build.compose([*BUILTIN, "hardware.dtype=bfloat16", f"outputs={tmp_path}"]))
    assert "on CPU, in bfloat16" in (other.folder / "README.md").read_text()
    assert other.metrics["held_out_loss"] != made.metrics["held_out_loss"]
    assert abs(other.metrics["held_out_loss"] - made.metrics["held_out_loss"]) < 0.05


def test_float16_is_refused_because_gradients_vanish_in_it(tmp_path):
    with pytest.raises(UserError, match="hardware.dtype=bfloat16"):
        execute(build.compose([*BUILTIN, "hardware.dtype=float16", f"outputs={tmp_path}"]))


def test_a_loss_that_is_not_finite_ends_it_before_anything_is_saved(tmp_path):
    with pytest.raises(UserError, match=r"by step 3(?s:.)*smaller job\.lr"):
        execute(build.compose([*BUILTIN, "job.lr=1e30", f"outputs={tmp_path}"]))
    assert not list(tmp_path.rglob("checkpoint.pt"))


def test_questions_without_known_answers_are_not_scored(made):
    assert not [name for name in made.metrics if "cloze" in name or "neighbours" in name]


@needs_wordnet
def test_on_wordnet_it_is_asked_what_it_was_never_told(tmp_path, monkeypatch):
    every = text.documents
    monkeypatch.setattr(text, "documents", lambda *a, **k: islice(every(*a, **k), 2000))
    settings = [*SMALL, "corpus=wordnet", "concepts=builtin", "job.questions=8", f"outputs={tmp_path}"]
    metrics = execute(build.compose(settings)).metrics
    assert metrics["cloze_questions"] == 8
    assert 0 <= metrics["cloze_low"] <= metrics["cloze"] <= metrics["cloze_high"] <= 1
    assert metrics["neighbours_chance"] < 0.05 and "constant_guess_cloze" in metrics


def test_killed_and_resumed_it_writes_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # so small a model is slower with more
    killed, whole = killed_and_whole(
        tmp_path,
        imports="""
            from hsae import build
            from hsae.execute import Job
            from hsae.jobs import pretrain
            from hsae.loggers import Fan
        """,
        work=f"pretrain.run(Job(build.compose({list(BUILTIN)!r}), out, {{}}, Fan(())))",
        moments=(("replace", 1), ("fsync", 2)),
    )
    assert killed == whole and {"model.safetensors", "tokenizer.json", "README.md"} <= set(whole)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("job.heads=3", "multiple of twice heads=3"),
        ("job.tokens=100", "less than one step"),
        ("job.vocabulary=10", "job.vocabulary"),
    ],
)
def test_impossible_sizes_are_refused_before_anything_starts(override, said):
    with pytest.raises(ConfigError, match=said):
        build.compose([*BUILTIN, override])


def test_a_corpus_smaller_than_a_step_is_refused(tmp_path):
    (tmp_path / "one.txt").write_text("A dog is an animal. " * 5)
    (tmp_path / "two.txt").write_text("A cat is an animal. " * 5)
    words = [*SMALL, "corpus=text", f"corpus.path={tmp_path}", "concepts=builtin", "evaluations=[]"]
    with pytest.raises(UserError, match="documents|one step"):
        execute(build.compose([*words, f"outputs={tmp_path / 'outputs'}"]))
