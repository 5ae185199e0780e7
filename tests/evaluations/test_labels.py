"""Labels that cannot leak."""

import numpy as np
import pytest
from toy_subject import CONTEXTS, KINDS, TAXONOMY

from hsae.evaluations.labels import drawn, kinds, words

WORD, KIND = words(TAXONOMY, CONTEXTS), kinds(TAXONOMY, CONTEXTS, fewest=3)


@pytest.mark.parametrize("question", [WORD, KIND], ids=lambda question: question.name)
def test_the_two_sides_share_no_template(question):
    frames = [{CONTEXTS[row].template for row in side.rows} for side in (question.fit, question.test)]
    assert all(frames)
    assert not frames[0] & frames[1]


def test_for_kinds_the_two_sides_share_no_word():
    concepts = [{CONTEXTS[row].concept for row in side.rows} for side in (KIND.fit, KIND.test)]
    assert min(map(len, concepts)) > 8
    assert not concepts[0] & concepts[1]


def test_a_word_is_positive_for_itself_alone_and_for_a_kind_with_all_above():
    assert len(WORD.concepts) == len(TAXONOMY)
    for row, labels in zip(WORD.test.rows, WORD.test.truth().toarray(), strict=True):
        assert [TAXONOMY.concepts[c].id for c in WORD.concepts[labels > 0]] == [CONTEXTS[row].concept]
    # the root has no negative, and the leaves have no words under them
    assert {TAXONOMY.concepts[row].name for row in KIND.concepts} == set(KINDS)
    for row, labels in zip(KIND.fit.rows, KIND.fit.truth().toarray(), strict=True):
        said = {TAXONOMY.concepts[c].name for c in KIND.concepts[labels > 0]}
        word = CONTEXTS[row].concept.removeprefix("toy:")
        assert said == {kind for kind, under in KINDS.items() if word == kind or word in under}


def test_siblings_are_one_cluster_and_a_root_its_own():
    groups = dict(zip(WORD.concepts, WORD.clusters, strict=True))
    assert groups[TAXONOMY.index["toy:oak"]] == groups[TAXONOMY.index["toy:elm"]]
    assert groups[TAXONOMY.index["toy:oak"]] != groups[TAXONOMY.index["toy:saw"]]
    assert groups[0] == 0
    assert groups[TAXONOMY.index["toy:tree"]] == 0


@pytest.mark.parametrize("question", [WORD, KIND], ids=lambda question: question.name)
def test_permuted_labels_are_as_many_on_other_contexts(question):
    side = question.test
    permuted = side.permuted(np.random.default_rng(0))
    assert (permuted != side.truth()).nnz > 0
    positive_words = lambda labels: [
        len(np.unique(side.unit[labels[:, c].nonzero()[0]])) for c in range(labels.shape[1])
    ]
    assert positive_words(permuted) == positive_words(side.truth())


def test_permuted_kinds_move_whole_words():
    """Else contexts of one word would fall under several kinds, which no latent could ever tell apart."""
    permuted = KIND.test.permuted(np.random.default_rng(0)).toarray()
    for word in np.unique(KIND.test.unit):
        assert len(np.unique(permuted[KIND.test.unit == word], axis=0)) == 1


def test_a_context_that_names_the_kind_before_the_word_is_left_out_for_kinds():
    told = []
    for context in CONTEXTS:
        before = f"{TAXONOMY[context.concept].gloss or 'anything'}: "
        word = context.text[context.start : context.end]
        span = {"start": len(before), "end": len(before) + len(word)}
        told.append(context._replace(text=before + word, template="told", **span))
    # the same words before "thing", "tree", "tool" and "fish" name no kind
    told = [context for context in told if not context.text.startswith("anything")]
    asked = kinds(TAXONOMY, [*CONTEXTS, *told], fewest=3)
    assert max(*asked.fit.rows, *asked.test.rows) < len(CONTEXTS)
    assert len(asked.fit.rows) == len(KIND.fit.rows)


def test_a_concept_that_one_side_cannot_decide_is_not_asked_for():
    without_test = [context for context in CONTEXTS if context.role == "fit" or context.concept != "toy:oak"]
    asked = words(TAXONOMY, without_test)
    assert TAXONOMY.index["toy:oak"] not in asked.concepts
    assert len(asked.concepts) == len(TAXONOMY) - 1


def test_few_contexts_are_drawn_for_each_concept_and_not_the_same_for_all():
    few = drawn(CONTEXTS, most=1)
    assert len(few) == 2 * len(TAXONOMY)
    assert len({context.template for context in few}) == len({context.template for context in CONTEXTS})
    assert set(drawn(tuple(reversed(CONTEXTS)), most=1)) == set(few)
    assert drawn(CONTEXTS, most=99) == list(CONTEXTS)
