"""The memory of a GPU that tensors held at most: what a smaller card would have to have."""

from __future__ import annotations

import torch


def reset_peak(device: torch.device) -> None:
    """Count from now on; does nothing where `device` is no GPU."""
    if device.type == "cuda":
        torch.cuda.init()  # before its first use there are no counters
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: torch.device) -> str:
    """What was held at most since then, in words, in GB of 1e9 bytes; "" where `device` is no GPU."""
    if device.type != "cuda":
        return ""
    return f"at most {torch.cuda.max_memory_allocated(device) / 1e9:.1f} GB of the GPU's memory held"
