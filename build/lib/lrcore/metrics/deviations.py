"""Latents less the mean of their class: what covariances within classes are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.metrics.jackknife import check_tokens, images_at_once


@dataclass(frozen=True)
class ClassDeviations:
    """Deviations of the latents of N images, each times sqrt(n / (n - 1)) of the n images of its class.

    So the mean of their outer products is, without bias, the covariance within classes, averaged over images. Iterating
    gives them in order, (B, T, C) float64 at a time. `labels` (N,) are the classes; a class of one image deviates from
    nothing and is left out.
    """

    tokens: Tensor
    labels: Tensor
    _means: Tensor
    _places: Tensor
    _scales: Tensor

    def __len__(self) -> int:
        return len(self.tokens)

    def __iter__(self) -> Iterator[Tensor]:
        size = images_at_once(self.tokens)
        for part, places in zip(self.tokens.split(size), self._places.split(size), strict=True):
            deviations = part.to("cpu", torch.float64) - self._means[places]
            yield deviations * self._scales[places, None, None]

    @property
    def variance(self) -> float:
        """Trace of the covariance; 0 where what there is, is rounding."""
        squares = sum(float(part.square().sum()) for part in self)
        # float64 keeps 1e-16 of a mean square
        return squares / len(self) if squares > 1e-12 * float(self._means.square().sum()) else 0.0


def class_deviations(tokens: Tensor, labels: Tensor) -> ClassDeviations:
    """The deviations of `tokens` (N, T, C), of any floating-point type, from the means of classes `labels` (N,).

    Raises:
        LrcoreError: another shape or type, NaN or infinity, or no two images of one class.
    """
    check_tokens(tokens)
    if labels.shape != tokens.shape[:1]:
        raise LrcoreError(f"labels must be one integer for each of {len(tokens)} images, got {tuple(labels.shape)}")
    _, places, images = labels.unique(return_inverse=True, return_counts=True)
    kept = images[places] > 1
    if not kept.any():
        raise LrcoreError(f"a covariance within classes needs two images of one class; {len(labels)} are of one each")
    if not kept.all():
        tokens, labels = tokens[kept], labels[kept]
        _, places, images = labels.unique(return_inverse=True, return_counts=True)
    sums = torch.zeros(len(images), *tokens.shape[1:], dtype=torch.float64)
    size = images_at_once(tokens)
    for part, of_class in zip(tokens.split(size), places.split(size), strict=True):
        sums.index_add_(0, of_class, part.to("cpu", torch.float64))
    scales = (images / (images.double() - 1)).sqrt()
    return ClassDeviations(tokens, labels, sums / images[:, None, None], places, scales)
