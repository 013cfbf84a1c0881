"""Which library multiplies matrices fastest on this processor.

PyTorch takes Intel's MKL for products in float32. On processors of other makers MKL stays with AVX2, also on those that
have AVX-512, where oneDNN, which PyTorch takes for convolutions, is more than twice as fast.
"""

from __future__ import annotations

import platform
from pathlib import Path

import torch


def _onednn_is_faster() -> bool:
    both = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
    return both and torch.backends.cpu.get_cpu_capability().startswith("AVX512") and not _made_by_intel()


def _made_by_intel() -> bool:
    described = Path("/proc/cpuinfo")
    text = described.read_text(errors="replace") if described.is_file() else platform.processor()
    return "GenuineIntel" in text


ONEDNN_IS_FASTER = _onednn_is_faster()
"""Whether oneDNN multiplies matrices in float32 faster than what PyTorch takes for them."""
