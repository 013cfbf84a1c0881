"""On which processors oneDNN multiplies matrices."""

import pytest
import torch

from lrcore.runtime import matrix_products
from lrcore.runtime.numerical_path import numerical_path

INTEL = "vendor_id\t: GenuineIntel"
AMD = "vendor_id\t: AuthenticAMD"


@pytest.mark.parametrize(
    ("described", "capability", "mkl", "faster"),
    [
        (AMD, "AVX512", True, True),
        (AMD, "AVX2", True, False),  # as good as it gets there
        (INTEL, "AVX512", True, False),
        (AMD, "AVX512", False, False),  # another library than MKL
    ],
)
def test_where_mkl_holds_back(monkeypatch, tmp_path, described, capability, mkl, faster):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{described}\n")
    monkeypatch.setattr(matrix_products, "Path", lambda path: tmp_path / "cpuinfo")
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert matrix_products._onednn_is_faster() is faster


@pytest.mark.parametrize(
    ("faster", "precision", "said"), [(True, "float32", True), (True, "bfloat16", False), (False, "float32", False)]
)
def test_rows_say_who_multiplied(monkeypatch, faster, precision, said):
    monkeypatch.setattr(matrix_products, "ONEDNN_IS_FASTER", faster)
    assert ("linear layers by oneDNN" in numerical_path(torch.device("cpu"), precision)) is said


def test_stacks_do_not_say_so(monkeypatch):
    monkeypatch.setattr(matrix_products, "ONEDNN_IS_FASTER", True)
    assert "oneDNN" not in numerical_path(torch.device("cpu"), "float32", stack=2)
    assert "oneDNN" not in numerical_path(torch.device("cpu"), "float32", fast=True)
