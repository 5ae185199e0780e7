"""Neighbours are the nearest, kin are counted in edges, margins are what new contexts show."""

import numpy as np
import pytest
import torch
from worlds_prototypes import CONCEPTS, D, taxonomy, world

from hsae.concepts import Concept, Taxonomy
from hsae.encyclopedia.queries.confusion import HeldOut, confusers, found, separation, share
from hsae.encyclopedia.queries.neighbours import find, kinship, nearest, nearest_to, sense
from hsae.encyclopedia.queries.prototypes import Prototypes
from hsae.errors import UserError

IDS = [concept.id for concept in taxonomy()]


def held_out(rows):
    """Contexts of as many templates."""
    return HeldOut(rows, np.arange(len(rows)))


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
        for one in confusers(learnt, IDS[row], held_out=held_out(out[row]), k=3):
            other = learnt.index[one["id"]]
            seen.append(((z - w[row]).norm(dim=1) > (z - w[other]).norm(dim=1)).float().mean().item())
            told.append(one["confusion"])
            naive.append(torch.special.ndtr(torch.tensor(-one["distance"] / 2)).item())
    error = np.std(np.subtract(told, seen).reshape(-1, 3).mean(1)) / concepts**0.5
    assert np.mean(told) == pytest.approx(np.mean(seen), abs=3 * error)
    assert np.mean(naive) < np.mean(seen) - 0.1, "distances between noisy means promise too much"


def test_without_held_out_contexts_no_margin_is_told():
    found = confusers(world().prototypes(), "t:child-2.5", held_out=None, k=2)
    assert [(one["margin"], one["confusion"], one["beyond"]) for one in found] == [(None, None, None)] * 2


def test_margins_need_a_unit():
    toy = world()
    plain = Prototypes.of(toy.mean, None, ids=IDS, shrinkage=0.0)
    with pytest.raises(UserError, match="whiten"):
        confusers(plain, IDS[3], held_out=None, k=2)


def test_what_is_counted_beyond_the_border_is_what_lies_nearer_to_the_other():
    toy, row = world(apart=0.25), 20
    prototypes = toy.prototypes(dtype="float32")
    rows = toy.rows(torch.full((40,), row), seed=3)
    w = prototypes.rows * prototypes.norm[:, None]
    z = (rows - prototypes.center) @ prototypes.whitener
    for one in confusers(prototypes, IDS[row], held_out=held_out(rows), k=4):
        other = prototypes.index[one["id"]]
        slow = sum(float((x - w[other]).norm() < (x - w[row]).norm()) for x in z) / 40
        assert one["beyond"]["value"] == pytest.approx(slow) and one["beyond"]["n"] == 40
        assert one["beyond"]["low"] <= slow <= one["beyond"]["high"]
        assert one["margin"]["low"] < one["margin"]["value"] < one["margin"]["high"]


def test_found_and_separation_are_their_definitions():
    toy, row = world(apart=0.3), 33
    prototypes = toy.prototypes(dtype="float32", kind="discriminant")
    own, others = toy.rows(torch.full((25,), row), seed=4), toy.rows(torch.arange(0, 30), seed=5)
    told = found(prototypes, IDS[row], held_out(own))
    best = prototypes.score(own).argmax(1)
    assert told["value"] == pytest.approx(float((best == row).double().mean()))
    assert sum(one["n"] for one in told["taken_for"]) == int((best != row).sum()) > 0
    assert IDS[row] not in [one["id"] for one in told["taken_for"]]
    apart = separation(prototypes, IDS[row], held_out(own), others)
    mine, theirs = (prototypes.score(x)[:, row] for x in (own, others))
    slow = np.mean([[float(a > b) + 0.5 * float(a == b) for b in theirs] for a in mine])
    assert apart["value"] == pytest.approx(slow) and apart["others"] == 30


def test_contexts_of_one_template_are_one_witness():
    hits = torch.tensor([1, 1, 1, 1, 0])
    one = share(hits, np.array([0, 0, 0, 0, 1]))
    assert (one["value"], one["n"], one["templates"]) == (0.5, 5, 2)
    each = share(hits, np.arange(5))
    assert each["value"] == 0.8 and each["high"] - each["low"] < one["high"] - one["low"]


def test_a_concept_is_found_by_id_or_name_and_a_slip_is_understood():
    tree = taxonomy()
    assert find(tree, "t:child-0.1") == ["t:child-0.1"]
    assert find(tree, "Child_0.1") == ["t:child-0.1"]
    with pytest.raises(UserError, match="Spelled alike: family"):
        find(tree, "famly 3")
    with pytest.raises(UserError, match="no vector"):
        nearest_to(world().prototypes(), "t:nobody", k=3)


def test_an_id_may_be_typed_without_its_source():
    assert find(taxonomy(), "child-0.1") == ["t:child-0.1"]


def test_a_word_of_several_senses_lists_them_and_says_what_to_type():
    tree = Taxonomy(
        [
            Concept(id="wn30:bank.n.01", name="bank", gloss="sloping land"),
            Concept(id="wn30:bank.n.02", name="depository", gloss="takes money", lemmas=("bank",)),
        ]
    )
    with pytest.raises(UserError) as refused:
        sense(tree, "Bank")
    assert "job.concept=bank.n.01   sloping land" in str(refused.value)
    assert "job.concept=bank.n.02   takes money" in str(refused.value)
    assert sense(tree, "bank.n.02") == "wn30:bank.n.02"


def test_kin_are_counted_in_edges_and_have_their_word():
    tree = taxonomy()
    kin = lambda a, b: (kinship(tree, a, b)["edges"], kinship(tree, a, b)["kin"])
    assert kin("t:child-0.1", "t:child-0.2") == (2, "sibling")
    assert kin("t:child-0.1", "t:family-0") == (1, "parent")
    assert kin("t:family-0", "t:child-0.1") == (1, "child")
    assert kin("t:child-0.1", "t:thing") == (2, "ancestor")
    assert kin("t:child-0.1", "t:family-3") == (3, "aunt")
    assert kin("t:child-0.1", "t:child-3.2") == (4, "cousin")
    two = Taxonomy([Concept(id="a", name="a"), Concept(id="b", name="b")])
    assert kinship(two, "a", "b") == {"edges": None, "over": None, "kin": "unrelated"}


def test_the_shortest_way_may_lead_over_a_second_parent():
    names = {"top": (), "a": ("top",), "b": ("top",), "c": ("a", "b"), "d": ("b",)}
    tree = Taxonomy(Concept(id=id, name=id, parents=parents) for id, parents in names.items())
    assert kinship(tree, "c", "d") == {"edges": 2, "over": "b", "kin": "sibling"}
