"""bfloat16 for models whose activations outgrow it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


def accumulate_in_float32(model: nn.Module) -> None:
    """Under autocast, let every convolution and matrix product of `model` multiply in bfloat16 but hand on float32.

    Residual sums, normalisations and activations then run in float32. diffusers marks the models that need it with
    `force_upcast`: their residual stream grows until the 8 bits of bfloat16 lose the latent.
    """

    def to_float32(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return output.float()

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(to_float32)
