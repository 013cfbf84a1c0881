"""What autoencoders, metrics and parameters are called, and the order, colour and marker in which they stand.

The colours of the four families are Okabe and Ito's. Principal components are one ramp, relatives of a family are its
hue lighter or darker. All stay apart with any colour vision, on light and dark ground; markers tell as much.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from lrcore.errors import unknown
from lrcore.spec.study import NO_REPA, SELF_REPA


@dataclass(frozen=True)
class AeStyle:
    """How an autoencoder is named and drawn."""

    label: str
    colour: str
    symbol: str


AES = {
    "sd": AeStyle("SD", "#0072B2", "circle"),
    "flux1": AeStyle("FLUX.1", "#E69F00", "square"),
    "flux2": AeStyle("FLUX.2", "#009E73", "diamond"),
    "rae": AeStyle("RAE", "#CC79A7", "triangle-up"),
    "pixels": AeStyle("Pixels", "#6B7681", "x"),
    "pca4": AeStyle("PCA 4", "#CBA8FF", "triangle-down"),
    "pca8": AeStyle("PCA 8", "#AB7DFB", "triangle-left"),
    "pca16": AeStyle("PCA 16", "#914EF5", "triangle-right"),
    "pca32": AeStyle("PCA 32", "#7E1AE0", "triangle-ne"),
    "taef2": AeStyle("TAEF2", "#FF5542", "hourglass"),
    "flux2-plain": AeStyle("FLUX.2 unaligned", "#3A6B55", "diamond-wide"),
    "flux1-aligned": AeStyle("FLUX.1 aligned", "#A84300", "square-cross"),
    "flux2-again": AeStyle("FLUX.2 again", "#5EC99B", "diamond-tall"),
}
"""In the order in which they are listed and drawn."""

_OTHER_COLOURS = ("#D55E00", "#56B4E9", "#8C6BB1", "#8D8D00")
_OTHER_SYMBOLS = ("star", "cross", "hexagon", "pentagon")

PARAMETER_LABELS = {"trainp": "training density", "trainshift": "train shift", "sampleshift": "sample shift"}
DENSITY_LABELS = {"ts": "shifted uniform (ts)", "ln": "logit-normal (ln)", "pln": "plateau logit-normal (pln)"}


@dataclass(frozen=True)
class Metric:
    """A reconstruction metric: its name on an axis and which way is better."""

    label: str
    higher_is_better: bool

    @property
    def direction(self) -> str:
        return "higher is better" if self.higher_is_better else "lower is better"


METRICS = {
    "psnr": Metric("PSNR (dB)", True),
    "ssim": Metric("SSIM", True),
    "lpips": Metric("LPIPS", False),
    "lpips_vgg": Metric("LPIPS (VGG)", False),
    "lpips_alex": Metric("LPIPS (AlexNet)", False),
    "lpips_vgg_unweighted": Metric("LPIPS (VGG, unweighted)", False),
    "rfid": Metric("rFID", False),
    "rfd": Metric("rFD", False),
    "rkid": Metric("rKID", False),
    "rkd": Metric("rKD", False),
}


def repa_label(repa: str) -> str:
    """How runs are called whose column `repa` says this."""
    return {NO_REPA: "without REPA", SELF_REPA: "with REPA towards itself"}.get(repa, "with REPA")


def ae_style(ae: str) -> AeStyle:
    """The style of an autoencoder; one that is not of the study gets its own name and a fixed colour of the rest."""
    if ae in AES:
        return AES[ae]
    number = zlib.crc32(ae.encode())
    return AeStyle(ae, _OTHER_COLOURS[number % 4], _OTHER_SYMBOLS[number // 4 % 4])


def in_order(aes: Iterable[str]) -> list[str]:
    """Each autoencoder once: those of the study first, in its order, then others by name."""
    known = list(AES)
    return sorted(set(aes), key=lambda ae: (known.index(ae) if ae in known else len(known), ae))


def metric_style(metric: str) -> Metric:
    """The style of a reconstruction metric.

    Raises:
        LrcoreError: it is not one of `METRICS`.
    """
    if metric not in METRICS:
        raise unknown("reconstruction metric", metric, METRICS)
    return METRICS[metric]
