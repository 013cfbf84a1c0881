"""How well a latent space was learned, apart from what its decoder loses.

A distance of samples to images holds both: a blurred decoder keeps the best transformer far away. Against the decoder's
own reconstructions, of as many test images as there are samples, what is left is the transformer's. With D a distance
to these, 0 for a perfect transformer,

    G = 1 - D(samples) / D(decoded Gaussian latents)

is 1 where samples are as good as reconstructions and 0 where they are no better than latents drawn from a Gaussian with
the training latents' mean and covariance, which anybody has who knows second moments alone. D is the kernel distance
(KID), which has no bias from the number of samples; by the Frechet distance (FID), which has, G stands beside it.

Where reconstructions are themselves nearly Gaussian, the denominator is noise and G may be anything: a quotient has a
bounded interval only where its denominator is clearly not 0 (Fieller 1954, "Some problems in interval estimation"). So
G is *told* only where D(decoded Gaussian latents) is above both

- t s(n): what two sets of n images of one distribution are apart (`noise_of_zero`), t the 97.5th percentile of
  Student's distribution with the degrees of freedom that s is known with;
- two deviations that a seed moves D(samples) by, of the kernel distance to reconstructions itself
  (`above_noise.deviations_by_samples`): beyond, noise alone moves G by as much as lies between a Gaussian and
  reconstructions.

    trainings = learned(load_studies("data")["cifar10-cpu"])
    mean_of_trainings(trainings)
"""

from __future__ import annotations

import math

import pandas

from lrcore.results import above_noise, findings, naming, welch
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
    """One row for each autoencoder and training at its best setting without REPA: its generation row and four columns.

    `g_kid` and `g_fid` are G by either distance, NaN where not `told` (of the module); `measured` is `CHOICE`, for the
    autoencoders whose chosen setting was measured anew, or `GRID`. Rows without the distances are left out: they
    diverged, are from before these were measured, or there were fewer test images than samples.
    """
    anew = study.decided
    grid = _best_of_grid(study.generation)
    grid = grid[~grid["ae"].isin(anew["ae"])]
    rows = pandas.concat([anew.assign(measured=CHOICE), grid.assign(measured=GRID)], ignore_index=True)
    return with_shares(study, rows.dropna(subset=["reconstruction_kid", "gaussian_kid"]).reset_index(drop=True))


def with_shares(study: StudyRows, rows: pandas.DataFrame) -> pandas.DataFrame:
    """Generation rows of a study with G by either distance, NaN where not `told`: columns g_kid, g_fid and told."""
    told = _told(study, rows)
    shares = {
        f"g_{name}": share_learned(rows[f"reconstruction_{name}"], rows[f"gaussian_{name}"]).where(told)
        for name in DISTANCES
    }
    return rows.assign(**shares, told=told)


def mean_of_trainings(rows: pandas.DataFrame) -> pandas.DataFrame:
    """One row an autoencoder of `learned`, the one that was learned best first, those without a told G last.

    Columns ae, measured, n_samples, trainings, told, g_kid, g_fid (means over trainings), deviation (of g_kid, the
    standard deviation between trainings; NaN of one), `g_low` and `g_high`, the ends of a Student interval of
    `welch.CONFIDENCE` over the trainings, which differ in their seed (NaN of one; it does not hold what other samples
    of the same trainings would change), and the means of kid and fid and of their floor_, reconstruction_ and gaussian_
    distances.
    """
    groups = rows.groupby("ae")
    parts = ("", "floor_", "reconstruction_", "gaussian_")
    means = groups[["g_kid", "g_fid", *(part + name for name in DISTANCES for part in parts)]].mean()
    found = groups[["measured", "n_samples", "told"]].first().join(means)
    found = found.assign(trainings=groups.size(), deviation=groups["g_kid"].std())
    quantiles = {count: _student(int(count) - 1, (1 + welch.CONFIDENCE) / 2) for count in found["trainings"].unique()}
    reach = found["trainings"].map(quantiles) * found["deviation"] / found["trainings"] ** 0.5
    found = found.assign(g_low=found["g_kid"] - reach, g_high=found["g_kid"] + reach)
    return found.sort_values("g_kid", ascending=False).reset_index()


def noise_of_zero(study: StudyRows, n_samples: int) -> tuple[float, int]:
    """Standard deviation of the kernel distance of two sets of `n_samples` images of one distribution, and its degrees
    of freedom; (0, 0) where the rows have no distance of test images to the reference.

    That distance is one of 0, or more where test images are of another kind than the reference. Of n and m images of
    one distribution it deviates by k (1 / n + 1 / m) (Gretton et al. 2012, "A kernel two-sample test", theorem 12). k
    is known from every number n of test images in the rows: these are the first of the same images, so the changes
    from one number to the next are uncorrelated, as those of every U-statistic are (a reverse martingale).
    """
    rows = _in_same_features(study, study.anchors)
    rows = rows[(rows["anchor"] == "test") & (rows["target"] == "reference")].dropna(subset="kid")
    if rows.empty:
        return 0.0, 0
    each = rows.groupby("n_samples")[["kid", "n_reference"]].mean().sort_index(ascending=False)
    variances = (1 / each.index + 1 / each["n_reference"]) ** 2
    changes, steps = each["kid"].diff().fillna(each["kid"]), variances.diff().fillna(variances)
    return math.sqrt(float((changes**2 / steps).mean())) * 2 / n_samples, len(each)


def share_of_noise(study: StudyRows, means: pandas.DataFrame) -> dict[str, float]:
    """G that samples would have that are decoded noise, of the autoencoders of `mean_of_trainings` with a told G."""
    rows = anchors_of(study, means[means["told"]])
    found = rows[rows["target"] == "reconstructions"].pivot_table(index="ae", columns="anchor", values="kid")
    if not {"noise", "gaussian"} <= set(found):
        return {}
    return {str(ae): float(g) for ae, g in share_learned(found["noise"], found["gaussian"]).dropna().items()}


def not_told_in_words(means: pandas.DataFrame) -> str:
    """Of which autoencoders of `mean_of_trainings` G cannot be told, and why, in a sentence; "" where there is none."""
    names = [naming.ae_style(ae).label for ae in naming.in_order(means.loc[~means["told"].astype(bool), "ae"])]
    if not names:
        return ""
    return (
        f"G cannot be told of {', '.join(names)}: the distance of decoded Gaussian latents to reconstructions, which "
        "it divides by, is not clearly more than noise there."
    )


def anchors_of(study: StudyRows, means: pandas.DataFrame) -> pandas.DataFrame:
    """The anchors that the samples of `mean_of_trainings` are held against: of as many images, in the same features.

    Rows of `records.reading.read_anchors`.
    """
    found: pandas.DataFrame = _in_same_features(study, study.anchors).merge(means[["ae", "n_samples"]])
    return found


def _in_same_features(study: StudyRows, anchors: pandas.DataFrame) -> pandas.DataFrame:
    """The rows of anchors in the features that the study's grid is measured in."""
    run = study.generation.iloc[0]
    same = anchors["feature_network"] == run["feature_network"]
    found: pandas.DataFrame = anchors[same & (anchors["feature_protocol"] == run["feature_protocol"])]
    return found


def _told(study: StudyRows, rows: pandas.DataFrame) -> pandas.Series:
    """Of which rows of `learned` the denominator of G is clearly above noise: the rule of the module."""
    if rows.empty:
        return pandas.Series(dtype=bool)
    alike = [*findings.SETTING, *findings.TRANSFORMER, "step"]
    samples = rows.groupby(alike, dropna=False)["reconstruction_kid"].transform("mean")
    scale = rows["gaussian_kid"]
    apart = {}
    for count in rows["n_samples"].unique():
        noise, freedom = noise_of_zero(study, int(count))
        apart[count] = _student(freedom, 0.975) * noise if freedom else 0.0
    seeds = above_noise.deviations_by_samples(study, rows["n_samples"], "reconstruction_kid")
    moved = above_noise.deviations(1) * samples.clip(lower=0) * seeds
    return (scale > 0) & (scale > rows["n_samples"].map(apart)) & (scale > moved)


def _student(freedom: int, share: float) -> float:
    """The quantile of Student's distribution; NaN without a degree of freedom."""
    if not freedom:
        return math.nan
    from scipy.special import stdtrit  # it takes a while, which whoever has one training of each need not wait for

    return float(stdtrit(freedom, share))


def _best_of_grid(generation: pandas.DataFrame) -> pandas.DataFrame:
    """The rows of each autoencoder's best setting without REPA, of `findings.best_per_ae`."""
    plain = generation[generation["repa"] == NO_REPA]
    if plain.empty:
        return plain
    best = findings.best_per_ae(findings.mean_over_seeds(plain))
    return plain.merge(best[[*findings.SETTING, "step"]])
