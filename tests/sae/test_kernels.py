"""Each kernel beside its obvious twin: dense, by autograd, over all latents."""

import pytest
import torch

from hsae.sae import kernels
from hsae.sae.kernels import Sparse
from hsae.seeding import stream

BATCH, D, LATENTS, K = 64, 12, 40, 5


@pytest.fixture
def inputs():
    g = stream(0, "kernel inputs")
    shapes = {"x": (BATCH, D), "b_dec": (D,), "W_enc": (D, LATENTS), "b_enc": (LATENTS,)}
    return {name: torch.randn(*shape, generator=g).requires_grad_() for name, shape in shapes.items()}


@pytest.fixture
def code():
    indices = torch.rand(BATCH, LATENTS, generator=stream(0, "indices")).topk(K).indices
    return Sparse(indices, torch.rand(BATCH, K, generator=stream(0, "values")))


def gradients(output, inputs, weight):
    return torch.autograd.grad((output * weight).sum(), list(inputs.values()))


def test_sparse_decode_is_dense_decode(code):
    vectors = torch.randn(LATENTS, D, generator=stream(0, "vectors")).requires_grad_()
    values = code.values.clone().requires_grad_()
    weight = torch.randn(BATCH, D, generator=stream(0, "weight"))
    fast = kernels.decode(code.indices, values, vectors)
    slow = Sparse(code.indices, values).dense(LATENTS) @ vectors
    torch.testing.assert_close(fast, slow)
    both = {"values": values, "vectors": vectors}
    for quick, plain in zip(gradients(fast, both, weight), gradients(slow, both, weight), strict=True):
        torch.testing.assert_close(quick, plain)


def test_top_affine_is_relu_of_the_top_k_and_learns_like_it(inputs):
    fast = kernels.top_affine(*inputs.values(), k=K)
    pre = (inputs["x"] - inputs["b_dec"]) @ inputs["W_enc"] + inputs["b_enc"]
    top = pre.topk(K, dim=1)
    slow = torch.zeros_like(pre).scatter(1, top.indices, top.values.relu())
    torch.testing.assert_close(fast.dense(LATENTS), slow)
    weight = torch.randn(BATCH, LATENTS, generator=stream(0, "weight"))
    quick = gradients(fast.dense(LATENTS), inputs, weight)
    for name, one, other in zip(inputs, quick, gradients(slow, inputs, weight), strict=True):
        torch.testing.assert_close(one, other, msg=name)


def test_what_is_not_allowed_never_fires_and_never_learns(inputs):
    allowed = torch.arange(LATENTS).expand(BATCH, -1) < 3
    code = kernels.top_affine(*inputs.values(), k=K, allowed=allowed)
    dense = code.dense(LATENTS)
    assert dense[:, :3].any() and not dense[:, 3:].any()
    dense.sum().backward()
    assert inputs["W_enc"].grad[:, :3].any() and not inputs["W_enc"].grad[:, 3:].any()


def test_an_affine_map_without_a_bias_learns_without_one(inputs):
    x, b_dec, W_enc, _ = inputs.values()
    indices = torch.rand(BATCH, LATENTS, generator=stream(0, "indices")).topk(K).indices
    whole = (x - b_dec) @ W_enc
    chosen = kernels.affine_at(whole.detach(), indices, x, b_dec, W_enc)
    torch.testing.assert_close(chosen, whole.gather(1, indices))
    three = {"x": x, "b_dec": b_dec, "W_enc": W_enc}
    weight = torch.randn(BATCH, K, generator=stream(0, "weight"))
    slow = gradients(whole.gather(1, indices), three, weight)
    for one, other in zip(gradients(chosen, three, weight), slow, strict=True):
        torch.testing.assert_close(one, other)


def test_the_transposed_product_is_that_of_the_dense_code(code):
    rows = torch.randn(BATCH, D, generator=stream(0, "rows"))
    product = kernels.transposed_product(code.indices, code.values, rows, LATENTS)
    torch.testing.assert_close(product, code.dense(LATENTS).T @ rows)


def test_an_empty_place_is_no_firing():
    code = Sparse(torch.tensor([[0, 2], [1, 2]]), torch.tensor([[1.0, 0.0], [0.5, 2.0]]))
    assert code.dense(3).tolist() == [[1.0, 0.0, 0.0], [0.0, 0.5, 2.0]]
    assert code.fired(3).tolist() == [1, 1, 1]


def test_equal_inputs_give_equal_bits(code):
    rows = torch.randn(BATCH, D, generator=stream(0, "rows"))
    once, twice = (kernels.transposed_product(code.indices, code.values, rows, LATENTS) for _ in range(2))
    assert torch.equal(once, twice)
