"""Sparse autoencoders: one final class a file, all under the contract of tests/sae/test_contract.py."""

from hsae.sae.base import SAE
from hsae.sae.files import load, save
from hsae.sae.kernels import Sparse
from hsae.sae.teacher import Teacher

__all__ = ["SAE", "Sparse", "Teacher", "load", "save"]
