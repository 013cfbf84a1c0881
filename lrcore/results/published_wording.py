"""What the published study says, as text from the rows of `read_published`."""

from __future__ import annotations

import math

import pandas

from lrcore.errors import LrcoreError
from lrcore.results import findings, naming, numbers
from lrcore.results.numbers import as_printed
from lrcore.results.published import FOLLOWED, best_choices


def published_comparison(published: pandas.DataFrame, ae: str, baseline: str) -> str:
    """How gFID and LPIPS of `ae` compare with those of `baseline` in the published study.

    Raises:
        LrcoreError: the study has no row of one of them.
    """
    gfid = findings.relative_change(_published(published, "gfid", ae), _published(published, "gfid", baseline))
    lpips = findings.relative_change(_published(published, "lpips", ae), _published(published, "lpips", baseline))
    names = naming.ae_style(ae).label, naming.ae_style(baseline).label
    return f"{names[0]} against {names[1]}: gFID {numbers.percent(gfid)}, LPIPS {numbers.percent(lpips)}"


def changes_from(published: pandas.DataFrame, baseline: str) -> str:
    """How gFID and LPIPS of every other autoencoder of the published study change from `baseline`.

    'FLUX.1 gFID +31 %, LPIPS −64 %; FLUX.2 ...'

    Raises:
        LrcoreError: as `published_comparison`.
    """
    return "; ".join(_change(published, ae, baseline, ae) for ae in _compared(published) if ae != baseline)


def changes_to(published: pandas.DataFrame, ae: str) -> str:
    """How gFID and LPIPS of `ae` differ from those of every other autoencoder: 'SD gFID −52 %, LPIPS −72 %; ...'.

    Raises:
        LrcoreError: as `published_comparison`.
    """
    return "; ".join(_change(published, ae, other, other) for other in _compared(published) if other != ae)


def _compared(published: pandas.DataFrame) -> list[str]:
    """The autoencoders whose gFID and LPIPS the published study has, in the order of the figures."""
    study = published[published["source"] == FOLLOWED]
    with_both = (set(study.loc[study["quantity"] == quantity, "ae"]) for quantity in ("gfid", "lpips"))
    return naming.in_order(set.intersection(*with_both))


def _change(published: pandas.DataFrame, ae: str, baseline: str, named: str) -> str:
    return f"{naming.ae_style(named).label} {published_comparison(published, ae, baseline).split(': ', 1)[1]}"


def published_spreads(published: pandas.DataFrame) -> str:
    """The relative spreads that the published study reports for each parameter, lowest and highest autoencoder.

    Raises:
        LrcoreError: no rows of it.
    """
    parts = []
    for parameter in findings.PARAMETERS:
        note = _spreads(published, parameter)["note"].iloc[0]
        part = f"{naming.PARAMETER_LABELS[parameter]} {published_spread(published, parameter)}"
        parts.append(part + (f" ({note})" if note else ""))
    return "; ".join(parts)


def published_spread(published: pandas.DataFrame, parameter: str) -> str:
    """The relative spreads over the values of one of `findings.PARAMETERS`, lowest and highest autoencoder.

    Raises:
        LrcoreError: no rows of it.
    """
    rows = _spreads(published, parameter)
    ends = [
        f"{as_printed(value)} % ({naming.ae_style(ae).label})"
        for value, ae in zip(rows["value"], rows["ae"], strict=True)
    ]
    return f"{ends[0]} to {ends[-1]}"


def _spreads(published: pandas.DataFrame, parameter: str) -> pandas.DataFrame:
    rows = published[published["quantity"] == f"relative_spread_{parameter}"].sort_values("value")
    if rows.empty:
        raise LrcoreError(f"no rows: no published relative spread of {parameter}")
    return rows


def published_prediction(published: pandas.DataFrame) -> str:
    """The shift that the root of the ratio of channels per token gives each autoencoder of the published study.

    Raises:
        LrcoreError: the study has no channels per token.
    """
    rows = published[(published["source"] == FOLLOWED) & (published["quantity"] == "channels_per_token")]
    if rows.empty:
        raise LrcoreError(f"no rows: no published channels_per_token of {FOLLOWED}")
    channels = {ae: int(value) for ae, value in findings.by_ae(rows, "value").items()}
    found = findings.predicted_shifts(channels, channels)
    return ", ".join(f"{found[ae]:.2f} for {naming.ae_style(ae).label}" for ae in naming.in_order(found))


def published_best(published: pandas.DataFrame, parameter: str) -> str:
    """The best values of `parameter` (of `findings.PARAMETERS`) of the published study: see `published.best_choices`.

    Raises:
        LrcoreError: no rows of it.
    """
    choices = best_choices(published)
    rows, of_all = choices[choices["parameter"] == parameter], ""
    if rows.empty:
        raise LrcoreError(f"no rows: no published best {parameter}")
    if len(rows) > 1 and len(rows[["value", "condition"]].drop_duplicates()) == 1:
        rows, of_all = rows.head(1), f"all {len(rows)} autoencoders"
    return ", ".join(
        f"{numbers.value_text(value)} for {of_all or naming.ae_style(ae).label}"
        + (f" ({condition})" if condition else "")
        for ae, value, condition in zip(rows["ae"], rows["value"], rows["condition"], strict=True)
    )


def _published(published: pandas.DataFrame, quantity: str, ae: str) -> float:
    study = published[(published["source"] == FOLLOWED) & (published["ae"] == ae)]
    values = study.loc[study["quantity"] == quantity, "value"]
    value = float(values.iloc[0]) if len(values) else math.nan
    if math.isnan(value):
        raise LrcoreError(f"no rows: the published study has no {quantity} of {ae!r}")
    return value
