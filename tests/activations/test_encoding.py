"""What is kept of an activation is as near to it as the dtype can be, and what it cannot hold is named."""

import pytest
import torch

from hsae.activations.encoding import DTYPES, broken, decode, encode
from hsae.activations.sizes import row_bytes
from hsae.seeding import stream

LARGE = {"float16": 60_000.0, "bfloat16": 1e38, "int8": 1e38}


def rows(count=50, d=33):
    """Rows of very different lengths, a row of zeros and one with a single outlier among them."""
    g = stream(0, "rows to encode")
    x = torch.randn(count, d, generator=g) * 10.0 ** torch.linspace(-3, 3, count)[:, None]
    x[7], x[8, 3] = 0, 9_000
    return x


@pytest.mark.parametrize(("dtype", "relative"), [("float16", 2**-11), ("bfloat16", 2**-8)])
def test_floats_keep_each_number_to_their_last_bit(dtype, relative):
    x = rows()
    torch.testing.assert_close(decode(encode(x, dtype)), x, rtol=relative, atol=2**-25)


@pytest.mark.parametrize("factor", [1.0, 1e-30, 1e30, 1e-42])
def test_int8_is_off_by_half_a_step_of_its_own_row(factor):
    x = rows() * factor
    kept = encode(x, "int8")
    bound = x.abs().amax(1, keepdim=True).double() / 254 * (1 + 1e-5) + 2.0**-149 * 127
    assert ((decode(kept).double() - x.double()).abs() <= bound).all()
    assert kept.values.dtype == torch.int8 and kept.values.min() >= -127
    assert torch.equal(decode(encode(-x, "int8")), -decode(kept))


def test_int8_keeps_zeros_and_the_largest_of_each_row():
    x = rows()
    back = decode(encode(x, "int8"))
    assert (back[x == 0] == 0).all()
    torch.testing.assert_close(back.abs().amax(1), x.abs().amax(1), rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("source", [torch.float32, torch.bfloat16, torch.float16])
def test_whatever_the_model_computes_in_is_taken(dtype, source):
    x = rows().to(source)
    torch.testing.assert_close(decode(encode(x, dtype)), decode(encode(x.float(), dtype)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_bytes_of_a_row_are_those_of_its_tensors(dtype):
    kept = encode(rows(50, 33), dtype)
    assert sum(part.nbytes for part in kept if part is not None) == 50 * row_bytes(dtype, 33)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_the_first_row_that_is_not_finite_is_named(dtype, wrong):
    x = rows()
    assert broken(encode(x, dtype)) is None
    x[31, 4] = x[17, 32] = wrong
    assert broken(encode(x, dtype)) == 17


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_number_too_large_for_the_dtype_is_named_and_one_that_fits_is_not(dtype):
    x = torch.zeros(3, 2)
    x[2, 1] = -LARGE[dtype]
    assert broken(encode(x, dtype)) is None
    x[1, 0] = 70_000.0
    assert broken(encode(x, dtype)) == (1 if dtype == "float16" else None)


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_rows_are_no_rows(dtype):
    kept = encode(torch.empty(0, 3), dtype)
    assert broken(kept) is None
    assert decode(kept).shape == (0, 3)
