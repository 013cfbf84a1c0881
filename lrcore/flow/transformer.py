"""The diffusion transformer: DiT blocks with adaLN-zero on a grid of latent tokens.

Architecture of DiT (Peebles & Xie 2023, arXiv 2212.09748) as SiT (Ma et al. 2024, arXiv 2401.08740)
trains it; blocks and parameters carry the public names. Patches are the latent interface's business:
the model sees tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from lrcore.errors import LrcoreError
from lrcore.flow.linear import Linear
from lrcore.flow.shapes import TransformerShape

REVISION = 3
"""Raised where the same study trains to other weights than before, so that older runs are not taken for its own."""


class TimestepEmbedder(nn.Module):
    """Sinusoidal features of t in [0, 1], then an MLP; (B,) to (B, width)."""

    scale: Tensor

    def __init__(self, width: int, frequencies: int = 256) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(frequencies, width), nn.SiLU(), nn.Linear(width, width))
        half = frequencies // 2
        scale = torch.exp(-math.log(10_000) * torch.arange(half, dtype=torch.float32) / half)
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        angles = t.float()[:, None] * self.scale
        features = torch.cat([angles.cos(), angles.sin()], dim=-1)
        embedded: Tensor = self.mlp(features)
        return embedded


class LabelEmbedder(nn.Module):
    """Class labels (B,) to (B, width); with `label_dropout`, the label `classes` stands for "no class"."""

    def __init__(self, classes: int, width: int, label_dropout: bool = True) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(classes + label_dropout, width)

    def forward(self, labels: Tensor) -> Tensor:
        embedded: Tensor = self.embedding_table(labels)
        return embedded


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x (1 + scale) + shift, with (B, width) conditioning over (B, N, width) tokens."""
    return x * (1 + scale[:, None]) + shift[:, None]


class Attention(nn.Module):
    """Multi-head self-attention over tokens (B, N, width), as a vision transformer's (arXiv 2010.11929)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        # channels of a token: queries, keys and values, of each the heads
        parts = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        attended = scaled_dot_product_attention(*parts.unbind(0))
        projected: Tensor = self.proj(attended.transpose(1, 2).reshape(batch, tokens, width))
        return projected


class Mlp(nn.Module):
    """Two linear layers with a GELU (its tanh approximation) between them, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = Linear(width, 4 * width)
        self.act = nn.GELU(approximate="tanh")
        self.fc2 = Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.act(self.fc1(x)))
        return out


class Block(nn.Module):
    """Attention and MLP, each modulated and gated by the conditioning (adaLN-zero)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.mlp = Mlp(width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(condition).chunk(6, dim=-1)
        x = x + gate_a[:, None] * self.attn(modulate(self.norm1(x), shift_a, scale_a))
        out: Tensor = x + gate_m[:, None] * self.mlp(modulate(self.norm2(x), shift_m, scale_m))
        return out


class FinalLayer(nn.Module):
    """Modulated norm and projection back to the channels of a token."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.linear = Linear(width, channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(condition).chunk(2, dim=-1)
        out: Tensor = self.linear(modulate(self.norm_final(x), shift, scale))
        return out


class LinearSkip(nn.Module):
    """A linear map of the noisy tokens, gated by the time: g(t) * W x, to be added to the velocity.

    It can have full rank in the channels however narrow the transformer is. What the noise alone explains of the
    velocity needs that: outside of the subspace that the data fill, eps - x is x_t / t (Zheng et al. 2025, arXiv
    2510.11690, on widths below the channels of a token). W starts as the identity and the gate, one number per channel,
    at zero, so that a model starts as it does without.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.linear = Linear(channels, channels, bias=False)
        self.gate = nn.Sequential(nn.SiLU(), nn.Linear(width, channels))
        nn.init.eye_(self.linear.weight)
        for parameter in self.gate.parameters():
            nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor, time: Tensor) -> Tensor:
        """`tokens` (B, N, channels) and the embedded `time` (B, width) to (B, N, channels)."""
        out: Tensor = self.gate(time)[:, None] * self.linear(tokens)
        return out


@dataclass(frozen=True)
class Prediction:
    """`velocity` (B, N, channels) and, where asked for, the `hidden` tokens (B, N, width) after one block."""

    velocity: Tensor
    hidden: Tensor | None


class DiffusionTransformer(nn.Module):
    """Predicts the velocity eps - x of noisy tokens.

    Args:
        shape: width, depth and heads.
        channels: channels per token of the latent space.
        grid: (rows, columns) of tokens; N = rows * columns.
        classes: number of classes; label `classes` means none.
        skip: adds a `LinearSkip`.
        label_dropout: labels are dropped in training; without it there is no label that means none, and no guidance.
    """

    pos_embed: Tensor

    def __init__(
        self,
        shape: TransformerShape,
        channels: int,
        grid: tuple[int, int],
        classes: int,
        skip: bool = False,
        label_dropout: bool = True,
    ) -> None:
        super().__init__()
        self.shape, self.channels, self.grid, self.classes = shape, channels, grid, classes
        self.label_dropout = label_dropout
        self.x_embedder = Linear(channels, shape.width)
        self.t_embedder = TimestepEmbedder(shape.width)
        self.y_embedder = LabelEmbedder(classes, shape.width, label_dropout)
        self.register_buffer("pos_embed", positions(shape.width, grid)[None], persistent=False)
        self.blocks = nn.ModuleList(Block(shape.width, shape.heads) for _ in range(shape.depth))
        self.final_layer = FinalLayer(shape.width, channels)
        self._initialise()
        # after all others, which thereby start from the same numbers with it and without
        self.skip = LinearSkip(shape.width, channels) if skip else None

    def forward(self, tokens: Tensor, t: Tensor, labels: Tensor, hidden_after: int | None = None) -> Prediction:
        """Velocity of `tokens` (B, N, channels) at times `t` (B,) in [0, 1] for int64 `labels` (B,).

        `hidden_after` asks for the tokens after that many blocks (1 to depth).

        Raises:
            LrcoreError: a label that means none, of a model trained without label dropout.
        """
        x, time, condition = self._embedded(tokens, t, labels)
        hidden = None
        for number, block in enumerate(self.blocks, start=1):
            x = block(x, condition)
            if number == hidden_after:
                hidden = x
        velocity = self.final_layer(x, condition)
        if self.skip is not None:
            velocity = velocity + self.skip(tokens, time)
        return Prediction(velocity, hidden)

    def hidden(self, tokens: Tensor, t: Tensor, labels: Tensor, after: int) -> Tensor:
        """The tokens (B, N, width) after so many blocks (1 to depth), without the work of the others."""
        x, _, condition = self._embedded(tokens, t, labels)
        for block in self.blocks[:after]:
            x = block(x, condition)
        return x

    def _embedded(self, tokens: Tensor, t: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the first block sees, the embedded time, and the condition, which is time and label."""
        if not self.label_dropout and (labels >= self.classes).any():
            raise LrcoreError(
                "the model was trained without label dropout and knows no label for 'no class', which guidance and "
                f"label dropout need; its labels are 0 to {self.classes - 1}"
            )
        time: Tensor = self.t_embedder(t)
        return self.x_embedder(tokens) + self.pos_embed, time, time + self.y_embedder(labels)

    def _initialise(self) -> None:
        """DiT's: Xavier for linear layers, small normal embeddings, zero for gates and the output."""

        def xavier(module: nn.Module) -> None:
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

        self.apply(xavier)
        nn.init.normal_(self.y_embedder.embedding_table.weight, std=0.02)
        for layer in self.t_embedder.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.02)
        gates = [m.adaLN_modulation[-1] for m in self.modules() if isinstance(m, Block | FinalLayer)]
        for zeroed in [*gates, self.final_layer.linear]:
            for parameter in zeroed.parameters():
                nn.init.zeros_(parameter)


class RepaProjector(nn.Module):
    """REPA's MLP from hidden tokens to the channels of a frozen encoder (Yu et al. 2024, arXiv 2410.06940)."""

    def __init__(self, width: int, channels: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Linear(width, hidden), nn.SiLU(), Linear(hidden, hidden), nn.SiLU(), Linear(hidden, channels)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        projected: Tensor = self.layers(tokens)
        return projected


def positions(width: int, grid: tuple[int, int]) -> Tensor:
    """Sine-cosine positions (rows * columns, width), float32: half of the channels for the column, half for the row.

    Those of DiT's code and MAE's, computed in float64 and one unit a token, whatever the grid: in each half the sines
    of frequencies 10000^(-4 i / width), then their cosines. (diffusers' `get_2d_sincos_pos_embed` stretches every grid
    to 16 tokens a side.)
    """
    frequencies = 1.0 / 10_000 ** (torch.arange(width // 4, dtype=torch.float64) / (width / 4))
    rows, columns = (torch.arange(count, dtype=torch.float64) for count in grid)
    row, column = torch.meshgrid(rows, columns, indexing="ij")
    angles = [torch.outer(at.flatten(), frequencies) for at in (column, row)]
    return torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=1).float()


def compile_blocks(model: DiffusionTransformer) -> None:
    """Send the blocks through torch.compile, in place: one compilation for all of them; names of weights stay."""
    for block in model.blocks:
        block.compile()


def parameter_count(module: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
