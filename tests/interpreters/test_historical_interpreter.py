"""The transformer of 2025 as it was: its size, its dead weights, its confidence, its validation of zero."""

import pytest
import torch
import yaml
from worlds_interpreters import CONF, C, accuracy, make, ready, roles

from hsae.concepts import Concept, Taxonomy
from hsae.interpreters import historical
from hsae.interpreters.historical import entropy_confidence

FIT, TUNE, TEST = roles()


@pytest.fixture(scope="module")
def whole():
    """At the size that was reported: d = 640, 1,000 concepts."""
    said = yaml.safe_load((CONF / "historical.yaml").read_text())
    settings = historical.Settings.model_validate(said)
    taxonomy = Taxonomy(Concept(f"toy:{row}", str(row)) for row in range(1000))
    return historical.build(settings, d=640, sites=1, taxonomy=taxonomy, seed=0)


def test_it_has_as_many_weights_as_it_had(whole):
    assert whole.weights == 13_453_288


def attention_gradients(interpreter, x) -> tuple[float, float]:
    """Largest gradient of queries and keys, and of values, over all layers."""
    concept = torch.arange(len(x)) % interpreter.concepts
    torch.nn.functional.cross_entropy(interpreter.logits(x), concept).backward()
    dead, live = 0.0, 0.0
    for layer in interpreter.encoder:
        query, key, value = layer.self_attn.in_proj_weight.grad.chunk(3)
        dead = max(dead, query.abs().max().item(), key.abs().max().item())
        live = max(live, value.abs().max().item())
    return dead, live


def test_its_queries_and_keys_never_learn(whole):
    x = torch.randn(8, 1, 640, generator=torch.Generator().manual_seed(0))
    dead, live = attention_gradients(whole.train(), x)
    assert dead < 1e-6 * live and live > 0
    attention = [layer.self_attn for layer in whole.encoder]
    unused = sum(2 * (each.embed_dim**2 + each.embed_dim) for each in attention)
    assert unused == 2_101_248, "2.1 of 13.5 million"


def test_with_several_tokens_queries_and_keys_learn():
    dead, live = attention_gradients(make("tokens"), FIT.x[:64])
    assert dead > 1e-3 * live


def test_the_query_attends_to_places_by_what_they_hold():
    """Only the site that holds the concept matters, and it changes from row to row."""
    g = torch.Generator().manual_seed(0)
    x, loud = torch.randn(600, 2, 8, generator=g), torch.randint(2, (600,), generator=g)
    concept = torch.randint(C, (600,), generator=g)
    signal = 5 * torch.randn(C, 8, generator=g)
    x[torch.arange(600), loud] += signal[concept]
    part = lambda rows: FIT._replace(x=x[rows], concept=concept[rows], template=concept[rows])
    interpreter = make("tokens")
    for _ in interpreter.fit(part(slice(0, 400)), part(slice(400, 500)), device="cpu", checkpoint=None):
        pass
    assert accuracy(interpreter, part(slice(500, 600))) > 0.8


def test_its_confidence_is_one_minus_entropy_over_its_greatest():
    log_p = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.25] * 4, [0.5, 0.5, 0.0, 0.0]]).log()
    assert entropy_confidence(log_p).tolist() == pytest.approx([1.0, 0.0, 0.5])


def test_its_confidence_grows_with_concepts_that_nobody_asked_about():
    """Why it is for reporting alone: the same three-way doubt among more concepts counts as surer."""
    doubt = lambda c: torch.tensor([[1 / 3] * 3 + [0.0] * (c - 3)]).log()
    assert entropy_confidence(doubt(1000)).item() > entropy_confidence(doubt(10)).item() + 0.3


def test_split_by_concept_its_validation_is_zero_and_split_by_template_it_is_not():
    held_out = torch.isin(FIT.concept, torch.arange(C - 2, C))
    interpreter = make("historical")
    rows = FIT.chosen(~held_out), FIT.chosen(held_out)
    for _ in interpreter.fit(*rows, device="cpu", checkpoint=None):
        pass
    assert accuracy(interpreter, rows[1]) == 0.0
    assert accuracy(ready("historical"), TEST) > 0.8
