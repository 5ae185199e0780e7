"""p-values of tokens of no concept are uniform, planted concepts are found, the most specific come first."""

import json

import numpy as np
import pytest
import torch
from worlds_prototypes import CHILDREN, CONCEPTS, taxonomy, world

from hsae import stats
from hsae.encyclopedia.queries import nulls
from hsae.encyclopedia.queries.largest import Largest
from hsae.encyclopedia.queries.monitoring import Active, Monitor, describe, discoveries
from hsae.encyclopedia.queries.nulls import Background
from hsae.errors import UserError

IDS = tuple(concept.id for concept in taxonomy())


def nothing(x):
    return [Background(x[:700], torch.full((700,), -1)), Background(x[700:], torch.full((len(x) - 700,), -1))]


@pytest.fixture(scope="module")
def toy():
    return world()


@pytest.fixture(scope="module")
def monitor(toy):
    prototypes = toy.prototypes()
    rows = nothing(toy.background(4000, seed=5))
    return Monitor(prototypes, nulls.fit(prototypes, lambda: rows))


@pytest.mark.parametrize("kind", ["cosine", "discriminant"])
def test_a_null_is_each_concept_s_own_mean_and_std(toy, kind):
    prototypes = toy.prototypes(kind=kind)
    x = toy.background(900, seed=5)
    own = torch.full((900,), -1)
    own[:400] = torch.arange(400) % CONCEPTS
    found = nulls.fit(prototypes, lambda: [Background(x[:500], own[:500]), Background(x[500:], own[500:])])
    scores = prototypes.score(x).double()
    for concept in range(CONCEPTS):
        others = scores[own != concept, concept]
        assert found.mean[concept].item() == pytest.approx(others.mean().item(), rel=1e-4, abs=1e-4)
        assert found.std[concept].item() == pytest.approx(others.std().item(), rel=1e-4)
    assert (found.rows, found.scores) == (900, 900 * CONCEPTS - 400)


def test_p_is_the_share_of_pooled_null_scores_and_never_zero(monitor, toy):
    z = monitor.z(toy.background(4000, seed=5)).double().flatten()
    asked = torch.tensor([-3.0, 0.0, 1.5, 3.0, 4.0, 60.0, 1e6])
    slow = torch.stack([(1 + (z >= value).sum()) / (1 + len(z)) for value in asked.double()])
    found = monitor.nulls.p(asked)
    torch.testing.assert_close(found, slow.double(), rtol=1e-3, atol=1e-9)
    assert found[-1] == 1 / (1 + len(z))
    between = monitor.nulls.p(torch.tensor([1.5 + 1 / 512]))
    assert between == found[2], "between two marks of the grid the larger p is taken"


def test_p_of_unseen_null_tokens_is_uniform(monitor, toy):
    x = toy.background(3000, seed=6)
    p = monitor.nulls.p(monitor.z(x)).numpy()
    for level in (0.5, 0.1, 0.01, 0.001):
        rate = stats.cluster_mean((p <= level).mean(1), np.arange(len(p)), seed=0, level=0.99)
        error = (rate.high - rate.low) / 2 * (1 + 3000 / 4000) ** 0.5  # the null is a sample, too
        assert rate.value == pytest.approx(level, abs=error)


def test_tokens_of_no_concept_fire_no_more_than_the_rate_allows(monitor, toy):
    active = monitor.active(toy.background(3000, seed=7), fdr=0.05, top=10)
    fired = int(active.significant.any(1).sum())
    assert fired > 0 and stats.wilson(fired, 3000, level=0.999)[0] <= 0.05


def test_noise_with_the_moments_of_a_text_does_not_fire(toy):
    prototypes = toy.prototypes()
    own = torch.randint(CONCEPTS, (4000,), generator=torch.Generator().manual_seed(0))
    x = toy.rows(own, seed=11)
    monitor = Monitor(prototypes, nulls.fit(prototypes, lambda: [Background(x, own)]))
    normal = torch.randn(3000, x.shape[1], generator=torch.Generator().manual_seed(1))
    noise = x.mean(0) + normal @ torch.linalg.cholesky(x.T.cov()).T
    share = lambda rows: monitor.active(rows, fdr=0.05, top=10).significant.any(1).float().mean()
    assert share(noise) < 0.1 < share(toy.rows(own, seed=12))


def test_planted_concepts_are_found(monitor, toy):
    concept = torch.arange(1, CONCEPTS).repeat(5)
    active = monitor.active(toy.rows(concept, seed=8), fdr=0.05, top=20)
    hit = ((active.concept == concept[:, None]) & active.significant).any(1).float().mean()
    assert hit > 0.9
    torch.testing.assert_close(
        active.score,
        monitor.prototypes.score(toy.rows(concept, seed=8)).gather(1, active.concept),
        rtol=1e-3,
        atol=1e-3,
    )


def test_a_concept_s_own_tokens_can_be_kept_out_of_its_null(toy):
    prototypes = toy.prototypes()
    noise = toy.background(1000, seed=9)
    x = torch.cat([noise, toy.rows(torch.full((200,), 7), seed=9)])
    own = torch.full((1200,), -1)
    unknown = nulls.fit(prototypes, lambda: [Background(x, own)])
    own[1000:] = 7
    known = nulls.fit(prototypes, lambda: [Background(x, own)])
    clean = nulls.fit(prototypes, lambda: [Background(noise, own[:1000])])
    assert known.std[7].item() == pytest.approx(clean.std[7].item(), rel=1e-4)
    assert unknown.std[7] > 1.3 * known.std[7]


def test_a_null_that_says_nothing_is_refused(toy):
    prototypes = toy.prototypes()
    x = toy.background(40, seed=1)
    fit = lambda x, own: nulls.fit(prototypes, lambda: [Background(x, own)])
    with pytest.raises(UserError, match="no rows"):
        nulls.fit(prototypes, list)
    with pytest.raises(UserError, match="20 null scores"):
        fit(x[:20], torch.full((20,), -1))
    with pytest.raises(UserError, match="5 null scores"):
        fit(x, torch.cat([torch.zeros(35), torch.full((5,), -1)]).long())
    with pytest.raises(UserError, match="the same on every token"):
        fit(x[:1].repeat(40, 1), torch.full((40,), -1))
    once = iter([Background(x, torch.full((40,), -1))])
    with pytest.raises(ValueError, match="the same twice"):
        nulls.fit(prototypes, lambda: once)


def test_nulls_survive_the_disk(monitor, tmp_path):
    monitor.nulls.save(tmp_path)
    found = nulls.load(tmp_path)
    for name in ("mean", "std", "tail", "rows"):
        one, other = getattr(found, name), getattr(monitor.nulls, name)
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(other))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no nulls"):
        nulls.load(tmp_path / "empty")


@pytest.mark.parametrize(("concepts", "k"), [(5000, 7), (1024, 1), (2047, 63), (1500, 64), (40, 39), (3, 3)])
def test_the_largest_are_those_of_topk(concepts, k):
    draw = torch.Generator().manual_seed(0)
    weights, x = torch.randn(concepts, 6, generator=draw), torch.randn(300, 6, generator=draw)
    bias = torch.randn(concepts, generator=draw)
    weights[::2] = weights[0]  # many ties
    bias[::2] = bias[0]
    z, concept = Largest(weights, bias)(x, k)
    scores = x @ weights.T + bias
    torch.testing.assert_close(z, scores.topk(k).values)
    torch.testing.assert_close(scores.gather(1, concept), z)
    assert all(len(set(row)) == k for row in concept.tolist()) and concept.max() < concepts


def test_a_row_has_the_same_concepts_whoever_stands_beside_it(monitor, toy):
    x = toy.background(600, seed=3)
    z, concept = monitor.largest(x, 5)
    alone = [monitor.largest(x[row : row + 1], 5) for row in (0, 255, 256, 599)]
    torch.testing.assert_close(torch.cat([one for one, _ in alone]), z[[0, 255, 256, 599]])
    assert torch.equal(torch.cat([one for _, one in alone]), concept[[0, 255, 256, 599]])


def test_discoveries_are_benjamini_and_hochberg_s():
    random = np.random.default_rng(0)
    for _ in range(200):
        p = np.sort(random.uniform(size=50) ** random.integers(1, 6))
        ranks = np.flatnonzero(p <= 0.1 * np.arange(1, 51) / 50)
        slow = ranks[-1] + 1 if len(ranks) else 0
        found = discoveries(torch.from_numpy(p)[None], tests=50, rate=0.1)[0]
        assert found.tolist() == [rank < slow for rank in range(50)]
        few = discoveries(torch.from_numpy(p[:8])[None], tests=50, rate=0.1)[0]
        assert not (few & ~found[:8]).any(), "fewer ranks never find more"


def told(*concepts, significant=None):
    """One token with these concepts by falling z."""
    k = len(concepts)
    rank = torch.arange(k)
    significant = torch.ones(k, dtype=torch.bool) if significant is None else torch.tensor(significant)
    z = 9.0 - rank.float()
    row = (torch.tensor(concepts), z / 10, z, 1e-6 * (1.0 + rank), significant)
    return describe(Active(*(part[None] for part in row)), [" dog"], ids=IDS, taxonomy=taxonomy())[0]


def test_ancestors_are_folded_under_the_most_specific():
    family = 1 + 3 * (CHILDREN + 1)
    child = family + 4
    token = told(family, 0, child, 20)
    assert [entry["id"] for entry in token["concepts"]] == ["t:child-3.3", IDS[20]]
    first = token["concepts"][0]
    assert first["path"] == ["thing", "family 3", "child 3.3"]
    assert [entry["name"] for entry in first["above"]] == ["family 3", "thing"]
    assert first["z"] == 7.0 and first["above"][0]["z"] == 9.0
    assert json.loads(json.dumps(token)) == token


def test_what_is_not_significant_is_not_told():
    token = told(5, 6, 7, significant=[True, False, False])
    assert [entry["id"] for entry in token["concepts"]] == [IDS[5]]
    assert (token["token"], token["position"], token["cut"]) == (" dog", 0, False)
    assert told(5, 6)["cut"], "all that were looked at are significant: there may be more"
    assert told(5, significant=[False])["concepts"] == []
