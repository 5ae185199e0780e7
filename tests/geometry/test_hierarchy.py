"""The claims on geometry pass where the taxonomy is planted, and fail where it is not."""

import numpy as np
import pytest

from hsae.geometry.hierarchy import Kinship, kinship, measure, verdicts
from hsae.geometry.settings import Claims
from hsae.seeding import numpy_stream

D, ROOTS, CHILDREN, LEAVES = 64, 2, 6, 5
CLAIMS = Claims(alpha=0.05, permutations=10, nearer=0.6, beyond_words=0.02, whole=0.5, orthogonal=0.2)
COUNT = ROOTS * (1 + CHILDREN * (1 + LEAVES))


def forest() -> list[int]:
    """Two roots with six children each, and five leaves under every child."""
    parents: list[int] = []
    for _ in range(ROOTS):
        root = len(parents)
        parents.append(-1)
        for _ in range(CHILDREN):
            child = len(parents)
            parents += [root, *[child] * LEAVES]
    return parents


PARENTS = forest()
NAMES = [f"word{row}" for row in range(COUNT)]
KIN = kinship(PARENTS, NAMES, seed=0)


def noise(seed: int, *, scale: float = 1.0) -> np.ndarray:
    return scale * numpy_stream(seed, "noise").standard_normal((COUNT, D)) / np.sqrt(D)


def planted(seed: int = 0) -> np.ndarray:
    """Every concept is its parent plus an increment of its own, at right angles as far as chance allows."""
    vectors = noise(seed)
    for row, parent in enumerate(PARENTS):
        if parent >= 0:
            vectors[row] += vectors[parent]
    return vectors


def judged(vectors: np.ndarray, words: np.ndarray | None = None, kin: Kinship = KIN, claims: Claims = CLAIMS):
    found = verdicts(vectors, noise(99) if words is None else words, kin, claims, seed=0)
    return dict(zip(("nearer", "beyond_words", "whole", "orthogonal"), found, strict=True))


def test_all_claims_pass_in_a_planted_hierarchy_and_their_nulls_do_not():
    found = judged(planted())
    assert {name: one.outcome for name, one in found.items()} == dict.fromkeys(found, "PASS")
    assert not any(one.trivial for one in found.values())
    assert found["nearer"].value > 0.95 and found["whole"].value == pytest.approx(1, abs=0.25)
    assert found["nearer"].null == pytest.approx(0.5, abs=0.05)
    assert found["nearer"].n == len({PARENTS[row] for row in KIN.child}) and found["nearer"].unit == "parents"


def test_no_claim_passes_on_vectors_without_a_hierarchy():
    found = judged(noise(1))
    assert "PASS" not in {one.outcome for one in found.values()}
    assert found["nearer"].value == pytest.approx(0.5, abs=0.1)


def test_a_hierarchy_that_the_words_say_already_is_not_beyond_them():
    found = judged(planted(), words=planted())
    assert found["nearer"].outcome == "PASS" and found["beyond_words"].outcome == "FAIL"


def test_a_feature_that_all_words_share_makes_no_family():
    """Every vector is near every other; a share of rivals does not care."""
    shared = noise(1) + 10 * np.ones(D) / np.sqrt(D)
    assert judged(shared)["nearer"].value == pytest.approx(0.5, abs=0.1)


def test_replacing_children_are_found_out_by_what_they_add():
    """A child without its parent's pattern is no increment: what it adds points away from the family."""
    increments = planted()
    for row, parent in reversed(list(enumerate(PARENTS))):
        if parent >= 0:
            increments[row] -= increments[parent]
    found = judged(increments)
    assert found["whole"].outcome == "FAIL" and found["orthogonal"].outcome == "FAIL"


def test_the_family_is_estimated_without_the_child_and_all_below_it():
    vectors = planted()
    row = next(row for row in KIN.child.tolist() if row in PARENTS)  # a child with leaves of its own
    before = measure(vectors, KIN)
    at = KIN.child.tolist().index(row)
    changed = vectors.copy()
    for below in [row, *[leaf for leaf, parent in enumerate(PARENTS) if parent == row]]:
        changed[below] += 5.0
    after = measure(changed, KIN)
    assert after.square[at] == pytest.approx(before.square[at])
    assert after.overlap[at] != pytest.approx(before.overlap[at])


def test_lengths_count():
    """Unit vectors would hide that a child holds only a third of its family's pattern."""
    vectors, at = planted(), len(KIN.child) // 2
    weak = vectors.copy()
    weak[KIN.child[at]] *= 0.3
    assert measure(weak, KIN).overlap[at] == pytest.approx(0.3 * measure(vectors, KIN).overlap[at])
    assert measure(weak, KIN).square[at] == pytest.approx(measure(vectors, KIN).square[at])


@pytest.mark.parametrize("key", ["nearer", "whole"])
def test_thresholds_are_those_that_were_set(key):
    strict = CLAIMS.model_copy(update={key: 1.9 if key == "whole" else 1.0})
    assert judged(planted())[key].outcome == "PASS"
    assert judged(planted(), claims=strict)[key].outcome != "PASS"


def test_rivals_are_as_deep_as_the_parent_and_never_the_parent():
    depth = lambda row: 0 if PARENTS[row] < 0 else 1 + depth(PARENTS[row])
    for child, parent, rivals in zip(KIN.child.tolist(), KIN.parent.tolist(), KIN.rivals, strict=True):
        assert PARENTS[child] == parent and parent not in rivals
        assert {depth(rival) for rival in rivals.tolist()} == {depth(parent)}
        assert len(rivals) == (ROOTS if depth(parent) == 0 else ROOTS * CHILDREN) - 1


def test_children_whose_name_says_the_family_are_not_asked_about():
    names = list(NAMES)
    leaf = KIN.child.tolist()[-1]
    names[leaf] = f"hunting-{NAMES[PARENTS[leaf]]}"
    asked = kinship(PARENTS, names, seed=0).child.tolist()
    assert leaf not in asked and leaf in KIN.child


def test_a_taxonomy_without_rival_families_asks_about_nobody():
    assert not len(kinship([-1, 0, 0, 0], list("abcd"), seed=0).child)
    assert not len(kinship([-1, -1, 0, 1], list("abcd"), seed=0).child)
