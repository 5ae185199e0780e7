"""Neighbours are the nearest, margins are what new contexts show, two encyclopedias differ where they do."""

import json

import numpy as np
import pytest
import torch
from worlds_prototypes import CONCEPTS, D, taxonomy, world

from hsae.encyclopedia.queries.difference import cka, difference, rotation, rsa
from hsae.encyclopedia.queries.neighbours import HeldOut, card, confusers, find, nearest, nearest_to
from hsae.encyclopedia.queries.prototypes import Prototypes
from hsae.errors import UserError

IDS = [concept.id for concept in taxonomy()]


def test_a_context_s_nearest_concept_is_its_own():
    toy = world()
    concept = torch.arange(1, CONCEPTS, 9)
    prototypes = toy.prototypes()
    for row, x in zip(concept.tolist(), toy.rows(concept, seed=1), strict=True):
        found = nearest(prototypes, x, k=3)
        assert found[0]["id"] == IDS[row]
        assert [f["score"] for f in found] == sorted((f["score"] for f in found), reverse=True)


def test_a_concept_s_neighbours_are_its_family():
    found = nearest_to(world().prototypes(), "t:child-2.5", k=5)
    assert len(found) == 5 and "t:child-2.5" not in [f["id"] for f in found]
    assert sum("-2" in f["id"] for f in found) >= 4


@pytest.mark.parametrize("held", [1, 2, 6])
def test_confusion_is_the_share_of_new_contexts_beyond_the_border(held):
    toy, concepts, n = world(apart=0.25), 90, 3
    every = toy.rows(torch.arange(concepts).repeat_interleave(n + held + 300), seed=2).view(concepts, -1, D)
    fit, out, new = every.split([n, held, 300], 1)
    learnt = Prototypes.of(fit.mean(1), toy.within, ids=IDS[:concepts], shrinkage=0.0, dtype="float32")
    w = learnt.rows * learnt.norm[:, None]
    told, seen, naive = [], [], []
    for row in range(concepts):
        z = (new[row] - learnt.center) @ learnt.whitener
        for one in confusers(learnt, IDS[row], held_out=HeldOut(out[row].mean(0), held), k=3):
            other = learnt.index[one["id"]]
            seen.append(((z - w[row]).norm(dim=1) > (z - w[other]).norm(dim=1)).float().mean().item())
            told.append(one["confusion"])
            naive.append(torch.special.ndtr(torch.tensor(-one["distance"] / 2)).item())
    error = np.std(np.subtract(told, seen).reshape(-1, 3).mean(1)) / concepts**0.5
    assert np.mean(told) == pytest.approx(np.mean(seen), abs=3 * error)
    assert np.mean(naive) < np.mean(seen) - 0.1, "distances between noisy means promise too much"


def test_without_held_out_contexts_no_margin_is_told():
    found = confusers(world().prototypes(), "t:child-2.5", held_out=None, k=2)
    assert [(one["margin"], one["confusion"]) for one in found] == [(None, None)] * 2


def test_margins_need_a_unit():
    toy = world()
    plain = Prototypes.of(toy.mean, None, ids=IDS, shrinkage=0.0)
    with pytest.raises(UserError, match="whiten"):
        confusers(plain, IDS[3], held_out=None, k=2)


def test_a_card_tells_all_of_a_concept():
    tree, prototypes = taxonomy(), world().prototypes(model="m", site="resid_post.2")
    held_out = HeldOut(world().mean[tree.index["t:family-4"]], 4)
    n = {"fit": 12, "tune": 4}
    found = card(tree, prototypes, "t:family-4", n=n, error=0.2, held_out=held_out, k=3)
    assert found["path"] == ["thing"] and found["parents"] == ["t:thing"]
    assert found["children"] == [f"t:child-4.{child}" for child in range(15)]
    assert found["contexts"] == n and found["relative_error"] == 0.2
    assert len(found["nearest"]) == len(found["confusers"]) == 3
    margins = [one["margin"] / one["distance"] for one in found["confusers"]]
    assert margins == pytest.approx([0.5] * 3, rel=1e-3), "held-out contexts around the mean itself"
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_concept_is_found_by_id_or_name_and_a_slip_is_understood():
    tree = taxonomy()
    assert find(tree, "t:child-0.1") == ["t:child-0.1"]
    assert find(tree, "Child_0.1") == ["t:child-0.1"]
    with pytest.raises(UserError, match="Spelled alike: family"):
        find(tree, "famly 3")
    with pytest.raises(UserError, match="no vector"):
        nearest_to(world().prototypes(), "t:nobody", k=3)


def means(seed, concepts=120, d=12):
    return np.random.default_rng(seed).normal(size=(concepts, d))


def turned(rows, seed=0):
    return rows @ np.linalg.qr(np.random.default_rng(seed).normal(size=(rows.shape[1],) * 2))[0]


def test_a_rotation_a_factor_and_a_shift_are_no_difference():
    a = means(0)
    found = difference(a, 3 * turned(a) + 5, ids=[str(i) for i in range(120)], seed=0, draws=19)
    assert found["cka"]["value"] == pytest.approx(1)
    assert found["rsa"]["value"] == pytest.approx(1)
    assert found["procrustes"]["value"] == pytest.approx(0, abs=1e-9)
    assert all(found[name]["p"] == 0.05 for name in ("cka", "rsa", "procrustes"))


def test_unrelated_encyclopedias_look_like_their_null():
    found = difference(means(0), means(1), ids=[str(i) for i in range(120)], seed=0, draws=39)
    assert all(found[name]["p"] > 0.05 for name in ("cka", "rsa", "procrustes"))
    assert found["procrustes"]["value"] > 0.8, (
        "on concepts that it was not fitted on, a rotation explains nothing"
    )
    assert found["cka"]["null"] > 0.05, "linear CKA of unrelated rows is well above 0"


def test_the_concepts_that_moved_are_named():
    a = means(0)
    b = turned(a) + 0.1 * means(5)
    b[[7, 30]] = means(9)[[7, 30]]
    found = difference(a, b, ids=[f"c{i}" for i in range(120)], seed=0, draws=3, moved=2)
    assert {one["id"] for one in found["moved"]} == {"c7", "c30"}


def test_widths_may_differ():
    a = means(0)
    b = np.concatenate([turned(a), 0.01 * means(3, d=4)], 1)
    for one, other in ((a, b), (b, a)):
        found = difference(one, other, ids=[str(i) for i in range(120)], seed=0, draws=3)
        assert found["cka"]["value"] > 0.99 and found["procrustes"]["value"] < 0.01


def test_the_numbers_are_their_definitions():
    from scipy.spatial.distance import pdist
    from scipy.stats import spearmanr

    a, b = means(0) - means(0).mean(0), (means(0) + means(1)) - (means(0) + means(1)).mean(0)
    gram = lambda rows: rows @ rows.T
    slow = (gram(a) * gram(b)).sum() / np.linalg.norm(gram(a)) / np.linalg.norm(gram(b))
    assert cka(a, b) == pytest.approx(slow)
    assert rsa(a, b) == pytest.approx(spearmanr(pdist(a, "cosine"), pdist(b, "cosine")).statistic)
    best = np.linalg.norm(a - b @ rotation(a, b))
    random = np.random.default_rng(4)
    for _ in range(30):
        nudged = rotation(a, b) @ np.linalg.qr(np.eye(12) + 0.05 * random.normal(size=(12, 12)))[0]
        assert best <= min(np.linalg.norm(a - s * b @ nudged) for s in (-1, 0.9, 1, 1.1))


def test_more_concepts_than_are_looked_at_are_sampled():
    a = means(0)
    found = difference(a, a, ids=[str(i) for i in range(120)], seed=0, draws=3, most=40, moved=50)
    assert found["concepts"] == 40 and len({one["id"] for one in found["moved"]}) == 40


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(UserError, match="10 concepts or more"):
        difference(means(0)[:5], means(0)[:5], ids=[], seed=0)
    broken = means(0)
    broken[3] = np.nan
    with pytest.raises(UserError, match="without a mean"):
        difference(means(0), broken, ids=[], seed=0)
