"""The arithmetic of PSNR and SSIM over uint8 planes, in float64 and in pieces that fit a processor's cache.

SSIM (Wang et al. 2004, doi:10.1109/TIP.2003.819861, eq. 13) filters x, y, x^2, y^2 and xy with a Gaussian window. With
s = x + y and d = x - y four filtered maps do: for local means S, D and local variances V_s, V_d of s and d,

    2 mu_x mu_y       = (S^2 - D^2) / 2        2 cov_xy        = (V_s - V_d) / 2
    mu_x^2 + mu_y^2   = (S^2 + D^2) / 2        var_x + var_y   = (V_s + V_d) / 2

The window is separable, and either direction is a product of small dense band matrices with overlapping tiles of the
image: more multiplications than a convolution needs, but in the routine that processors do best.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

SIGMA = 1.5
"""Of the Gaussian window, in pixels."""
RADIUS = 5
"""Of the window, in pixels: 3.5 sigma, rounded."""

_C1, _C2 = (0.01 * 255.0) ** 2, (0.03 * 255.0) ** 2
# Outputs of one band matrix: the fastest of 4 to 64 by far, as wide as the kernels of the matrix product are.
_TILE = 12
# Pixels of one plane that are worked on at a time. On a CPU the twelve float64 maps of a piece should stay in the
# cache of one core; on an accelerator a piece should keep the whole device busy.
_CPU_PIXELS, _DEVICE_PIXELS = 24 * 1024, 2 * 1024 * 1024


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    """Sums over the last dimension of the squared differences of uint8 (N, K), exact, (N,) float64."""
    largest = _pixels(x.device)
    size = max(1, largest // max(1, x.shape[1]))
    buffers = torch.empty(2, min(size, len(x)) * min(largest, x.shape[1]), dtype=torch.float64, device=x.device)
    sums = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for total, p, q in zip(sums.split(size), x.split(size), y.split(size), strict=True):
        for left, right in zip(p.split(largest, dim=1), q.split(largest, dim=1), strict=True):
            difference, other = (buffer[: left.numel()].view(left.shape) for buffer in buffers)
            difference.copy_(left).sub_(other.copy_(right))
            total += difference.square_().sum(1)
    return sums


def mean_ssim(x: Tensor, y: Tensor) -> Tensor:
    """SSIM of uint8 planes (N, H, W), data range 255, averaged over where the window lies inside, (N,) float64.

    H and W must be at least 2 RADIUS + 1. On a CPU the planes are shared out among as many threads as torch uses; for
    that time `torch.get_num_threads()` is 1, so that each of them has one core.
    """
    threads = min(torch.get_num_threads(), len(x)) if x.device.type == "cpu" else 1
    if len(x) == 0:
        return torch.zeros(0, dtype=torch.float64, device=x.device)
    if threads == 1:
        return _mean_ssim(x, y)
    # One operation on a piece is over before a second core has woken up for it: whole pieces run side by side instead.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            return torch.cat(list(pool.map(_mean_ssim, x.tensor_split(threads), y.tensor_split(threads))))
    finally:
        torch.set_num_threads(before)


def _mean_ssim(x: Tensor, y: Tensor) -> Tensor:
    """`mean_ssim` in the calling thread: planes are grouped if small, and cut into bands of rows if large."""
    height, width = x.shape[1] - 2 * RADIUS, x.shape[2] - 2 * RADIUS
    rows = _even(height, max(_TILE, _pixels(x.device) // x.shape[2]))
    size = max(1, _pixels(x.device) // ((rows + 2 * RADIUS) * x.shape[2]))
    pieces: dict[tuple[int, ...], _Piece] = {}
    means = [torch.zeros(0, dtype=torch.float64, device=x.device)]
    for p, q in zip(x.split(size), y.split(size), strict=True):
        total = torch.zeros(len(p), dtype=torch.float64, device=x.device)
        for first in range(0, height, rows):
            band = slice(first, min(first + rows, height) + 2 * RADIUS)
            shape = tuple(p[:, band].shape)
            if shape not in pieces:
                pieces[shape] = _Piece(shape, x.device)
            total += pieces[shape].similarity(p[:, band], q[:, band])
        means.append(total / (height * width))
    return torch.cat(means)


class _Piece:
    """Buffers for `n` planes of `height` x `width` pixels, and views of them, used again for every piece of the shape.

    The rows of all planes of all four maps (s, d, s^2, d^2) form one tall column, which tiles may cut anywhere: then
    each direction is one batched product. Rows whose window reaches into the next plane, and columns whose window
    reaches into the next row, hold nothing meaningful and are left out of the sum.
    """

    def __init__(self, shape: tuple[int, ...], device: torch.device) -> None:
        self.n, self.height, self.width = shape
        reach = 2 * RADIUS
        column = 4 * self.n * self.height
        down, across = -(-column // _TILE), -(-(self.width - reach) // _TILE)
        rows = down * _TILE
        band = _band_matrix().to(device)

        # Zeros: the last tiles read past the end of what is written, and rubbish there may be slow denormals or NaN.
        pixels = torch.zeros((rows + reach) * self.width, dtype=torch.float64, device=device)
        self.maps = pixels[: column * self.width].view(4, self.n, self.height, self.width)
        self.down_in = pixels.as_strided((down, _TILE + reach, self.width), (_TILE * self.width, self.width, 1))
        self.down_by = band.expand(down, -1, -1)
        between = torch.zeros(rows * self.width + _TILE + reach, dtype=torch.float64, device=device)
        self.down_out = between[: rows * self.width].view(down, _TILE, self.width)
        self.across_in = between.as_strided((across, rows, _TILE + reach), (_TILE, self.width, 1))
        self.across_by = band.t().contiguous().expand(across, -1, -1)
        self.across_out = torch.empty(across, rows, _TILE, dtype=torch.float64, device=device)

        # (4, across, n * height * tile), and room for two such maps where the input was, which is done with by then.
        self.filtered = self.across_out[:, :column].unflatten(1, (4, -1)).movedim(1, 0).flatten(2)
        self.spare = pixels[: self.filtered[:2].numel()].view(self.filtered[:2].shape)
        self.means_constant = band.new_tensor([2 * _C1, 0.0]).view(2, 1, 1)
        self.squares_constant = band.new_tensor([2 * _C2, 0.0]).view(2, 1, 1, 1)

    def similarity(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum of SSIM over the pixels of uint8 (n, height, width) with the window inside, (n,) float64."""
        sum_difference, squares = self.maps[:2], self.maps[2:]
        squares[0].copy_(x)
        squares[1].copy_(y)
        torch.add(squares[0], squares[1], out=sum_difference[0])
        torch.sub(squares[0], squares[1], out=sum_difference[1])
        # The window's weights sum to one, so a constant added here is the same constant after the filter.
        torch.addcmul(self.squares_constant, sum_difference, sum_difference, out=squares)
        torch.bmm(self.down_by, self.down_in, out=self.down_out)
        torch.bmm(self.across_in, self.across_by, out=self.across_out)

        means, variances = self.filtered[:2], self.filtered[2:]
        variances.addcmul_(means, means, value=-1.0)
        torch.addcmul(self.means_constant, means, means, out=means)
        of_s, of_d = self.filtered[::2], self.filtered[1::2]
        ratios = torch.sub(of_s, of_d, out=self.spare)
        ratios.div_(of_s.add_(of_d))
        similarity = ratios[0].mul_(ratios[1]).view(-1, self.n, self.height, _TILE)
        columns = similarity[:, :, : self.height - 2 * RADIUS].sum(2).transpose(0, 1).flatten(1)
        return columns[:, : self.width - 2 * RADIUS].sum(1)


def _band_matrix() -> Tensor:
    """(tile, tile + 2 RADIUS) float64 that filters a column of tile + 2 RADIUS values where the window lies inside."""
    weights = torch.tensor([math.exp(-0.5 * (i / SIGMA) ** 2) for i in range(-RADIUS, RADIUS + 1)], dtype=torch.float64)
    matrix = torch.zeros(_TILE, _TILE + 2 * RADIUS, dtype=torch.float64)
    for row in range(_TILE):
        matrix[row, row : row + len(weights)] = weights / weights.sum()
    return matrix


def _even(length: int, largest: int) -> int:
    """The size of the fewest parts of `length`, each at most `largest`, that are as equal as can be."""
    return -(-length // -(-length // largest))


def _pixels(device: torch.device) -> int:
    return _CPU_PIXELS if device.type == "cpu" else _DEVICE_PIXELS
