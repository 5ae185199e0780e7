"""Planted features: what is said to be planted is what stands in the texts, and at the rates asked for."""

from itertools import islice

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from hsae import build
from hsae.corpora import synthetic
from hsae.corpora.synthetic import FILLERS, parents, truth, word


def settings(**changed):
    said = yaml.safe_load((build.conf_dir() / "corpus" / "synthetic.yaml").read_text())
    return synthetic.Settings(**{**said, **changed})


DEFAULT = settings()


@pytest.fixture(scope="module")
def planted():
    return [truth(DEFAULT, number, seed=0) for number in range(400)]


def test_the_truth_is_of_the_documents_that_the_corpus_gives(planted):
    documents = list(islice(synthetic.documents(DEFAULT, seed=0), len(planted)))
    assert documents == [one.document for one in planted]
    assert [document.id for document in documents[:3]] == ["synthetic#0", "synthetic#1", "synthetic#2"]


def test_every_span_holds_its_word_and_the_words_are_the_whole_text(planted):
    owner = {word(DEFAULT, f, rank): f for f in range(DEFAULT.features) for rank in range(DEFAULT.vocabulary)}
    for one in planted:
        said = [one.document.text[start:stop] for start, stop in one.spans]
        assert said == one.document.text.replace(".", "").split()
        assert [owner.get(text, -1) for text in said] == one.emitter.tolist()
        assert all(text in FILLERS for text, feature in zip(said, one.emitter, strict=True) if feature < 0)


def test_points_stand_where_sentences_end(planted):
    for one in planted[:50]:
        counts = np.bincount(one.sentence)
        assert [len(part.split()) for part in one.document.text.split(".")[:-1]] == counts.tolist()
        assert one.active.shape == (len(counts), DEFAULT.features)


def test_a_word_is_only_said_where_its_feature_is_active(planted):
    for one in planted:
        own = one.emitter >= 0
        assert one.active[one.sentence[own], one.emitter[own]].all()


def test_few_features_are_active_and_a_child_never_without_its_parent(planted):
    above = np.array(parents(DEFAULT))
    roots = above < 0
    for one in planted:
        assert (one.active[:, roots].sum(1) == DEFAULT.active).all()
        assert one.active.any(0)[roots].sum() <= DEFAULT.topics
        assert one.active[:, above[~roots]][one.active[:, ~roots]].all()
        for parent in range(DEFAULT.roots):
            assert one.active[:, above == parent].sum(1).max() <= 1


def test_the_rates_are_those_asked_for(planted):
    emitter = np.concatenate([one.emitter for one in planted])
    active = np.concatenate([one.active for one in planted])
    assert np.mean(emitter < 0) == pytest.approx(DEFAULT.background, abs=0.02)
    below = active[:, DEFAULT.roots :].sum() / active[:, : DEFAULT.roots].sum()
    assert below == pytest.approx(DEFAULT.descend, abs=0.03)
    assert np.mean([len(one.active) for one in planted]) == pytest.approx(DEFAULT.sentences, rel=0.1)
    assert len(emitter) / len(active) == pytest.approx(DEFAULT.words, rel=0.05)
    assert np.all(np.diff(active[:, : DEFAULT.children].mean(0)) < 0)  # the first roots are the most frequent


def test_active_features_are_equally_likely_to_speak(planted):
    shares = []
    for one in planted:
        own = one.emitter >= 0
        expected = DEFAULT.active / one.active.sum(1)[one.sentence[own]]
        shares.extend(zip(one.emitter[own] < DEFAULT.roots, expected, strict=True))
    spoken, expected = np.mean(shares, axis=0)
    assert spoken == pytest.approx(expected, abs=0.02)


def test_a_document_depends_on_the_seed_and_its_number_alone():
    more = settings(n=10, tokens=7)
    assert truth(more, 9, seed=0).document == truth(DEFAULT, 9, seed=0).document
    assert truth(DEFAULT, 9, seed=1).document != truth(DEFAULT, 9, seed=0).document
    assert len(list(synthetic.documents(more, seed=0))) == 10
    assert truth(DEFAULT, 10**12, seed=0).document.text


def test_the_forest_is_numbered_level_by_level():
    deep = settings(roots=4, topics=4, children=2, depth=3)
    above = parents(deep)
    assert deep.levels == [4, 8, 16] and deep.features == len(above) == 28
    assert above == [-1] * 4 + [n // 2 for n in range(8)] + [4 + n // 2 for n in range(16)]
    active = np.concatenate([truth(deep, number, seed=0).active for number in range(50)])
    assert all(active[active[:, child], parent].all() for child, parent in enumerate(above) if parent >= 0)
    assert active[:, 12:].any()


@pytest.mark.parametrize("features", [16, 1000, 40_000])
def test_no_word_belongs_to_two_features_and_spelling_tells_none(features):
    flat = settings(roots=features, depth=1, children=0)
    words = [word(flat, f, rank) for f in range(0, features, max(1, features // 1000)) for rank in range(8)]
    assert len(set(words)) == len(words) and not set(words) & set(FILLERS)
    first = [len({text[:2] for text in words[start : start + 8]}) for start in range(0, len(words), 8)]
    assert np.mean(first) > 4


def test_everything_flat_and_certain_is_possible():
    plain = settings(depth=1, children=0, topics=1, active=1, background=0, zipf=0, vocabulary=1)
    one = truth(plain, 0, seed=0)
    assert len(set(one.document.text.replace(".", "").split())) == 1 and plain.features == plain.roots


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"active": 5}, "active=5 of the topics=4"),
        ({"topics": 17}, "topics=17"),
        ({"children": 0}, "2 levels need children=1"),
        ({"background": 1.5}, "less than or equal to 1"),
        ({"zipf": 11}, "less than or equal to 10"),
    ],
)
def test_impossible_worlds_are_refused(changed, said):
    with pytest.raises(ValidationError, match=said):
        settings(**changed)
