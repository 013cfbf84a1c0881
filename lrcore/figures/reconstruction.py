"""Tables of reconstruction metrics: one row per autoencoder, every mean with its standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas

from lrcore.errors import LrcoreError
from lrcore.figures.embed import SiteTable
from lrcore.results import naming
from lrcore.results.numbers import as_printed, with_errors
from lrcore.results.published import FOLLOWED

STUDY_METRICS = ("psnr", "ssim", "lpips_vgg", "lpips_alex", "lpips_vgg_unweighted", "rfid", "rfd", "rkid", "rkd")
PUBLISHED_METRICS = ("psnr", "ssim", "lpips", "rfid")


def study_reconstruction(reconstruction: pandas.DataFrame) -> SiteTable:
    """PSNR, SSIM, LPIPS and reconstruction Frechet distance of one study, from rows of `read_reconstruction`.

    Raises:
        LrcoreError: no rows, or two rows of one metric and autoencoder (two networks, splits or studies).
    """
    measured = reconstruction[reconstruction["metric"].isin(STUDY_METRICS)]
    measured = measured.rename(columns={"metric": "quantity"})
    table = _wide(measured, STUDY_METRICS, with_errors)
    study = str(measured["study"].iloc[0])
    caption = f"Reconstruction metrics of each autoencoder in the study {study}, with standard errors over images"
    return SiteTable(table, f"{study}-reconstruction", caption, measured)


def published_reconstruction(published: pandas.DataFrame) -> SiteTable:
    """The same table of the published study, from rows of `read_published`.

    Raises:
        LrcoreError: no rows of it.
    """
    study = published[(published["source"] == FOLLOWED) & (published["table"] == "reconstruction")]
    measured = study[~study["setting"].str.startswith("as reported")]
    caption = "Published reconstruction metrics of each autoencoder on ImageNet at 256 pixels, with standard errors"
    return SiteTable(_wide(measured, PUBLISHED_METRICS, _printed), "published-reconstruction", caption, measured)


def latent_sizes(reconstruction: pandas.DataFrame) -> SiteTable:
    """Tokens, channels per token and compression of each autoencoder of a study: how compact its latent space is.

    Compression is the number of values of an image, 3 x resolution^2, over that of its latent, tokens x channels.

    Raises:
        LrcoreError: no rows.
    """
    _require_rows(reconstruction)
    sizes = reconstruction.groupby("ae")[["resolution", "tokens", "channels_per_token"]].first()
    sizes = sizes.loc[naming.in_order(sizes.index)]
    values = sizes["tokens"] * sizes["channels_per_token"]
    table = pandas.DataFrame(
        {
            "autoencoder": [naming.ae_style(ae).label for ae in sizes.index],
            "image (px)": sizes["resolution"].to_numpy(),
            "tokens": sizes["tokens"].to_numpy(),
            "channels per token": sizes["channels_per_token"].to_numpy(),
            "values per latent": values.to_numpy(),
            "compression": (3 * sizes["resolution"] ** 2 / values).to_numpy(),
        }
    )
    study = str(reconstruction["study"].iloc[0])
    return SiteTable(table, f"{study}-latents", f"Size of the latent space of each autoencoder in the study {study}")


def _wide(
    rows: pandas.DataFrame, metrics: tuple[str, ...], written: Callable[[Iterable[float], Iterable[float]], list[str]]
) -> pandas.DataFrame:
    """One row per autoencoder and a column per metric, each mean and its standard error as `written`."""
    _require_rows(rows)
    doubled = rows[rows.duplicated(["ae", "quantity"])]
    if len(doubled):
        first = doubled.iloc[0]
        raise LrcoreError(
            f"two rows of {first['quantity']} for {first['ae']}: keep those of one network, split and study"
        )
    aes = naming.in_order(rows["ae"])
    table = pandas.DataFrame({"autoencoder": [naming.ae_style(ae).label for ae in aes]})
    for metric in (metric for metric in metrics if metric in set(rows["quantity"])):
        of_metric = rows[rows["quantity"] == metric].set_index("ae").reindex(aes)
        label = naming.metric_style(metric).label
        arrow = "↑" if naming.metric_style(metric).higher_is_better else "↓"
        table[f"{label} {arrow}"] = written(of_metric["value"], of_metric["standard_error"])
    return table


def _printed(values: Iterable[float], errors: Iterable[float]) -> list[str]:
    return [as_printed(value, error) for value, error in zip(values, errors, strict=True)]


def _require_rows(rows: pandas.DataFrame) -> None:
    if rows.empty:
        raise LrcoreError("no rows: no reconstruction has been measured yet; run `python -m lrcore.train` first")
