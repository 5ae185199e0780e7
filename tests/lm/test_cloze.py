"""Questions with planted answers: a model that was made to know scores 1, one that cannot know scores 0."""

import pytest
import torch

from hsae.lm.cloze import (
    Question,
    Vocabulary,
    cloze,
    constant_guess,
    likeliest_words,
    mean_vectors,
    neighbours_share,
)
from hsae.lm.pretraining import Optimiser, fit, new_model, tokenise, train_tokenizer, windows

FACTS = {"beagle": "hound", "basset": "hound", "robin": "bird", "owl": "bird", "oak": "tree", "elm": "tree"}
TEXTS = [f"a {name} is a kind of {kind}." for name, kind in FACTS.items()] * 20


@pytest.fixture(scope="module")
def taught():
    tokenizer = train_tokenizer(TEXTS, vocabulary=290, context=16)
    model = new_model(vocabulary=len(tokenizer), d=32, layers=1, heads=2, mlp=64, context=16, seed=0)
    batches = windows(tokenise(tokenizer, TEXTS), context=16, batch=16, seed=0, skip=0)
    for _ in fit(model, batches, Optimiser(model, lr=1e-2, steps=200), start=0, clip=1.0):
        pass
    return model, tokenizer


def ask(name, answer):
    return Question(f"a {name} is a kind of", frozenset({answer}))


def test_a_model_that_knows_answers_first_even_in_words_of_several_tokens(taught):
    model, tokenizer = taught
    assert all(cloze(model, tokenizer, [ask(*fact) for fact in FACTS.items()], among=1))


def test_a_wrong_answer_is_wrong(taught):
    model, tokenizer = taught
    assert not any(cloze(model, tokenizer, [ask("beagle", "teapot"), ask("owl", "bir")], among=3))


def test_words_are_whole_words_in_order_of_their_probability(taught):
    model, tokenizer = taught
    words = likeliest_words(
        model, tokenizer, "a beagle is a kind of", count=5, vocabulary=Vocabulary(tokenizer)
    )
    assert words[0] == "hound" and len(set(words)) == len(words)


def test_the_constant_guess_counts_what_was_stated():
    stated = [frozenset({"hound"})] * 3 + [frozenset({"bird"})] * 2 + [frozenset({"tree"})]
    questions = [ask("x", "hound"), ask("y", "tree")]
    assert constant_guess(stated, questions, among=2) == [True, False]
    assert constant_guess(stated, questions, among=3) == [True, True]


def test_neighbours_of_planted_families_are_family_and_of_noise_are_chance():
    g = torch.Generator().manual_seed(0)
    parents = [row // 10 for row in range(100)]
    centres = torch.randn(10, 16, generator=g)
    noise = torch.randn(100, 16, generator=g)
    share, chance = neighbours_share(centres[torch.tensor(parents)] + 0.05 * noise, parents)
    assert min(share) == 1.0
    assert abs(chance - 9 / 99) < 1e-6
    share, _ = neighbours_share(noise, parents)
    assert abs(sum(share) / 100 - chance) < 0.06


def test_a_mean_vector_reads_the_words_own_tokens(taught):
    model, tokenizer = taught
    with torch.no_grad():
        alone = model.base_model.embed_tokens(torch.tensor(tokenizer("oak")["input_ids"][1:])).mean(0)
    torch.testing.assert_close(mean_vectors(model, tokenizer, ["oak"], layer=0)[0], alone)
