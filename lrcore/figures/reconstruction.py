"""Tables of reconstruction metrics: one row per autoencoder, every mean with its standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas

from lrcore.errors import LrcoreError
from lrcore.figures.markdown import ae_name
from lrcore.figures.site_table import SiteTable
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

    In brackets behind a value stands what the study quotes of others for the same.

    Raises:
        LrcoreError: no rows of it.
    """
    study = published[(published["source"] == FOLLOWED) & (published["table"] == "reconstruction")]
    quoted = study["setting"].str.startswith(QUOTED)
    measured = study[~quoted]
    table = _wide(measured, PUBLISHED_METRICS, _printed)
    for _, row in study[quoted & study["quantity"].isin(measured["quantity"])].iterrows():
        at = table["autoencoder"] == naming.ae_style(str(row["ae"])).label
        table.loc[at, _column(str(row["quantity"]))] += f" ({as_printed(row['value'])})"
    caption = "Published reconstruction metrics of each autoencoder on ImageNet at 256 pixels, with standard errors"
    shown = study[study["ae"].isin(measured["ae"])]
    return SiteTable(table, "published-reconstruction", caption, shown)


QUOTED = "as reported"
"""How the setting of a figure begins that the published study quotes of others."""


def quoted_in_words(atlas: pandas.DataFrame) -> str:
    """Whose the values are that `published_reconstruction` has in brackets, and who prints the same: Markdown.

    "" where there are none. `atlas`: rows of `read_atlas`.
    """
    study = atlas[(atlas["source"] == FOLLOWED) & (atlas["table"] == "reconstruction")]
    measured = set(study.loc[~study["setting"].str.startswith(QUOTED), "ae"])
    rows = study[study["setting"].str.startswith(QUOTED) & study["ae"].isin(measured) & (study["quoted_from"] != "")]
    parts = []
    for ae in naming.in_order(rows["ae"]):
        row = rows[rows["ae"] == ae].iloc[0]
        alike = atlas[(atlas["canonical"] == row["canonical"]) & (atlas["quantity"] == row["quantity"])]
        alike = alike[(alike["value"] == row["value"]) & ~alike["secondary"] & ~alike["repeats"]]
        others = sorted(set(alike["source"]) - {FOLLOWED, row["quoted_from"]})
        too = f", also in {', '.join(f'@{key}' for key in others)}" if others else ""
        parts.append(f"{ae_name(ae)}'s from @{row['quoted_from']}{too}")
    return f"In brackets stands the rFID that the study quotes of others: {'; '.join(parts)}." if parts else ""


def reptok_in_words(published: pandas.DataFrame) -> str:
    """What the published study quotes of RepTok, the autoencoder of one token, and what that is; "" where it does not.

    Markdown. `published`: rows of `read_published`.
    """
    study = published[published["source"] == FOLLOWED]
    rows = study[(study["ae"] == "reptok") & (study["quantity"] == "rfid")]
    if rows.empty:
        return ""
    return (
        f"It also names RepTok [@gui2025reptok], rFID {as_printed(rows['value'].iloc[0])}. RepTok makes a whole image "
        "one token: the class token of a self-supervised encoder, fine-tuned so that a flow-matching decoder can draw "
        "the image from it."
    )


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
        table[_column(metric)] = written(of_metric["value"], of_metric["standard_error"])
    return table


def _column(metric: str) -> str:
    """What heads the column of a metric: 'rFID ↓'."""
    look = naming.metric_style(metric)
    return f"{look.label} {'↑' if look.higher_is_better else '↓'}"


def _printed(values: Iterable[float], errors: Iterable[float]) -> list[str]:
    return [as_printed(value, error) for value, error in zip(values, errors, strict=True)]


def _require_rows(rows: pandas.DataFrame) -> None:
    if rows.empty:
        raise LrcoreError("no rows: no reconstruction has been measured yet; run `python -m lrcore.train` first")
