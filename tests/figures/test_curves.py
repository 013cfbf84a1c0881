"""lrcore.figures.curves: lines against the rows."""

from __future__ import annotations

import math
from typing import Any

import pandas
import pytest
from figure_rows import diverged, generation_rows, two_networks

from lrcore.errors import LrcoreError
from lrcore.figures.curves import distance_over_steps, finding
from lrcore.results import findings, naming


def traces(figure: Any, panel: int) -> dict[str, Any]:
    """The traces of a panel, counted row by row from 1."""
    axis = "x" if panel == 1 else f"x{panel}"
    return {trace.name: trace for trace in figure.data if trace.xaxis == axis}


def test_lines_of_a_panel() -> None:
    figure = distance_over_steps(own_setting(generation_rows())).figure
    sd = traces(figure, 2)
    assert list(sd) == ["all settings", "ts, no shift", "best at each step"]
    assert list(sd["best at each step"].x) == [100, 200]
    assert list(sd["best at each step"].y) == pytest.approx([40.0, 20.0])
    assert sd["ts, no shift"].line.dash == "dot" and list(sd["ts, no shift"].y) == pytest.approx([72.0, 36.0, None])
    assert sd["all settings"].x.count(None) == 12 and sd["all settings"].opacity < 0.5
    assert sd["best at each step"].line.width > sd["ts, no shift"].line.width
    assert list(traces(figure, 3)["best at each step"].y) == pytest.approx([32.0, 16.0])
    assert "train shift 1.78, sample shift 1.00" in sd["best at each step"].text[0]
    rae = traces(figure, 8)["RAE's own setting"]
    assert rae.line.dash == "dashdot" and list(rae.y) == pytest.approx([70.0, 70.0, None])
    assert [trace.name for trace in figure.data if trace.showlegend] == [
        "best at each step", "all settings", "ts, no shift", "RAE's own setting"
    ]  # fmt: skip


def own_setting(rows: pandas.DataFrame) -> pandas.DataFrame:
    """With RAE at the setting of its authors."""
    own = rows[(rows["ae"] == "rae") & (rows["repa"] == "none") & (rows["trainp"] == "ts")]
    own = own[(own["trainshift"] == 1.0) & (own["sampleshift"] == 1.0)]
    return pandas.concat([rows, own.assign(trainshift=6.93, sampleshift=6.93, fid=70.0)])


def test_the_best_is_looked_for_at_each_step() -> None:
    rows = generation_rows()
    late = (rows["step"] == 200) & (rows["trainshift"] == 1.78)
    sd = traces(distance_over_steps(rows.assign(fid=rows["fid"].where(~late, rows["fid"] * 9))).figure, 2)
    best = sd["best at each step"]
    assert "train shift 1.78" in best.text[0] and "train shift 1.00" in best.text[1]
    assert list(best.y) == pytest.approx([40.0, 24.0])


def test_all_best_lines_share_a_panel() -> None:
    made = distance_over_steps(generation_rows())
    above = [trace for trace in made.figure.data if trace.xaxis == "x"]
    assert len(above) == 8 and {trace.line.dash for trace in above} == {"solid", "dash"}
    assert {trace.line.color for trace in above} == {naming.AES[ae].colour for ae in ("sd", "flux1", "flux2", "rae")}
    assert "solid without REPA and dashed with REPA" in made.words.notes


def test_colours_titles_and_axes() -> None:
    figure = distance_over_steps(generation_rows()).figure
    assert {trace.line.color for trace in figure.data} == {
        naming.AES[ae].colour for ae in ("sd", "flux1", "flux2", "rae")
    }
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles[:3] == ["the best of each", "SD without REPA", "SD with REPA"] and titles[-1] == "RAE with REPA"
    assert figure.layout.yaxis.title.text == "FD (EfficientNet-Lite0)" and figure.layout.yaxis.type == "log"
    assert figure.layout.xaxis8.title.text == "training step"
    assert sum(bool(trace.showlegend) for trace in figure.data) == 3
    assert distance_over_steps(generation_rows("inception2015")).figure.layout.yaxis.title.text == "FID"


def test_diverged_runs_leave_gaps_and_are_not_best() -> None:
    made = distance_over_steps(diverged(generation_rows(), ae="sd", trainp="ln", step=200))
    sd = traces(made.figure, 2)
    assert list(sd["best at each step"].y) == pytest.approx([40.0, 22.0])
    assert sum(y is not None and math.isnan(y) for y in sd["all settings"].y) == 4
    gone = distance_over_steps(diverged(generation_rows(), ae="sd"))
    assert "best at each step" not in traces(gone.figure, 2)
    assert "SD" not in gone.alt and "RAE without REPA 5 at step 200" in gone.alt


def test_refusals() -> None:
    with pytest.raises(LrcoreError, match="cannot be compared"):
        distance_over_steps(two_networks())
    with pytest.raises(LrcoreError, match="no rows"):
        distance_over_steps(generation_rows().head(0))
    other = generation_rows().replace({"repa": {"efficientnet_lite0": "dinov2b"}})
    with pytest.raises(LrcoreError, match=r"different REPA encoders.*dinov2b, efficientnet_lite0"):
        distance_over_steps(pandas.concat([generation_rows(), other]))


def settings(**distances: list[list[float]]) -> pandas.DataFrame:
    """Settings without REPA: for each autoencoder a list a step of the distances of its settings."""
    rows = [
        (ae, "none", "ln", float(shift), 1.0, 100 * step, distance)
        for ae, steps in distances.items()
        for step, found in enumerate(steps, start=1)
        for shift, distance in enumerate(found, start=1)
    ]
    return pandas.DataFrame(rows, columns=[*findings.SETTING, "step", "distance"])


@pytest.mark.parametrize(
    ("rows", "noise", "said"),
    [
        (settings(sd=[[3], [2]], rae=[[2], [1]]), math.nan, "RAE leads from step 100 to step 200"),
        (settings(sd=[[2], [2]], rae=[[3], [1]]), math.nan, "SD leads after 100 steps, RAE after 200"),
        (settings(sd=[[3]], rae=[[2]]), math.nan, "RAE leads after 100 steps"),
        (settings(sd=[[2], [2]], rae=[[3], [1]]), 0.5, "RAE leads after 200 steps"),
        (settings(sd=[[3], [2]], rae=[[2], [1]]), 1.0, "No autoencoder leads after 200 steps"),
        (settings(sd=[[3], [2]]), math.nan, "The distance over training steps"),
        # the last setting is of one alone
        (settings(sd=[[3], [2, 0.1]], rae=[[2], [1]]), math.nan, "RAE leads from step 100 to step 200"),
        (settings(sd=[[3], [-0.1]], rae=[[2], [-0.2]]), math.nan, "No autoencoder leads after 200 steps"),
    ],
)
def test_the_title_says_who_leads(rows: pandas.DataFrame, noise: float, said: str) -> None:
    assert finding(rows, noise) == said


def test_distances_that_are_not_above_0_stand_on_a_linear_axis() -> None:
    rows = generation_rows()
    made = distance_over_steps(rows.assign(fid=rows["fid"].where(rows["ae"] != "sd", rows["fid"] - 32)))
    assert [made.figure.layout[f"yaxis{n}"].type for n in ("", 2, 4)] == ["linear", "linear", "log"]
    assert made.words.title == "SD leads from step 100 to step 200"
