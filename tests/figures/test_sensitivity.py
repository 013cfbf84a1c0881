"""lrcore.figures.sensitivity: panels and spreads against the rows."""

from __future__ import annotations

import math

import pandas
import pytest
from figure_rows import diverged, generation_rows, two_networks

from lrcore.errors import LrcoreError
from lrcore.figures.sensitivity import finding, parameter_sensitivity, values_tried
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


def test_a_choice_of_one_value_has_no_column() -> None:
    made = parameter_sensitivity(generation_rows().query("trainp == 'ln'"))
    assert len(made.figure.data) == 2 * 4 * 2 and made.min_width == 0
    assert made.figure.layout.xaxis7.title.text == "train shift" and "training density" not in made.alt
    assert "the training density was not varied" in made.words.notes
    alone = parameter_sensitivity(generation_rows().query("trainp == 'ln' and trainshift == 1 and sampleshift == 1"))
    assert {title.text for title in alone.figure.layout.annotations} == {"one value only"}


def test_labels_of_shifts_stand_level() -> None:
    figure = parameter_sensitivity(generation_rows()).figure
    assert list(figure.layout.xaxis11.ticktext) == ["1", "1.78"] and figure.layout.xaxis11.tickangle == 0
    assert list(figure.layout.xaxis11.tickvals) == ["1.00", "1.78"]
    assert list(figure.layout.xaxis10.ticktext) == ["ts", "ln", "pln"]
    near = generation_rows()
    near = near.assign(trainshift=near["trainshift"].replace(1.0, 1.76))
    assert list(parameter_sensitivity(near).figure.layout.xaxis11.ticktext) == ["1.76", "1.78"]


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


def spread(**spreads: dict[str, float]) -> pandas.DataFrame:
    """Rows of `findings.spreads`: for each choice its spread by autoencoder, all of five values."""
    rows = [(ae, parameter, value) for parameter, by_ae in spreads.items() for ae, value in by_ae.items()]
    found = pandas.DataFrame(rows, columns=["ae", "parameter", "spread"])
    return found.assign(values=5, tried=5, of=5, whole=True)


def partly(rows: pandas.DataFrame, parameter: str) -> pandas.DataFrame:
    """The same rows, of the choice two values of five with SD."""
    few = (rows["parameter"] == parameter) & (rows["ae"] == "sd")
    return rows.assign(tried=rows["tried"].mask(few, 2), whole=~few)


BOTH = spread(trainshift={"sd": 0.3, "rae": 0.2}, sampleshift={"sd": 0.1, "rae": 0.1})
VARIED = "FID when one choice of timesteps is varied"


@pytest.mark.parametrize(
    ("rows", "noise", "said"),
    [
        (BOTH, math.nan, "The train shift moves FID more than the sample shift does in both latent spaces"),
        (BOTH, 0.05, "The train shift moves FID more than the sample shift does in both latent spaces"),
        # beyond the sample shift's by 9 % of RAE alone
        (BOTH, 0.1, "The train shift moves FID by more than noise in both latent spaces, the sample shift in none"),
        (BOTH, 0.25, "The train shift moves FID by more than noise in 1 of 2 latent spaces, the sample shift in none"),
        (BOTH, 0.3, "No choice of timesteps moves FID by more than noise in any latent space"),
        # a spread of fewer values is at least what it is
        (
            partly(BOTH, "trainshift"),
            math.nan,
            "The train shift moves FID more than the sample shift does in both latent spaces",
        ),
        (partly(BOTH, "sampleshift"), math.nan, VARIED),
        (
            spread(
                trainp={"sd": 0.1, "rae": 0.1, "flux1": 0.3},
                trainshift={"sd": 0.3, "rae": 0.2, "flux1": 0.2},
                sampleshift={"sd": 0.1, "rae": 0.1, "flux1": 0.1},
            ),
            math.nan,
            "The train shift moves FID more than the training density and the sample shift do in 2 of 3 latent spaces",
        ),
        (
            spread(trainshift={"sd": 0.3}, sampleshift={"sd": 0.1}),
            math.nan,
            "The train shift moves FID more than the sample shift does",
        ),
        (spread(trainshift={"sd": 0.2}, sampleshift={"sd": 0.2}), math.nan, VARIED),
        (
            spread(trainshift={"sd": 0.3, "rae": 0.2}, trainp={"sd": math.nan, "rae": 0.9}),
            math.nan,
            "The train shift moves FID by 20 % to 30 %",
        ),
        (partly(spread(trainshift={"sd": 0.2}), "trainshift"), math.nan, "The train shift moves FID by 20 % or more"),
        (spread(trainp={"sd": math.nan}), math.nan, VARIED),
        (spread(trainp={}), math.nan, VARIED),
    ],
)
def test_the_title_says_which_choice_moves_most(rows: pandas.DataFrame, noise: float, said: str) -> None:
    assert finding(rows, "FID", noise) == said


def test_the_note_says_how_many_values_were_tried() -> None:
    one = spread(trainp={"sd": math.nan, "rae": math.nan}).assign(tried=1, of=1)
    rows = pandas.concat([one, partly(BOTH, "trainshift")])
    assert values_tried(rows) == (
        "Values tried: the training density was not varied; train shift 2 (SD), 5 (RAE) of 5; sample shift 5."
    )
    half = generation_rows()
    half = half[~((half["ae"] == "sd") & (half["trainp"] == "pln"))]
    made = parameter_sensitivity(half)
    assert made.figure.layout.annotations[0].text == "spread 50 % or more" and "2 (SD)" in made.words.notes
    assert "the best of all an autoencoder's own settings" in made.words.subtitle


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
