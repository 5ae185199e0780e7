"""Concept vectors: what writes is no filter, and both come back from disk and from whitened space."""

from dataclasses import replace

import pytest
import torch

from hsae.errors import UserError
from hsae.geometry import Patterns, encyclopedia, load, unembedding
from hsae.geometry.patterns import controlled, relative_shrinkage
from hsae.sae import Teacher
from hsae.seeding import stream

D, COUNT, CONTEXTS = 12, 20, 400
NAMES = tuple(f"c{row}" for row in range(COUNT))
PARENTS = [-1 if row < 4 else row % 4 for row in range(COUNT)]


def skewed() -> torch.Tensor:
    """A covariance that is far from isotropic."""
    mixing = torch.randn(D, D, generator=stream(0, "mixing"))
    return (mixing @ mixing.T / D + 0.01 * torch.eye(D)).double()


def activations():
    """Contexts of each concept: its pattern upon a common center, in skewed noise."""
    g = stream(0, "contexts")
    patterns = torch.randn(COUNT, D, generator=g)
    noise = torch.randn(COUNT, CONTEXTS, D, generator=g) @ torch.linalg.cholesky(skewed()).float().T
    return patterns, 3.0 + patterns[:, None] + noise


def estimated(shrinkage: float = 0.01) -> Patterns:
    _, x = activations()
    mean = x.mean(1)
    spread = (x - mean[:, None]).flatten(0, 1).double()
    within = spread.T @ spread / (len(spread) - COUNT)
    return encyclopedia.estimate(mean, within, parents=PARENTS, names=NAMES, shrinkage=shrinkage)


def test_patterns_are_means_around_their_average():
    truth, _ = activations()
    patterns = estimated()
    torch.testing.assert_close(patterns.write, truth - truth.mean(0), atol=0.3, rtol=0)
    torch.testing.assert_close(patterns.center, 3.0 + truth.mean(0), atol=0.1, rtol=0)
    assert patterns.parents.tolist() == PARENTS and patterns.names == NAMES


def test_a_filter_tells_its_concept_better_than_the_pattern_itself():
    """Fisher: of all directions S^-1 (mu_c - mu) separates best; the pattern reads noise along with it."""
    patterns = estimated()
    _, x = activations()
    x = x - patterns.center

    def separation(direction: torch.Tensor, row: int) -> float:
        own, others = x[row] @ direction, x[torch.arange(COUNT) != row].mean(1) @ direction
        return ((own.mean() - others.mean()) / own.std()).item()

    better = [
        separation(patterns.read[row], row) > separation(patterns.write[row], row) for row in range(COUNT)
    ]
    assert sum(better) >= 18


def test_filters_of_differences_are_differences_of_filters():
    patterns = estimated()
    children = [row for row in range(COUNT) if PARENTS[row] >= 0]
    above = [PARENTS[row] for row in children]
    increments = patterns.write[children] - patterns.write[above]
    torch.testing.assert_close(increments @ patterns.metric, patterns.read[children] - patterns.read[above])


def test_every_concept_reads_what_it_writes_so_that_it_can_teach():
    one = estimated()
    assert len(Teacher(one.read, one.write, one.parents, one.names, one.center)) == COUNT


def test_whitened_vectors_have_the_metric_s_inner_products():
    patterns = estimated()
    torch.testing.assert_close(patterns.whitened @ patterns.whitened.T, patterns.read @ patterns.write.T)


def test_shrinkage_is_relative_to_the_spread():
    covariance = skewed()
    for factor in (1.0, 1e-6):
        shrunk = relative_shrinkage(factor * covariance, 0.5)
        assert shrunk.trace() == pytest.approx(factor * covariance.trace())
        torch.testing.assert_close(shrunk, factor * relative_shrinkage(covariance, 0.5))
    isotropic = relative_shrinkage(covariance, 1.0)
    torch.testing.assert_close(isotropic, covariance.trace() / D * torch.eye(D, dtype=torch.double))


@pytest.mark.parametrize("center", [True, False])
def test_they_come_back_from_disk(center, tmp_path):
    patterns = estimated() if center else replace(estimated(), center=None, left_out={"no word": 3})
    patterns.save(tmp_path, site="resid_post.1")
    twin = load(tmp_path)
    for name in ("write", "metric", "parents"):
        assert torch.equal(getattr(twin, name), getattr(patterns, name))
    assert twin.names == patterns.names and dict(twin.left_out) == dict(patterns.left_out)
    assert (twin.center is None) is (not center)
    with pytest.raises(UserError, match="job=teach"):
        load(tmp_path / "elsewhere")


def test_shuffled_vectors_are_the_same_under_other_names():
    patterns = estimated()
    shuffled = controlled(patterns, "shuffled", seed=0)
    assert not torch.equal(shuffled.write, patterns.write)
    torch.testing.assert_close(shuffled.write.sort(0).values, patterns.write.sort(0).values)
    assert shuffled.names == patterns.names and torch.equal(shuffled.parents, patterns.parents)


def test_rotated_vectors_keep_all_angles_and_lie_elsewhere():
    patterns = estimated()
    rotated = controlled(patterns, "rotated", seed=0)
    gram = lambda one: one.read @ one.write.T
    torch.testing.assert_close(gram(rotated), gram(patterns), rtol=1e-3, atol=1e-2)
    cosines = torch.cosine_similarity(rotated.whitened, patterns.whitened)
    assert cosines.abs().mean() < 0.5


def test_no_control_changes_nothing_and_each_control_is_one_draw():
    patterns = estimated()
    assert controlled(patterns, "none", seed=0) is patterns
    for control in ("shuffled", "rotated"):
        once, again = (controlled(patterns, control, seed=0).write for _ in range(2))
        assert torch.equal(once, again)


def unembedded() -> tuple[torch.Tensor, list[list[int]], Patterns]:
    """Ten words to a concept, whose rows share its pattern; a parent has those of its children too."""
    rows = torch.randn(300, D, generator=stream(0, "rows")) @ torch.linalg.cholesky(skewed()).float().T + 1.0
    words = [list(range(10 * row, 10 * row + 10)) for row in range(COUNT)]
    shared = torch.randn(COUNT, D, generator=stream(0, "shared"))
    for row, tokens in enumerate(words):
        rows[tokens] += shared[row] + (shared[PARENTS[row]] if PARENTS[row] >= 0 else 0)
    words[:4] = [
        sum((words[row] for row in range(COUNT) if row == top or PARENTS[row] == top), []) for top in range(4)
    ]
    names = [f"c{row}" for row in range(COUNT)]
    return rows, words, unembedding.estimate(rows, words, parents=PARENTS, names=names, shrinkage=0.01)


def test_what_the_unembedding_writes_moves_its_own_words_logits_most():
    rows, words, patterns = unembedded()
    gains = patterns.write @ (rows - rows.mean(0)).T
    for row, tokens in enumerate(words):
        others = [token for token in range(len(rows)) if token not in tokens]
        assert gains[row, tokens].mean() > gains[row, others].mean() + 0.5 * gains[row, others].std()


def test_it_reads_by_the_mean_row_of_its_words():
    rows, words, patterns = unembedded()
    means = torch.stack([(rows - rows.mean(0))[tokens].mean(0) for tokens in words])
    torch.testing.assert_close(patterns.read, means, rtol=1e-2, atol=1e-3)
    assert patterns.center is None


def test_concepts_with_too_few_words_are_left_out_and_their_children_lifted():
    rows, words, _ = unembedded()
    parents = [-1, 0, 1, 2]
    short = [words[0], [1, 2], words[2], words[3]]
    patterns = unembedding.estimate(rows, short, parents=parents, names=["a", "b", "c", "d"], shrinkage=0.1)
    assert patterns.names == ("a", "c", "d") and patterns.parents.tolist() == [-1, 0, 1]
    assert dict(patterns.left_out) == {"fewer than 3 single-token words": 1}
    with pytest.raises(UserError, match="concepts.n"):
        unembedding.estimate(rows, [[1], [2]], parents=[-1, -1], names=["a", "b"], shrinkage=0.1)
