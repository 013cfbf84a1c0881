"""How well a latent space was learned, apart from what its decoder loses.

A distance of samples to images holds both: a blurred decoder keeps the best transformer far away. Against the decoder's
own reconstructions, of as many test images as there are samples, what is left is the transformer's. With D a distance
to these, 0 for a perfect transformer,

    G = 1 - D(samples) / D(decoded Gaussian latents)

is 1 where samples are as good as reconstructions and 0 where they are no better than latents drawn from a Gaussian with
the training latents' mean and covariance, which anybody has who knows second moments alone. D is the kernel distance
(KID), which has no bias from the number of samples; by the Frechet distance (FID), which has, G stands beside it.

    trainings = learned(load_studies("data")["cifar10-cpu"])
    mean_of_trainings(trainings)
"""

from __future__ import annotations

import pandas

from lrcore.results import findings
from lrcore.results.study_rows import StudyRows
from lrcore.spec.study import NO_REPA

DISTANCES = ("kid", "fid")
"""What G is taken by, the one that counts first."""

CHOICE, GRID = "choice", "grid"
"""Where rows are from: the chosen setting measured anew, or the grid, whose lowest distance flatters a little."""


def share_learned(samples: pandas.Series, gaussian: pandas.Series) -> pandas.Series:
    """G of distances to reconstructions: NaN where one is, or where no Gaussian is worse than reconstructions.

    >>> share_learned(pandas.Series([10.0, 50.0, 1.0]), pandas.Series([40.0, 40.0, 0.0])).tolist()
    [0.75, -0.25, nan]
    """
    found: pandas.Series = 1 - samples / gaussian.where(gaussian > 0)
    return found


def learned(study: StudyRows) -> pandas.DataFrame:
    """One row for each autoencoder and training at its best setting without REPA: its generation row and three columns.

    `g_kid` and `g_fid` are G by either distance; `measured` is `CHOICE`, for the autoencoders whose chosen setting was
    measured anew, or `GRID`. Rows without G are left out: they diverged, are from before it was measured, or there were
    fewer test images than samples.
    """
    anew = study.decided
    grid = _best_of_grid(study.generation)
    grid = grid[~grid["ae"].isin(anew["ae"])]
    rows = pandas.concat([anew.assign(measured=CHOICE), grid.assign(measured=GRID)], ignore_index=True)
    shares = {
        f"g_{name}": share_learned(rows[f"reconstruction_{name}"], rows[f"gaussian_{name}"]) for name in DISTANCES
    }
    return rows.assign(**shares).dropna(subset="g_kid").reset_index(drop=True)


def mean_of_trainings(rows: pandas.DataFrame) -> pandas.DataFrame:
    """One row an autoencoder of `learned`, the one that was learned best first.

    Columns ae, measured, n_samples, trainings, g_kid, g_fid (means over trainings), deviation (of g_kid, the standard
    deviation between trainings; NaN of one), and the means of kid, fid and of their floor_, reconstruction_ and
    gaussian_ distances.
    """
    groups = rows.groupby("ae")
    parts = ("", "floor_", "reconstruction_", "gaussian_")
    means = groups[["g_kid", "g_fid", *(part + name for name in DISTANCES for part in parts)]].mean()
    found = groups[["measured", "n_samples"]].first().join(means)
    found = found.assign(trainings=groups.size(), deviation=groups["g_kid"].std())
    return found.sort_values("g_kid", ascending=False).reset_index()


def anchors_of(study: StudyRows, means: pandas.DataFrame) -> pandas.DataFrame:
    """The anchors that the samples of `mean_of_trainings` are held against: of as many images, in the same features.

    Rows of `records.reading.read_anchors`.
    """
    rows, run = study.anchors, study.generation
    same = (rows["feature_network"] == run["feature_network"].iloc[0]) & (
        rows["feature_protocol"] == run["feature_protocol"].iloc[0]
    )
    found: pandas.DataFrame = rows[same].merge(means[["ae", "n_samples"]])
    return found


def _best_of_grid(generation: pandas.DataFrame) -> pandas.DataFrame:
    """The rows of each autoencoder's best setting without REPA, of `findings.best_per_ae`."""
    plain = generation[generation["repa"] == NO_REPA]
    if plain.empty:
        return plain
    best = findings.best_per_ae(findings.mean_over_seeds(plain))
    return plain.merge(best[[*findings.SETTING, "step"]])
