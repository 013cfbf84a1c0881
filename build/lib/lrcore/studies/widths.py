"""The width rule: a transformer must be at least as wide as a token has channels.

A narrower one cannot represent the velocity: of the noise in a token's C channels it passes on W, and at t = 1 its loss
is at least (C - W) / C above the best one's, however long it trains (Zheng et al. 2025, arXiv 2510.11690).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lrcore.errors import LrcoreError
from lrcore.flow.shapes import SHAPES
from lrcore.spec.study import Choice, Grid, Study

ENCODER_CHANNELS = {"efficientnet_lite0": 112, "dinov2b": 768}
"""Channels of the patch features that are a trained RAE's tokens, by encoder."""

FLUX2_PATCH, TAEF2_CHANNELS = 2, 32


def known_channels(study: Study) -> dict[str, int]:
    """Channels per token of the autoencoders whose keys tell; of the others a stage learns them."""
    return {ae: channels for ae in study.autoencoders if (channels := _channels(study, ae)) is not None}


def _channels(study: Study, ae: str) -> int | None:
    spec = study.autoencoders[ae]
    if spec.family == "patches":
        return spec.coefficients or 3 * spec.patch**2
    if spec.family == "taef2":
        return TAEF2_CHANNELS
    if spec.origin != "trained":
        return None
    if spec.family == "rae":
        return ENCODER_CHANNELS.get(study.encoder.name)
    return spec.latent_channels * (spec.patch if spec.family == "kl" else FLUX2_PATCH) ** 2


def check_widths(study: Study, channels: Mapping[str, int]) -> None:
    """Refuse a study with a transformer narrower than the `channels` of an autoencoder's tokens, unless `narrow` admits
    it.

    Raises:
        LrcoreError: names the table, the autoencoder and both numbers.
    """
    own = SHAPES[study.training.model].width
    for table, group in _groups(study):
        for ae in group.ae:
            width = min(given or own for given in group.width or (0,))
            if ae in channels and width < channels[ae] and not group.narrow:
                raise LrcoreError(
                    f"{table}: a transformer of width {width} is narrower than the {channels[ae]} channels of a token "
                    f"of '{ae}'; it cannot represent the velocity (Zheng et al. 2025, arXiv 2510.11690). Allowed: a "
                    f"training.model or width of at least {channels[ae]}, or narrow = true in this table, which marks "
                    "it wherever it is shown"
                )


def _groups(study: Study) -> Iterator[tuple[str, Grid | Choice]]:
    for number, grid in enumerate(study.grid, start=1):
        yield f"[[grid]] number {number}", grid
    for number, choice in enumerate(study.choice, start=1):
        yield f"[[choice]] number {number}", choice
