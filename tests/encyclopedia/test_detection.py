"""Detection against planted truth: what is there is found, what is not is not; every rate has its twin."""

from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from hsae.concepts import Concept, Taxonomy
from hsae.contexts.tagged import Tag, Tagged
from hsae.encyclopedia.queries import labelled as tokens
from hsae.encyclopedia.queries.detection import Monitored, is_true, macro, monitored, rates, shuffled
from hsae.encyclopedia.queries.labelled import Labelled, truth
from hsae.encyclopedia.queries.mistakes import of_the_same_word
from hsae.encyclopedia.queries.monitoring import fit
from hsae.encyclopedia.queries.prototypes import Prototypes
from hsae.encyclopedia.queries.ranking import average_precision, by_concept, ranking
from hsae.errors import UserError

D, FAMILIES, KINDS = 64, 6, 5
FDR = 0.1

# each family is a parent with five kinds; the first kind of each is also a kind of the next family
TREE = Taxonomy(
    [Concept(f"x:f{f}", f"f{f}") for f in range(FAMILIES)]
    + [
        Concept(
            f"x:f{f}k{k}", f"k{k}", parents=(f"x:f{f}",) + ((f"x:f{(f + 1) % FAMILIES}",) if k == 0 else ())
        )
        for f in range(FAMILIES)
        for k in range(KINDS)
    ]
)
IDS = [concept.id for concept in TREE]


def directions():
    return torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(1)))[0][: len(TREE)]


@pytest.fixture(scope="module")
def world():
    """A monitor, and 200 sentences of four tokens: a tagged one, two of filler, and one nobody knows."""
    g = torch.Generator().manual_seed(2)
    vectors = directions()
    monitor = fit(
        Prototypes.of(4 * vectors, None, ids=IDS, shrinkage=0.0, dtype="float32"),
        torch.randn(20_000, D, generator=g),
    )
    named, rows = [], []
    for sentence in range(200):
        column = FAMILIES + sentence % (FAMILIES * KINDS)
        above = tokens._closure(TREE, IDS[column])
        x = torch.randn(4, D, generator=g)
        x[1] += 8 * sum(vectors[TREE.index[id]] for id in above)
        rows.append(x)
        named += [(), (IDS[column],), (), ()]
    sentence = np.repeat(np.arange(200), 4)
    filler = np.tile([True, False, True, False], 200)
    return monitor, Labelled(torch.cat(rows), sentence, sentence // 2, tuple(named), filler)


def test_a_token_is_of_its_concept_and_of_all_above_it_over_all_parents():
    x = Labelled(torch.zeros(2, 3), *np.zeros((2, 2), int), (("x:f2k0",), ()), np.array([False, True]))
    found = truth(x, TREE, IDS)
    assert {IDS[c] for c in found.labels[0].indices} == {"x:f2k0", "x:f2", "x:f3"}
    assert [IDS[c] for c in found.own[0].indices] == ["x:f2k0"] and not found.labels[1].nnz
    fewer = truth(x, TREE, ["x:f3", "x:f9"])
    assert fewer.labels.toarray().tolist() == [[1, 0], [0, 0]] and not fewer.own.nnz
    with pytest.raises(UserError, match="no tagged token is of a concept"):
        truth(x, TREE, ["x:f5"])


def test_what_is_there_is_found_and_the_promised_rate_of_errors_is_kept_on_filler(world):
    monitor, labelled = world
    known = truth(labelled, TREE, IDS)
    told = rates(monitored(monitor, labelled, fdr=FDR, top=20), labelled, known, at=(3, 36), seed=0)
    assert told["recall"].value > 0.95 and told["recall_of_the_tagged"].value > 0.95
    # on filler every test is of a true null, which is where the procedure's bound is nearly reached
    assert told["fdr"]["filler"].value < 1.5 * FDR and told["fdr"]["tagged"].value < FDR
    assert told["recall_at"]["36"].value == 1 == told["chance_at"]["36"]
    assert told["recall_at"]["3"].low > told["chance_at"]["3"] == 3 / 36
    means = macro(ranking(monitor, labelled, known.labels), known.own, fewest=2, seed=0)
    assert means["all"]["ap"].value > 0.95 > 0.2 > means["all"]["chance"]
    assert means["named"]["ap"].n == FAMILIES * KINDS and means["above"]["ap"].n == FAMILIES


def test_prototypes_under_other_names_find_nothing(world):
    monitor, labelled = world
    wrong = shuffled(truth(labelled, TREE, IDS), seed=0)
    told = rates(monitored(monitor, labelled, fdr=FDR, top=20), labelled, wrong, at=(3,), seed=0)
    assert told["recall"].value < 0.2 and told["fdr"]["tagged"].value > 0.6
    means = macro(ranking(monitor, labelled, wrong.labels), wrong.own, fewest=2, seed=0)
    assert 0.3 < means["all"]["auroc"].value < 0.7


def test_what_nobody_knows_counts_neither_way(world):
    monitor, labelled = world
    known = truth(labelled, TREE, IDS)
    other = labelled.x.clone()
    other[~torch.from_numpy(labelled.known)] = 50 * directions()[0]
    changed = Labelled(other, labelled.sentence, labelled.document, labelled.named, labelled.filler)
    first, second = (
        rates(monitored(monitor, one, fdr=FDR, top=20), one, known, at=(), seed=0)
        for one in (labelled, changed)
    )
    assert first == second


def test_one_family_of_tests_for_each_text_is_benjamini_hochberg_on_all_its_known_tokens(world):
    monitor, labelled = world
    found = monitored(monitor, labelled, fdr=FDR, top=len(IDS))
    p = monitor.nulls.p(monitor.z(labelled.x)).numpy()
    for sentence in range(0, 200, 20):
        rows = np.flatnonzero((labelled.sentence == sentence) & labelled.known)
        family = np.sort(p[rows].ravel())
        passing = np.flatnonzero(family <= FDR * np.arange(1, len(family) + 1) / len(family))
        limit = family[passing[-1]] if len(passing) else -1.0
        slow = {(row, c) for row in rows for c in range(len(IDS)) if p[row, c] <= limit}
        fast = {(row, c) for row in rows for c in found.concept[row][found.by_text[row]]}
        assert fast == slow


def test_recall_at_k_ranks_concepts_by_their_largest_score_in_the_sentence(world):
    monitor, labelled = world
    known = truth(labelled, TREE, IDS)
    z = monitor.z(labelled.x).numpy().reshape(200, 4, -1).max(1)
    for k in (1, 2, 7):
        slow = []
        for sentence, best in enumerate(np.argsort(-z, 1)[:, :k]):
            wanted = set(known.labels[4 * sentence + 1].indices)
            slow.append(len(wanted & set(best)) / len(wanted))
        told = rates(monitored(monitor, labelled, fdr=FDR, top=7), labelled, known, at=(k,), seed=0)
        assert told["recall_at"][str(k)].value == pytest.approx(np.mean(slow))


def test_average_precision_is_scikit_learns_with_and_without_ties():
    rng = np.random.default_rng(0)
    for decimals in (8, 1, 0):
        scores, positive = np.round(rng.normal(size=300), decimals), rng.random(300) < 0.1
        assert average_precision(scores, positive) == pytest.approx(average_precision_score(positive, scores))


def test_by_concept_adds_up_to_what_was_said_of_the_known_tokens(world):
    monitor, labelled = world
    known = truth(labelled, TREE, IDS)
    found = monitored(monitor, labelled, fdr=FDR, top=20)
    ranked = ranking(monitor, labelled, known.labels)
    lines = by_concept(ranked, labelled, known, found.concept, found.by_token)
    assert len(lines) == len(IDS)
    rows = labelled.known
    assert sum(line.significant for line in lines) == found.by_token[rows].sum()
    hits = (is_true(found.concept, known.labels) & found.by_token).sum()
    assert sum(line.recall * line.positives for line in lines) == pytest.approx(hits)
    first = lines[0]
    assert first.named == 0 and first.positives > 20 and first.auroc_low <= first.auroc <= first.auroc_high


def test_a_word_is_its_last_token_and_only_function_words_and_marks_are_filler():
    text, passed = "The big dogs of it, ran.", Counter()
    offsets = [(0, 3), (3, 7), (7, 10), (10, 12), (12, 15), (15, 18), (18, 19), (19, 23), (23, 24)]
    zoo = Taxonomy([Concept("x:dog", "dog")])
    tags = (Tag(8, 12, "x:dog"), Tag(20, 23, "x:run"))
    named, filler = tokens._kinds(Tagged(text, tags, text), offsets, zoo, passed)
    assert [at for at, concepts in enumerate(named) if concepts] == [3] and named[3] == ("x:dog",)
    assert filler == [True, False, False, False, True, True, True, False, True]
    assert passed == {"tags of concepts that the encyclopedia does not have": 1}


def content(g, rows, *, tree=TREE):
    """Words of content, of which all concepts' directions hold something that means nothing; and whose."""
    vectors = directions()
    column = FAMILIES + torch.arange(rows) % (FAMILIES * KINDS)
    x = torch.randn(rows, D, generator=g) + 2 * torch.randn(rows, len(tree), generator=g) @ vectors
    for row, at in enumerate(column.tolist()):
        x[row] += 16 * sum(vectors[tree.index[id]] for id in tokens._closure(tree, IDS[at]))
    return x, column


def test_words_of_other_concepts_keep_the_promise_that_running_text_breaks():
    """On running text nothing names a concept: every word of content is then significantly something."""
    g = torch.Generator().manual_seed(5)
    x, column = content(g, 600)
    named = tuple((IDS[at],) for at in column.tolist())
    number = np.arange(600)
    labelled = Labelled(x, number, number, named, np.zeros(600, bool))
    kept = {"ids": IDS, "shrinkage": 0.0, "dtype": "float32"}
    prototypes = Prototypes.of(4 * directions(), None, kind="discriminant", **kept)
    false = {}
    for name, null in (("text", (torch.randn(20_000, D, generator=g), None)), ("words", content(g, 3000))):
        found = monitored(fit(prototypes, *null), labelled, fdr=FDR, top=20)
        told = rates(found, labelled, truth(labelled, TREE, IDS), at=(), seed=0)
        false[name] = told["fdr"]["tagged"]
    assert false["text"].low > 2 * FDR > FDR >= false["words"].low
    assert false["words"].value < 1.5 * FDR


def test_another_sense_of_the_word_is_a_mistake_of_its_own_kind():
    tree = Taxonomy([Concept("x:1", "river bank"), Concept("x:2", "bank"), Concept("x:3", "horse")])
    labelled = Labelled(
        torch.zeros(3, 2),
        np.arange(3),
        np.arange(3),
        (("x:1",), ("x:1",), ()),
        np.array([0, 0, 1], bool),
    )
    known = truth(labelled, tree, ["x:1", "x:2", "x:3"])
    concept = np.array([[0, 1], [1, 2], [1, 2]])
    said = np.array([[True, True], [True, True], [True, True]])
    found = Monitored(concept, np.zeros((3, 2)), said, said)
    ids = ["x:1", "x:2", "x:3"]
    share = of_the_same_word(found, labelled, known, taxonomy=tree, ids=ids, seed=0)
    assert share is not None and share.value == pytest.approx(2 / 3)  # bank twice, and a horse
    silent = found._replace(by_token=np.zeros((3, 2), bool))
    assert of_the_same_word(silent, labelled, known, taxonomy=tree, ids=ids, seed=0) is None
