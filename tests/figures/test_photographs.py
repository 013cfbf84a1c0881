"""The worked example on the page: its pictures and its rows, and a word where there are none."""

from pathlib import Path

import pandas

from lrcore.figures import photographs
from lrcore.records.reading import read_reconstruction

PROJECT = Path(__file__).parents[2]


def test_the_photographs_that_come_with_the_project_are_shown():
    shown = photographs.compared(PROJECT / "imgs", prefix="../").markup
    for number in range(4):
        for name in ("orig", "taef2"):
            assert f"../imgs/photographs/{name}-{number:02d}.png" in shown
    assert shown.count("lrcore-crops") >= 1
    assert sum(file.stat().st_size for file in (PROJECT / "imgs" / "photographs").iterdir()) < 1_500_000


def test_rows_are_a_line_a_study(tmp_path):
    rows = read_reconstruction(PROJECT / "data").head(0)
    columns = {"ae": "taef2", "n_images": 1000, "dataset": "images/validation[:1000]", "resolution": 256}
    made = [
        {"study": study, "metric": metric, "value": value, "standard_error": value / 100, **columns}
        for study in ("photos-128", "photos")
        for metric, value in (("psnr", 28.0), ("rkid", 0.002), ("lpips_vgg_unweighted", 3.0))
    ]
    table = photographs.measured(pandas.concat([rows, pandas.DataFrame(made)]))
    assert len(table.frame) == 2 and list(table.frame) == ["images", "px", "PSNR (dB)", "rKID × 1000"]
    assert table.frame["rKID × 1000"].iloc[0] == "2.00 ± 0.02"
    assert set(table.frame["images"]) == {"1,000 of images"}
    assert set(table.rows["study"]) == {"photos", "photos-128"}


def test_without_pictures_or_rows_it_says_what_makes_them(tmp_path):
    assert "tools/draw_photographs.py" in photographs.compared(tmp_path).markup
    none = read_reconstruction(PROJECT / "data").head(0)
    assert "examples/taef2/README.md" in photographs.measured(none).markup
