"""Probabilities on the taxonomy: coherent, normalised, and equal to an obvious twin."""

import math

import pytest
import torch
from worlds_interpreters import C, make, ready, roles, taxonomy

from hsae.concepts import Concept, Taxonomy
from hsae.interpreters.multitask import supervised_contrast
from hsae.interpreters.tree import Tree

FIT, TUNE, TEST = roles()


def deep(count: int = 40) -> Taxonomy:
    """Parents at random among the earlier; depths up to eight or so, and not in the order of rows."""
    g = torch.Generator().manual_seed(1)
    parents = [None if row < 3 else int(torch.randint(row, (), generator=g)) for row in range(count)]
    return Taxonomy(
        Concept(f"t:{row}", str(row), parents=() if above is None else (f"t:{above}",))
        for row, above in enumerate(parents)
    )


def twin(taxonomy: Taxonomy, logits: list[float]) -> list[float]:
    """p(c), by walking from every concept to its root."""
    inner = [row for row, below in enumerate(taxonomy.children) if below]
    stop = {row: logits[len(taxonomy) + place] for place, row in enumerate(inner)}

    def choices(row: int) -> list[float]:
        parent = taxonomy.parents[row]
        siblings = [other for other, above in enumerate(taxonomy.parents) if above == parent]
        return [logits[other] for other in siblings] + ([stop[parent]] if parent >= 0 else [])

    def share(chosen: float, among: list[float]) -> float:
        return math.exp(chosen) / sum(map(math.exp, among))

    answers = []
    for row in range(len(taxonomy)):
        p = 1.0
        for node in (row, *taxonomy.ancestors(row)):
            p *= share(logits[node], choices(node))
        if row in stop:
            p *= share(stop[row], [*(logits[child] for child in taxonomy.children[row]), stop[row]])
        answers.append(p)
    return answers


@pytest.mark.parametrize("shape", [taxonomy, deep])
def test_the_probability_of_a_concept_is_the_product_along_its_path(shape):
    tree = Tree(shape())
    logits = torch.randn(5, tree.choices, generator=torch.Generator().manual_seed(0))
    p = tree.log_p(logits, torch.ones(len(shape()), dtype=torch.bool)).exp()
    torch.testing.assert_close(p.sum(1), torch.ones(5))
    for row in range(5):
        torch.testing.assert_close(
            p[row].double(), torch.tensor(twin(shape(), logits[row].tolist())).double()
        )


def test_without_parents_it_is_a_plain_softmax():
    tree, seen = Tree(Taxonomy(Concept(f"t:{row}", str(row)) for row in range(5))), torch.ones(5).bool()
    logits = torch.randn(4, tree.choices, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(tree.log_p(logits, seen), logits.log_softmax(1))
    torch.testing.assert_close(tree.log_p_of(logits, torch.arange(4), seen), logits.log_softmax(1).diagonal())


@pytest.mark.parametrize("shape", [taxonomy, deep])
def test_one_path_costs_less_and_says_the_same(shape):
    """The fast loss has a slow twin, in its gradient too, and with concepts that were not seen."""
    tree, concepts = Tree(shape()), len(shape())
    g = torch.Generator().manual_seed(0)
    seen = torch.rand(concepts, generator=g) < 0.7
    concept = seen.nonzero().squeeze(1)
    logits = (3 * torch.randn(len(concept), tree.choices, generator=g)).requires_grad_()
    fast = tree.log_p_of(logits, concept, seen)
    slow = tree.log_p(logits, seen).gather(1, concept[:, None]).squeeze(1)
    torch.testing.assert_close(fast, slow)
    gradients = [torch.autograd.grad(each.sum(), logits)[0] for each in (fast, slow)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [taxonomy, deep])
def test_what_stands_above_is_the_sum_of_what_stands_below(shape):
    known, tree = shape(), Tree(shape())
    p = torch.rand(4, len(known), generator=torch.Generator().manual_seed(0))
    for row in range(len(known)):
        torch.testing.assert_close(tree.below(p)[:, row], p[:, [row, *known.descendants(row)]].sum(1))


def test_no_child_is_likelier_than_its_parent_and_the_roots_are_everything():
    interpreter = ready("hierarchical")
    below = interpreter.tree.below(interpreter.log_posterior(TEST.x).double().exp())
    children = torch.tensor([row for row, above in enumerate(taxonomy().parents) if above >= 0])
    above = torch.tensor(taxonomy().parents)[children]
    assert (below[:, children] <= below[:, above] + 1e-9).all()
    torch.testing.assert_close(below[:, :3].sum(1), torch.ones(len(below)).double(), rtol=0, atol=1e-6)


def test_concepts_without_rows_have_no_share_and_close_no_way():
    """A parent that was never seen still leads to its children; a family never seen leads nowhere."""
    tree, seen = Tree(taxonomy()), torch.ones(C, dtype=torch.bool)
    seen[0] = False
    seen[[1, 6, 7, 8]] = False
    logits = torch.randn(3, tree.choices, requires_grad=True)
    log_p = tree.log_p(logits, seen)
    assert (log_p[:, ~seen] == -torch.inf).all() and log_p[:, seen].isfinite().all()
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones(3))
    log_p[:, seen].sum().backward()
    assert logits.grad.isfinite().all()


def test_the_parent_is_known_better_than_the_concept():
    interpreter = ready("hierarchical")
    p = interpreter.log_posterior(TEST.x).exp()
    family = torch.tensor([above if above >= 0 else row for row, above in enumerate(taxonomy().parents)])
    right = interpreter.tree.below(p)[:, :3].argmax(1) == family[TEST.concept]
    assert right.float().mean() > (p.argmax(1) == TEST.concept).float().mean()


def test_contrast_equals_its_sum_written_out():
    g = torch.Generator().manual_seed(0)
    z, concept = torch.randn(6, 4, generator=g), torch.tensor([0, 1, 0, 2, 1, 2])
    unit = z / z.norm(dim=1, keepdim=True)
    total = 0.0
    for i in range(6):
        others = [k for k in range(6) if k != i]
        partners = [k for k in others if concept[k] == concept[i]]
        below = sum((3.0 * unit[i] @ unit[k]).exp() for k in others)
        total += sum(-((3.0 * unit[i] @ unit[j]).exp() / below).log() for j in partners) / len(partners)
    torch.testing.assert_close(supervised_contrast(z, concept, sharpness=3.0), total / 6)


def test_families_are_parents_and_all_roots_are_one():
    families = make("multitask").families
    assert families[:3].unique().numel() == 1 and families.unique().numel() == 4
