"""Linear layers over tokens, by the library that is fastest on this processor."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from lrcore.runtime import matrix_products

FEWEST = 64
"""Tokens; a product of fewer is over before it matters who computes it."""


class Linear(nn.Linear):
    """`nn.Linear` over tokens (B, N, in), as a 1 x 1 convolution by oneDNN where that is faster.

    The same sums, perhaps in another order: equal to rounding.
    """

    def forward(self, tokens: Tensor) -> Tensor:
        if not _through_onednn(tokens):
            return super().forward(tokens)
        # tokens as the pixels of one column, channels last, as they lie in memory: nothing is copied
        pixels = tokens[:, None].permute(0, 3, 1, 2)
        out = conv2d(pixels, self.weight[:, :, None, None], self.bias)
        return out.permute(0, 2, 3, 1).squeeze(1)


def _through_onednn(tokens: Tensor) -> bool:
    return (
        matrix_products.ONEDNN_IS_FASTER
        and tokens.device.type == "cpu"
        and tokens.dtype == torch.float32
        and tokens.ndim == 3
        and tokens.shape[0] * tokens.shape[1] >= FEWEST
        and not torch.is_autocast_enabled("cpu")
    )
