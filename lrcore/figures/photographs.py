"""The worked example with real weights: photographs and what TAEF2 keeps of them, and the rows that it was measured by.

    compared("imgs", prefix="../")          # original and reconstruction, divided by a handle, and side by side
    measured(read_reconstruction("data"))   # a line for each set of images

Pictures and rows come with the project; without them both say what makes them.
"""

from __future__ import annotations

from pathlib import Path

import pandas

from lrcore.figures.crops import compared_crops, zoomed_crops
from lrcore.figures.embed import Embedded, Markup
from lrcore.figures.site_table import SiteTable
from lrcore.results import naming
from lrcore.results.numbers import with_error

FOLDER, AE = "photographs", "taef2"
STUDIES = ("photos", "photos-kodak", "photos-128")
"""The example's studies, in the order of the table."""

METRICS = ("psnr", "ssim", "lpips_alex", "lpips_vgg", "rkid")
THOUSANDTHS = ("rkid",)
"""Shown in thousandths, as is usual for kernel distances."""


def compared(imgs: Path | str, prefix: str = "") -> Markup:
    """The photographs of `<imgs>/photographs`; `prefix` as in `crops.zoomed_crops`."""
    count = len(list((Path(imgs) / FOLDER).glob("orig-*.png")))
    if not count:
        return Markup("<p>The photographs are not here: <code>python tools/draw_photographs.py</code> makes them.</p>")
    parts = (make(imgs, FOLDER, [AE], count, prefix) for make in (compared_crops, zoomed_crops))
    return Markup("".join(part.markup for part in parts))


def measured(reconstruction: pandas.DataFrame) -> Embedded:
    """What was measured of TAEF2 in the studies of the example: a line a study, means with their standard errors."""
    rows = reconstruction[reconstruction["study"].isin(STUDIES) & reconstruction["metric"].isin(METRICS)]
    if rows.empty:
        return Markup("<p>No study has rows for this: <code>examples/taef2/README.md</code> says how to measure.</p>")
    lines = [_line(rows[rows["study"] == study]) for study in STUDIES if (rows["study"] == study).any()]
    caption = "Reconstruction of photographs by TAEF2, with standard errors over images"
    return SiteTable(pandas.DataFrame(lines), "photographs", caption, rows)


def _line(rows: pandas.DataFrame) -> dict[str, object]:
    first = rows.iloc[0]
    images = f"{first['n_images']:,} of {str(first['dataset']).partition('/')[0]}"
    line: dict[str, object] = {"images": images, "px": first["resolution"]}
    found = {str(row["metric"]): row for _, row in rows.iterrows()}
    for metric in [name for name in METRICS if name in found]:
        scale, unit = (1000, " × 1000") if metric in THOUSANDTHS else (1, "")
        value, error = (scale * float(found[metric][column]) for column in ("value", "standard_error"))
        line[f"{naming.METRICS[metric].label}{unit}"] = with_error(value, error)
    return line
