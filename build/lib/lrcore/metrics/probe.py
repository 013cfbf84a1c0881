"""How much of an image's class can a linear classifier read off its latents?

Alain & Bengio 2016 (arXiv:1610.01644) introduced linear probes of a network's layers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from lrcore.errors import LrcoreError
from lrcore.metrics.jackknife import Estimate, check_tokens, chunks
from lrcore.runtime.seeds import generator

PENALTIES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
"""Weights of the L2 penalty that are tried, strongest first."""

LEAST_TRAINING_IMAGES = 10

PROBE_PROTOCOL = (
    "mean over tokens, standardised by the training images; multinomial logistic regression, mean cross-entropy + "
    f"penalty / 2 * |weights|^2 with the penalty of {', '.join(f'{p:g}' for p in PENALTIES)} that is best on a fixed "
    "random fifth of the training images, refitted on all; top-1 accuracy on validation images, binomial standard error"
)


def linear_probe(
    train_tokens: Tensor, train_labels: Tensor, test_tokens: Tensor, test_labels: Tensor, classes: int
) -> Estimate:
    """Accuracy in [0, 1] on the test images, a scalar by `PROBE_PROTOCOL`; chance is 1 / classes if they are balanced.

    The standard error is of the choice of test images alone, sqrt(p (1 - p) / n): another training set would give
    another probe. It is 0 at accuracies of 0 and 1. Nothing is random but which fifth is held out, which depends on the
    number of training images alone.

    Args:
        train_tokens: (M, T, C), any floating-point type, M >= `LEAST_TRAINING_IMAGES`.
        train_labels: (M,) integers in [0, classes), of at least 2 classes.
        test_tokens: (N, T', C), N >= 1; T' may differ from T.
        test_labels: (N,) integers in [0, classes), or -1 for an image of another class: no answer is right there.
        classes: at least 2.

    Raises:
        LrcoreError: shapes, types or labels are others; training images of a single class; NaN or infinity.
    """
    if classes < 2:
        raise LrcoreError(f"a linear probe needs at least 2 classes, got {classes}")
    _check_part("training", train_tokens, train_labels, 0, classes, LEAST_TRAINING_IMAGES)
    _check_part("test", test_tokens, test_labels, -1, classes, 1)
    if train_tokens.shape[2] != test_tokens.shape[2]:
        raise LrcoreError(f"tokens of {train_tokens.shape[2]} channels in training, of {test_tokens.shape[2]} in test")
    if len(train_labels.unique()) < 2:
        raise LrcoreError("all training images are of one class: a linear probe needs at least 2")
    train, test = _pooled(train_tokens), _pooled(test_tokens)
    labels = train_labels.detach().cpu().long()
    fitted = _Classifier.fit(train, labels, classes, _best_penalty(train, labels, classes))
    accuracy = fitted.accuracy(test, test_labels.detach().cpu().long())
    error = math.sqrt(accuracy * (1 - accuracy) / len(test))
    value, standard_error = torch.tensor([accuracy, error], dtype=torch.float64)
    return Estimate(value, standard_error, len(test))


class _Classifier:
    """Multinomial logistic regression on features standardised by those it was fitted to."""

    def __init__(self, mean: Tensor, scale: Tensor, weights: Tensor) -> None:
        self._mean, self._scale, self._weights = mean, scale, weights

    @classmethod
    def fit(cls, features: Tensor, labels: Tensor, classes: int, penalty: float) -> _Classifier:
        """From features (N, C) float64 and labels (N,)."""
        mean, std = features.mean(dim=0), features.std(dim=0, correction=0)
        # A channel that is constant up to rounding says nothing, and must not be blown up.
        scale = torch.where(std > 1e-7 * features.abs().amax(dim=0), std, torch.inf)
        return cls(mean, scale, minimise((features - mean) / scale, labels, classes, penalty))

    def accuracy(self, features: Tensor, labels: Tensor) -> float:
        """Share of the images whose highest score is their label's."""
        scores = _scores((features - self._mean) / self._scale, self._weights)
        return float((scores.argmax(dim=1) == labels).double().mean())


def minimise(features: Tensor, labels: Tensor, classes: int, penalty: float) -> Tensor:
    """(classes, C + 1) weights, the intercept last, that minimise mean cross-entropy + penalty / 2 * |weights|^2.

    The intercept is not penalised. L-BFGS from zero in float64, so the same every time.
    """
    weights = torch.zeros(classes, features.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights], max_iter=300, tolerance_grad=1e-6, tolerance_change=1e-10, line_search_fn="strong_wolfe"
    )

    def objective() -> Tensor:
        optimiser.zero_grad()
        loss = functional.cross_entropy(_scores(features, weights), labels)
        loss = loss + penalty / 2 * weights[:, :-1].square().sum()
        loss.backward()
        return loss

    # turns gradients on by itself
    optimiser.step(objective)
    return weights.detach()


def _scores(features: Tensor, weights: Tensor) -> Tensor:
    return features @ weights[:, :-1].T + weights[:, -1]


def _best_penalty(features: Tensor, labels: Tensor, classes: int) -> float:
    """The penalty of the highest accuracy on a held-out fifth; the strongest of equals."""
    order = torch.randperm(len(features), generator=generator("linear probe", len(features)))
    held, kept = order[: len(order) // 5], order[len(order) // 5 :]
    # max takes the first of equals, and the strongest comes first
    return max(
        PENALTIES,
        key=lambda penalty: _Classifier.fit(features[kept], labels[kept], classes, penalty).accuracy(
            features[held], labels[held]
        ),
    )


def _pooled(tokens: Tensor) -> Tensor:
    """(N, C) float64: the mean over tokens."""
    return torch.cat([part.mean(dim=1) for part in chunks(tokens)])


def _check_part(part: str, tokens: Tensor, labels: Tensor, lowest: int, classes: int, least: int) -> None:
    if len(tokens) < least:
        raise LrcoreError(f"a linear probe needs at least {least} {part} images, got {len(tokens)}")
    check_tokens(tokens, least)
    if labels.shape != tokens.shape[:1] or labels.is_floating_point() or labels.dtype == torch.bool:
        raise LrcoreError(
            f"{part} labels must be {len(tokens)} integers, one an image, got {labels.dtype} {tuple(labels.shape)}"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < lowest or high >= classes:
        raise LrcoreError(f"{part} labels must be from {lowest} to {classes - 1}, got {low} to {high}")
