"""Concepts that are judged have no kin among those seen, by any parent and any word."""

import numpy as np
import pytest

from hsae.concepts import Concept, Taxonomy
from hsae.errors import UserError
from hsae.interpreters.unseen.held_out import groups, hold_out, kinship, words
from hsae.seeding import numpy_stream


def concept(id: str, *parents: str, name: str = "", lemmas: tuple[str, ...] = ()) -> Concept:
    return Concept(id, name or id, parents=parents, lemmas=lemmas)


def forest() -> Taxonomy:
    """Five roots with four branches of five leaves each, nothing shared."""
    found = []
    for root in "abcde":
        found.append(concept(root))
        for branch in range(4):
            found.append(concept(f"{root}{branch}", root))
            found += [concept(f"{root}{branch}{leaf}", f"{root}{branch}") for leaf in range(5)]
    return Taxonomy(found)


def tangled(seed: int, n: int = 300) -> Taxonomy:
    """Up to two parents each, and a third of the concepts go by one of 60 second words."""
    rng, found = numpy_stream(seed, "tangled"), []
    for row in range(n):
        above = rng.permutation(row)[: int(rng.integers(1, 3))] if row >= 12 else []
        lemmas = (f"word {rng.integers(60)}",) if rng.random() < 0.3 else ()
        found.append(concept(f"c{row}", *(f"c{parent}" for parent in above), lemmas=lemmas))
    return Taxonomy(found)


def kin(taxonomy: Taxonomy, one: np.intp, other: np.intp) -> bool:
    """The slow twin: whether two concepts are parent and child, siblings, or share a word."""
    a, b = taxonomy.concepts[one], taxonomy.concepts[other]
    return (
        a.id in b.parents
        or b.id in a.parents
        or bool({*a.parents} & {*b.parents})
        or bool({*words(a)} & {*words(b)})
    )


@pytest.mark.parametrize("seed", range(4))
def test_no_judged_concept_has_kin_among_the_seen_however_tangled(seed: int):
    taxonomy = tangled(seed)
    split = hold_out(taxonomy, depth=None, share=0.3, seed=seed)
    seen, judged = np.flatnonzero(split.seen), np.flatnonzero(split.judged)
    assert len(judged) and len(seen)
    assert not any(kin(taxonomy, a, b) for a in judged for b in seen)
    assert (split.seen.astype(int) + split.judged + split.border == 1).all()
    assert (~split.seen).mean() <= 0.3


def test_border_concepts_are_those_and_no_others_that_have_kin_among_the_seen():
    taxonomy = tangled(1)
    split = hold_out(taxonomy, depth=None, share=0.3, seed=0)
    seen = np.flatnonzero(split.seen)
    touching = [row for row in np.flatnonzero(~split.seen) if any(kin(taxonomy, row, one) for one in seen)]
    assert touching == np.flatnonzero(split.border).tolist()


def test_whole_groups_are_held_out():
    split = hold_out(forest(), depth=1, share=0.3, seed=0)
    for group in range(split.group.max() + 1):
        members = split.seen[split.group == group]
        assert members.all() or not members.any()
    assert split.border.sum() == 6  # the roots of the held-out branches, whose parents and siblings are seen
    assert split.judged.sum() == 30


def test_a_word_in_common_joins_two_subtrees_whatever_its_case():
    apart = Taxonomy([concept("a"), concept("b"), concept("x", "a", name="Ice Cream"), concept("y", "b")])
    shared = Taxonomy([*apart.concepts[:3], concept("y", "b", lemmas=("ice_cream",))])
    of = lambda taxonomy: groups(kinship(taxonomy), depth=1).tolist()
    assert of(apart) == [-1, -1, 0, 1]
    assert of(shared) == [-1, -1, 0, 0]


def test_another_seed_holds_out_other_groups_and_the_same_seed_the_same():
    split = [hold_out(forest(), depth=1, share=0.3, seed=seed).judged.tolist() for seed in (0, 0, 1)]
    assert split[0] == split[1] != split[2]


def test_one_group_that_swallows_everything_is_refused_with_the_depth_to_choose():
    one = Taxonomy([concept("root"), *_below()])
    with pytest.raises(UserError, match="(?s)the largest of 126.*job.depth=2"):
        hold_out(one, depth=0, share=0.3, seed=0)
    assert hold_out(one, depth=None, share=0.3, seed=0).depth == 2


def _below() -> list[Concept]:
    """The forest, hung below one root."""
    return [
        Concept(one.id, one.name, parents=one.parents or ("root",), lemmas=one.lemmas) for one in forest()
    ]


def test_where_all_share_a_word_no_depth_helps_and_that_is_said():
    same = Taxonomy([concept(f"c{row}", lemmas=("same",)) for row in range(10)])
    with pytest.raises(UserError, match="No depth leaves"):
        hold_out(same, depth=None, share=0.2, seed=0)
