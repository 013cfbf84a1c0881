"""On what numbers were computed: float arithmetic differs between devices, instruction sets, kernels and versions."""

from __future__ import annotations

import platform

import torch

from lrcore.runtime import matrix_products


def numerical_path(
    device: torch.device, precision: str, compiled: bool = False, stack: int = 1, fast: bool = False
) -> str:
    """One line for the rows, such as "cpu AVX512, float32, torch 2.9.1".

    Args:
        precision: of the transformer, "float32" or "bfloat16".
        compiled: whether its blocks went through torch.compile.
        stack: trainings that ran as one.
        fast: whether it went the way of `lrcore.fast`.
    """
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    tf32 = device.type == "cuda" and torch.backends.cuda.matmul.allow_tf32
    parts = [name, precision, *(["TF32"] if tf32 else []), f"torch {torch.__version__}"]
    # layers of stacks and of the fast path are batched products, which stay with PyTorch's library
    layers = device.type == "cpu" and precision == "float32" and stack == 1 and not fast
    if layers and matrix_products.ONEDNN_IS_FASTER:
        parts.append("linear layers by oneDNN")
    parts += [*(["compiled"] if compiled else []), *([f"stack of {stack}"] if stack > 1 else [])]
    return ", ".join([*parts, *(["fast path"] if fast else [])])


def _processor() -> str:
    """The instruction set that torch's kernels use, which the processor's name does not say."""
    return f"cpu {torch.backends.cpu.get_cpu_capability()} {platform.machine()}"
