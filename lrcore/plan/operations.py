"""What studies consist of: operations of a kind that cost the same each time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from lrcore.spec.study import NO_REPA, NO_SKIP


class Kind(StrEnum):
    """What is done."""

    AUTOENCODER_STEP = "autoencoder step"
    PATCHES = "patch features of an image"
    ENCODE = "image encoded"
    DECODE = "image decoded"
    METRICS = "reconstruction metrics of an image"
    DIAGNOSE = "diagnostics of a latent space"
    PREDICT = "predictors of a latent space"
    LINEAR = "linear denoiser of a latent space"
    NEIGHBOURS = "nearest neighbours of all latents"
    GAUSSIAN = "Gaussian latent"
    STEP = "training step"
    PASS = "transformer pass of a sample"
    FEATURES = "image in the feature network"
    STATISTICS = "mean and covariance of features, an image"
    FACTOR = "factor of a covariance"
    FRECHET = "Frechet distance"
    PAIR = "pair of images in the feature network"
    LOAD = "feature network loaded"
    LOAD_LPIPS = "LPIPS networks loaded"


@dataclass(frozen=True, order=True)
class Operation:
    """`ae`: whose network or latents; `repa`, `width`, `skip`: of the transformer.

    `size`: images that a set has (distances, diagnostics), training latents behind a Gaussian one, trainings of a
    stack.
    """

    kind: Kind
    ae: str = ""
    repa: str = NO_REPA
    width: int = 0
    skip: str = NO_SKIP
    size: int = 0

    @property
    def described(self) -> str:
        """For messages: what is done, and whose it is."""
        return f"{self.kind}" + (f" of '{self.ae}'" if self.ae else "")


Workload = Counter[Operation]
