"""What is measured of a model is asked of many at once, and no answer depends on what is asked beside it."""

import pytest
import torch

from hsae.lm.cloze import Question, Vocabulary, cloze, likeliest_words, mean_vectors
from hsae.lm.pretraining import new_model, train_tokenizer

NAMES = ("owl", "old oak", "cat", "elm tree", "naked mole rat", "dog") * 7
TEXTS = [f"a {name} is a kind of {kind}." for name in NAMES for kind in ("animal", "tree")]


@pytest.fixture(scope="module")
def untaught():
    tokenizer = train_tokenizer(TEXTS, vocabulary=290, context=64)
    shape = {"d": 32, "layers": 2, "heads": 2, "mlp": 64, "context": 64}
    return new_model(vocabulary=len(tokenizer), **shape, seed=0).eval(), tokenizer


def test_a_question_asked_among_many_has_the_answer_it_has_alone(untaught):
    model, tokenizer = untaught
    vocabulary = Vocabulary(tokenizer)
    questions, expected = [], []
    for number, name in enumerate(NAMES):
        prompt = f"a {name} is a kind of"
        words = likeliest_words(model, tokenizer, prompt, count=4, vocabulary=vocabulary)
        expected.append(number % 2 == 0)
        questions.append(Question(prompt, frozenset({words[2 if expected[-1] else 3]})))
    assert cloze(model, tokenizer, questions, among=3) == expected


def test_a_word_read_among_many_has_the_vector_it_has_alone(untaught):
    model, tokenizer = untaught
    together = mean_vectors(model, tokenizer, NAMES, layer=1)
    alone = torch.cat([mean_vectors(model, tokenizer, [name], layer=1) for name in NAMES])
    torch.testing.assert_close(together, alone)
    assert (together[0] - together[1]).norm() > 0.01
