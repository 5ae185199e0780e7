"""Whether dictionaries have latents for concepts: planted truth passes, noise does not, nulls redo it all."""

import numpy as np
import pytest
import torch
from scipy import sparse
from toy_subject import CONTEXTS, KINDS, TAXONOMY, Toy, nearest, noise

from hsae.errors import UserError
from hsae.evaluations.labels import kinds, words
from hsae.evaluations.recovery import Settings, choose, directions, evaluate, mean_difference, recover
from hsae.evaluations.spans import capture_words
from hsae.seeding import numpy_stream
from hsae.stats import auroc, rank

WORD, KIND = words(TAXONOMY, CONTEXTS), kinds(TAXONOMY, CONTEXTS, fewest=3)
CONCEPTS = len(TAXONOMY)
OWNERS = np.array([TAXONOMY.index[context.concept] for context in CONTEXTS])
NOTHING = lambda latent: np.zeros(len(latent))
SETTINGS = Settings(
    contexts=3, permutations=20, fewest=3, margins={"word": {"permuted": 0.1}, "kind": {"permuted": 0.1}}
)


def one_latent_each():
    """Latent c fires on the contexts of concept c: words are known, kinds are not."""
    return sparse.csr_matrix(np.eye(CONCEPTS)[OWNERS])


def with_kinds():
    """Behind them, a latent for each kind, firing on all its words."""
    owners = [TAXONOMY.concepts[row].name for row in OWNERS]
    kind = np.array(
        [[name in (kind, *under) for kind, under in KINDS.items()] for name in owners], dtype=float
    )
    return sparse.csr_matrix(np.hstack([np.eye(CONCEPTS)[OWNERS], kind]))


def random_code(latents=300, k=10):
    drawn = numpy_stream(0, "random code").random((len(CONTEXTS), latents))
    return sparse.csr_matrix(drawn * (drawn >= np.sort(drawn, axis=1)[:, -k:][:, :1]))


def found(question, code, permutations=20):
    return recover(question, code, NOTHING, permutations=permutations, seed=0)


def test_a_perfect_dictionary_scores_one_and_names_the_right_latents():
    word = found(WORD, one_latent_each())
    assert word.test.tolist() == [1.0] * CONCEPTS
    assert word.latent.tolist() == list(range(CONCEPTS))
    kind = found(KIND, with_kinds())
    assert kind.test.tolist() == [1.0] * len(KINDS)
    assert kind.latent.tolist() == [CONCEPTS, CONCEPTS + 1, CONCEPTS + 2]


def test_random_codes_are_at_chance_where_they_were_not_chosen():
    word = found(WORD, random_code())
    assert word.test.mean() == pytest.approx(0.5, abs=0.05)
    assert word.permuted.mean() == pytest.approx(0.5, abs=0.02)


def test_the_best_of_many_random_latents_looks_good_where_it_was_chosen():
    """The number that one would publish without a second side, and the null that shows what it is worth."""
    word = found(WORD, random_code())
    assert word.fit.mean() > 0.75
    assert word.permuted_fit == pytest.approx(word.fit.mean(), abs=0.02)


def test_knowing_the_words_of_a_kind_is_not_knowing_the_kind():
    memory = found(KIND, one_latent_each())
    assert memory.test.mean() == pytest.approx(0.5, abs=0.1)
    assert found(KIND, with_kinds()).test.mean() - memory.test.mean() > 0.4


def test_the_null_chooses_latents_again_under_its_own_labels():
    """By the obvious loop, from the same stream of permutations."""
    code, question = random_code(), WORD
    rng = numpy_stream(0, "permuted labels, word")
    loop = []
    for _ in range(2):
        on = question.fit.permuted(rng).toarray() > 0
        off = question.test.permuted(rng).toarray() > 0
        fit = auroc(rank(code[question.fit.rows]), on)
        test = auroc(rank(code[question.test.rows]), off)
        loop.append([test[c, fit[c].argmax()] for c in range(len(fit))])
    np.testing.assert_allclose(found(question, code, permutations=2).permuted, loop, atol=1e-12)


def test_the_choice_in_pieces_is_the_choice_at_once(monkeypatch):
    ranks, truth = rank(random_code()[WORD.fit.rows]), WORD.fit.truth()
    whole = choose(ranks, truth)
    monkeypatch.setattr("hsae.evaluations.recovery.TOGETHER", 301)
    for once, pieces in zip(whole, choose(ranks, truth), strict=True):
        np.testing.assert_array_equal(once, pieces)
    np.testing.assert_array_equal(whole[0], auroc(ranks, truth).argmax(1))


def test_mean_differences_find_what_is_there_and_nothing_else():
    places = torch.nn.functional.one_hot(torch.from_numpy(OWNERS)).float()
    assert mean_difference(WORD, places).min() == 1.0
    drawn = torch.from_numpy(numpy_stream(0, "no places").normal(size=(len(CONTEXTS), 20))).float()
    assert mean_difference(WORD, drawn).mean() == pytest.approx(0.5, abs=0.08)


@pytest.fixture(scope="module")
def places(lm):
    return capture_words(lm, "resid_post.1", CONTEXTS, tokens=512)


def test_the_activation_is_the_one_at_the_last_token_of_the_word(lm, places):
    for row in (0, 7, len(CONTEXTS) - 1):
        tokens, seen = lm.capture_texts([CONTEXTS[row].text], ["resid_post.1"])
        last = tokens.within([(CONTEXTS[row].start, CONTEXTS[row].end)])[0].nonzero()[-1].item()
        torch.testing.assert_close(places[row], seen["resid_post.1"][0, last], rtol=1e-4, atol=1e-5)


def test_saes_of_one_site_share_one_pass_over_the_contexts(lm, places, monkeypatch):
    monkeypatch.setattr(lm, "capture", lambda *_: pytest.fail("the LM was run again"))
    assert capture_words(lm, "resid_post.1", list(CONTEXTS), tokens=512) is places
    with pytest.raises(pytest.fail.Exception):
        capture_words(lm, "resid_post.0", CONTEXTS, tokens=512)


@pytest.mark.parametrize(
    ("change", "why"), [({"start": 0, "end": 0}, "no token"), ({"text": "so " * 99}, "behind")]
)
def test_a_context_that_cannot_be_read_is_named(lm, change, why):
    context = CONTEXTS[0]._replace(**{"start": 290, "end": 296, **change})
    with pytest.raises(UserError, match=f"toy:thing.*{why}"):
        capture_words(lm, "resid_post.1", [context], tokens=512)


@pytest.fixture(scope="module")
def centres(places):
    """Where each concept stands on average, over both sides: the answer."""
    return torch.stack([places[torch.from_numpy(concept == OWNERS)].mean(0) for concept in range(CONCEPTS)])


def test_an_evaluation_fed_the_answer_passes_and_one_fed_noise_fails(subject, centres):
    d = centres.shape[1]
    outcome = {}
    for name, dictionary in (("answer", nearest(centres)), ("noise", noise(d))):
        findings = evaluate(subject({"sae": dictionary, "other": noise(d)}), SETTINGS)
        outcome[name] = {verdict.statistic: verdict for verdict in findings.verdicts}
    word = "mean AUROC (word), sae - permuted"
    assert outcome["answer"][word].outcome == "PASS"
    assert not outcome["answer"][word].trivial
    assert outcome["noise"][word].outcome == "FAIL"
    assert set(outcome["answer"]) == {word, "mean AUROC (kind), sae - permuted"}


def test_every_dictionary_is_scored_beside_its_null_and_mean_differences(subject, centres):
    dictionaries = {"sae": nearest(centres), "random": noise(centres.shape[1])}
    findings = evaluate(subject(dictionaries), SETTINGS)
    word = {score.dictionary: score for score in findings.scores if score.metric == "recovery_word"}
    assert list(word) == ["sae", "random", "mean_difference"]
    assert word["sae"].value > 0.8 > 0.6 > word["random"].value
    assert all(score.chance == pytest.approx(0.5, abs=0.05) for score in word.values())
    assert all(score.low < score.value < score.high for score in word.values())
    p = {score.dictionary: score.value for score in findings.scores if score.metric == "recovery_word_p"}
    assert p["sae"] == pytest.approx(1 / 21)
    rows = [row for row in findings.tables["concepts"] if row["question"] == "word"]
    assert len(rows) == CONCEPTS
    assert np.mean([row["auroc"] for row in rows]) == pytest.approx(word["sae"].value)


def test_a_dictionary_of_mean_differences_writes_what_it_reads(subject, places):
    vectors = directions(WORD.test, places)
    toy = nearest(vectors + places.mean(0))
    written = Toy(toy.encode, toy.decode, vectors)
    turned = Toy(toy.encode, toy.decode, vectors.roll(1, dims=0))
    findings = evaluate(subject({"written": written, "turned": turned}), SETTINGS)
    cosine = {score.dictionary: score for score in findings.scores if score.metric == "recovery_word_cosine"}
    assert cosine["written"].value > cosine["turned"].value + 0.2
    assert cosine["written"].value > cosine["written"].chance + 0.2


def test_a_question_without_concepts_is_said_and_not_scored(subject, centres):
    few = Settings(contexts=3, permutations=2, fewest=50, margins={"word": {}, "kind": {"permuted": 0.1}})
    findings = evaluate(subject({"sae": nearest(centres)}), few)
    assert any("kind" in note for note in findings.notes)
    assert not [score for score in findings.scores if "kind" in score.metric]
    assert findings.verdicts == []
