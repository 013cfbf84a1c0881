"""What was learned at each noise level beyond second moments, without a sample: the loss over a linear denoiser's.

    denoising.over_gaussian(study.losses, study.latents)

The loss of a bin of t holds what cannot be known of the velocity, and what the model has not learned. The loss of a
linear denoiser (`lrcore.metrics.gaussian_loss`) is a scale to read it on: a ratio of 1 is what second moments tell,
less is structure beyond them, more is a model that has not even those. The ratio errs in two known ways. A share of the
labels is dropped in training (`class_dropout`), so a measured loss is a mean over images with and without their class,
the linear denoiser's is with it: that raises the ratio. And the linear denoiser is one that finitely many images
determine, not the best: that lowers it, the more so the wider the latent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import torch

from lrcore.errors import LrcoreError
from lrcore.flow.timesteps import density
from lrcore.metrics.gaussian_loss import GAUSSIAN_LOSS
from lrcore.spec.study import NO_REPA

_POINTS = 200
"""Midpoints that a mean over a bin of t is taken over."""


def over_gaussian(losses: pandas.DataFrame, latents: pandas.DataFrame) -> pandas.DataFrame:
    """The ratio for each autoencoder and bin of t, of the losses and latents of one study's `StudyRows`.

    Of the trainings without REPA in the last interval of steps that was logged: losses of the weights being trained,
    not of their average. Loss and bound are means over the images of the bin, the bound under each training's own
    density of t. Columns: `ae`, `step`, `t_low`, `t_high`, `loss`, `gaussian_loss`, `count` of images, `ratio`, and its
    `standard_error`, the bound's alone with errors at neighbouring t taken as one: rows of losses hold no variance.

    Raises:
        LrcoreError: no training without REPA has a finite loss, or no bound was measured of any of their autoencoders.
    """
    bounds = latents[latents["metric"] == GAUSSIAN_LOSS].sort_values(["ae", "x"])
    plain = losses[(losses["repa"] == NO_REPA) & (losses["count"] > 0)].dropna(subset="loss")
    plain = plain[plain["ae"].isin(set(bounds["ae"]))]
    if plain.empty:
        raise LrcoreError(
            "no rows: no training without REPA has both a loss and the loss of a linear denoiser; run "
            "`python -m lrcore.train` first"
        )
    last = plain[plain["step"] == plain.groupby("ae")["step"].transform("max")]
    curves = {str(ae): curve for ae, curve in bounds.groupby("ae")}
    means = pandas.DataFrame([_bin_means(row, curves[str(row.ae)]) for row in last.itertuples()], index=last.index)
    totals = means.assign(loss=last["loss"]).mul(last["count"], axis=0)
    keys = ["ae", "step", "t_low", "t_high"]
    found = totals.assign(count=last["count"]).groupby([last[key] for key in keys]).sum()
    for column in ("loss", "value", "standard_error"):
        found[column] /= found["count"]
    found = found.rename(columns={"value": "gaussian_loss"})
    found["ratio"] = found["loss"] / found["gaussian_loss"]
    found["standard_error"] *= found["ratio"] / found["gaussian_loss"]
    return found.reset_index()[[*keys, "loss", "gaussian_loss", "count", "ratio", "standard_error"]]


def _bin_means(row: Any, curve: pandas.DataFrame) -> dict[str, float]:
    """`value` and `standard_error` of a curve over t, means over a row's bin under its training's density of t."""
    t = row.t_low + (row.t_high - row.t_low) * (torch.arange(_POINTS, dtype=torch.float64) + 0.5) / _POINTS
    weights = density(row.trainp, row.trainshift).pdf(t).numpy()
    columns = ("value", "standard_error")
    return {name: float(np.average(np.interp(t, curve["x"], curve[name]), weights=weights)) for name in columns}
