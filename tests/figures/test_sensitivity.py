"""lrcore.figures.sensitivity: panels and spreads against the rows."""

from __future__ import annotations

import math

import pandas
import pytest
from figure_rows import diverged, generation_rows, two_networks

from lrcore.errors import LrcoreError
from lrcore.figures.sensitivity import finding, parameter_sensitivity
from lrcore.results import naming


def test_panels() -> None:
    made = parameter_sensitivity(generation_rows())
    figure = made.figure
    assert len(figure.data) == 2 * 4 * 3  # all settings, and the line through the best
    density, trainshift, sampleshift = figure.data[1:6:2]
    assert dict(zip(density.x, density.y, strict=True)) == pytest.approx({"ts": 30.0, "ln": 20.0, "pln": 22.0})
    assert dict(zip(trainshift.x, trainshift.y, strict=True)) == pytest.approx({"1.00": 24.0, "1.78": 20.0})
    assert dict(zip(sampleshift.x, sampleshift.y, strict=True)) == pytest.approx({"1.00": 20.0, "1.78": 40.0})
    assert density.marker.size[density.x.index("ln")] > density.marker.size[density.x.index("ts")]
    assert [trace.line.color for trace in figure.data[1::6]] == [
        naming.AES[ae].colour for ae in ("sd", "flux1", "flux2", "rae")
    ]
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles[:3] == ["spread 50 %", "spread 20 %", "spread 100 %"]
    assert "SD: training density 50 %, train shift 20 %, sample shift 100 %" in made.alt


def test_the_points_of_one_setting_can_be_found_in_every_panel() -> None:
    made = parameter_sensitivity(generation_rows())
    clouds = made.figure.data[:6:2]
    assert {len(cloud.x) for cloud in clouds} == {3 * 2 * 2}
    for points in zip(*((zip(cloud.customdata, cloud.y, strict=True)) for cloud in clouds), strict=True):
        assert len(set(points)) == 1  # the same setting and distance, at another value of each axis
    named = "sd, pln, train shift 1.00, sample shift 1.78"
    where = [cloud.x[cloud.customdata.index(named)] for cloud in clouds]
    assert where == ["pln", "1.00", "1.78"]
    assert len(made.rows) == 4 * 12


def test_axes() -> None:
    shown = parameter_sensitivity(generation_rows())
    figure = shown.figure
    assert list(figure.layout.xaxis.categoryarray) == ["ts", "ln", "pln"]
    assert figure.layout.xaxis10.title.text == "training density" and figure.layout.xaxis12.title.text == "sample shift"
    assert figure.layout.yaxis.title.text == "SD<br>FD (EfficientNet-Lite0)"
    assert figure.layout.yaxis2.matches == "y"  # panels of a row are linked
    low, high = figure.layout.yaxis.range
    assert 10**low < 20 and 10**high > 40
    assert "step 200" in shown.words.subtitle


def test_with_repa_and_with_gaps() -> None:
    assert parameter_sensitivity(generation_rows(), "efficientnet_lite0").rows["distance"].min() == pytest.approx(4.0)
    one_value = parameter_sensitivity(diverged(generation_rows(), ae="sd", trainshift=1.0))
    assert one_value.figure.layout.annotations[1].text == "one value only"
    without_sd = parameter_sensitivity(diverged(generation_rows(), ae="sd"))
    assert "SD" not in {trace.name for trace in without_sd.figure.data}


def test_refusals() -> None:
    with pytest.raises(LrcoreError, match="cannot be compared"):
        parameter_sensitivity(two_networks())
    with pytest.raises(LrcoreError, match="no rows"):
        parameter_sensitivity(generation_rows().head(0))
    with pytest.raises(LrcoreError, match="no finite distance at step 200 with repa 'dinov2b'"):
        parameter_sensitivity(generation_rows(), "dinov2b")


def swept(**spreads: dict[str, list[float]]) -> pandas.DataFrame:
    """Rows of a sweep: for each choice the distances of its values, by autoencoder."""
    rows = [
        (ae, parameter, str(number), distance)
        for parameter, by_ae in spreads.items()
        for ae, distances in by_ae.items()
        for number, distance in enumerate(distances)
    ]
    return pandas.DataFrame(rows, columns=["ae", "parameter", "value", "distance"])


@pytest.mark.parametrize(
    ("rows", "noise", "said"),
    [
        (
            swept(trainp={"sd": [1, 2], "rae": [1, 2]}, trainshift={"sd": [1, 3], "rae": [1, 2]}),
            math.nan,
            "The train shift moves the distance most: 150 % (median)",
        ),
        (
            swept(trainp={"sd": [1, 2]}, trainshift={"sd": [1, 2]}),
            math.nan,
            "The training density and the train shift move the distance by 100 %",
        ),
        (
            swept(trainp={"sd": [1, 2]}, trainshift={"sd": [1]}),
            math.nan,
            "The training density moves the distance by 100 %",
        ),
        (swept(trainp={"sd": [1, 2]}), 1.0, "The distance when one choice of timesteps is varied"),
        (swept(trainp={"sd": [1]}), math.nan, "The distance when one choice of timesteps is varied"),
        (swept(trainp={"sd": [-1, 2]}), math.nan, "The distance when one choice of timesteps is varied"),
        (  # of fewer values a spread is at least what it is
            swept(trainp={"sd": [1, 2], "rae": [1, 2]}, trainshift={"sd": [1, 4, 2], "rae": [1, 4]}),
            math.nan,
            "The train shift moves the distance most: 300 % (median)",
        ),
        (
            swept(trainp={"sd": [1, 9], "rae": [1, 9]}, trainshift={"sd": [1, 4, 2], "rae": [1, 4]}),
            math.nan,
            "The training density moves the distance by 800 % (median)",
        ),
    ],
)
def test_the_title_says_which_choice_moves_most(rows: pandas.DataFrame, noise: float, said: str) -> None:
    assert finding(rows, noise) == said


def test_no_line_joins_densities() -> None:
    figure = parameter_sensitivity(generation_rows()).figure
    density, trainshift, sampleshift = figure.data[1:6:2]
    assert (density.mode, trainshift.mode, sampleshift.mode) == ("markers", "lines+markers", "lines+markers")


def test_distances_that_are_not_above_0() -> None:
    rows = generation_rows()
    made = parameter_sensitivity(rows.assign(fid=rows["fid"].where(rows["ae"] != "sd", rows["fid"] - 30)))
    assert (made.figure.layout.yaxis.type, made.figure.layout.yaxis4.type) == ("linear", "log")
    assert made.figure.layout.annotations[0].text == "spread not known"
    assert made.figure.layout.yaxis.range[0] < made.rows.loc[made.rows["ae"] == "sd", "distance"].min()
